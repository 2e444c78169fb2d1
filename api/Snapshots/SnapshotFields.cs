using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using System.Text.RegularExpressions;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>What is said about a snapshot in requests, and how one is found.</summary>
internal static partial class SnapshotFields
{
    /// <summary>Most characters of a name, a description, a metadata key and a metadata value. Source: Cinder's schemas.</summary>
    public const int MaxLength = 255;

    /// <summary>What may stand for true and false. Source: Cinder, <c>parameter_types.boolean</c>.</summary>
    private static readonly string[] True = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"];
    private static readonly string[] False = ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"];
    private static readonly Dictionary<string, bool> Booleans =
        True.Select(w => (Word: w, Value: true)).Concat(False.Select(w => (Word: w, Value: false))).ToDictionary(p => p.Word, p => p.Value);

    public static bool Force(JsonField field) =>
        field.Value.ValueKind is System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False ? field.Boolean() : field.OneOf(Booleans);

    /// <summary>A stripped text by its name or by its older one, which must be right too and says nothing beside the newer; null when neither is there.</summary>
    public static Changed<string?>? Text(IReadOnlyDictionary<string, JsonField> members, string name, string older)
    {
        Changed<string?>? Of(string member) => members.TryGetValue(member, out var field) ? new(field.OptionalText(MaxLength)?.Trim()) : null;
        var (newer, old) = (Of(name), Of(older));
        return newer ?? old;
    }

    /// <summary>Keys and values of the metadata of something new; null is none.</summary>
    public static IReadOnlyDictionary<string, string> OptionalMetadata(JsonField field) => field.IsNull ? new Dictionary<string, string>() : Metadata(field);

    /// <summary>Keys and values of metadata.</summary>
    public static IReadOnlyDictionary<string, string> Metadata(JsonField field)
    {
        var members = field.Members();
        if (members.Keys.Order(StringComparer.Ordinal).FirstOrDefault(k => !Key().IsMatch(k)) is { } odd)
        {
            throw field.Invalid($"Additional properties are not allowed ({JsonField.Quoted(odd)} was unexpected)");
        }

        return members.ToDictionary(m => m.Key, m => m.Value.Text(MaxLength));
    }

    /// <summary>The snapshot as the caller sees it, or 404.</summary>
    public static async Task<Snapshot> RequireAsync(this SnapshotStore store, string id, Caller caller, CancellationToken ct) =>
        SnapshotId.TryParse(id, null, out var known) && await store.FindVisibleAsync(known, caller, ct) is { } snapshot
            ? snapshot
            : throw Fault.NotFound($"Snapshot {id} could not be found.");

    [GeneratedRegex(@"\A[a-zA-Z0-9\-_:. /]{1,255}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Key();
}
