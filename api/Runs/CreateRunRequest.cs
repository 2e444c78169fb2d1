using System.Text.Json;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Runs;

/// <summary>The body of <c>POST /runs</c>: what Nova's action says, and what it cannot say.</summary>
/// <param name="Server"><c>server_id</c>.</param>
/// <param name="Name"><c>name</c> of the image.</param>
/// <param name="Metadata"><c>metadata</c>, none by default.</param>
/// <param name="Quiesce"><c>quiesce</c>: require, try (default) or skip.</param>
/// <param name="FreezeDeadline"><c>freeze_deadline</c> in seconds, 1 to 60; null for the server's, or else the default.</param>
/// <param name="OnExpiry"><c>on_expiry</c>: downgrade (default) or fail.</param>
/// <param name="DryRun"><c>dry_run</c>: say what would happen and do nothing.</param>
internal sealed record CreateRunRequest(
    ServerId Server,
    string Name,
    IReadOnlyDictionary<string, string> Metadata,
    QuiesceMode Quiesce,
    TimeSpan? FreezeDeadline,
    ExpiryPolicy OnExpiry,
    bool DryRun)
{
    private static readonly Dictionary<string, QuiesceMode> QuiesceWords = Enum.GetValues<QuiesceMode>().ToDictionary(m => m.ToText());
    private static readonly Dictionary<string, ExpiryPolicy> ExpiryWords = Enum.GetValues<ExpiryPolicy>().ToDictionary(p => p.ToText());

    /// <summary>Reads it, or ends the request with a 400 that names the member and what is wrong with it.</summary>
    public static CreateRunRequest Parse(JsonElement body)
    {
        var members = new JsonField("body", body).Object(
            required: ["server_id", "name"], optional: ["metadata", "quiesce", "freeze_deadline", "on_expiry", "dry_run"]);
        T Optional<T>(string name, Func<JsonField, T> read, T otherwise) => members.TryGetValue(name, out var field) ? read(field) : otherwise;
        return new(
            ServerId.TryParse(members["server_id"].Text(), null, out var server) ? server : throw members["server_id"].Invalid("It is not a UUID"),
            ImageFields.Name(members["name"]),
            Optional("metadata", ImageFields.Metadata, new Dictionary<string, string>()),
            Optional("quiesce", f => f.OneOf(QuiesceWords), QuiesceMode.Try),
            Optional("freeze_deadline", f => (TimeSpan?)Seconds(f), null),
            Optional("on_expiry", f => f.OneOf(ExpiryWords), ExpiryPolicy.Downgrade),
            Optional("dry_run", f => f.Boolean(), false));
    }

    private static TimeSpan Seconds(JsonField field) =>
        TimeSpan.FromSeconds(field.Number(Model.FreezeDeadline.Minimum.TotalSeconds, Model.FreezeDeadline.Maximum.TotalSeconds));
}
