using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Snapshots;

namespace SnapshotFlow.Api.Requests;

/// <summary>Metadata of snapshots and volumes in requests and answers, whole and key by key. Source: Cinder API v3, snapshot and volume metadata.</summary>
internal static class MetadataBody
{
    /// <summary>The body <c>{"metadata": {…}}</c>.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> WholeAsync(HttpContext context, CancellationToken ct) => SnapshotFields.Metadata(await MemberAsync("metadata", context, ct));

    /// <summary>The body <c>{"meta": {"key": "value"}}</c>, with exactly the key of the path.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> OneAsync(string key, HttpContext context, CancellationToken ct)
    {
        var given = SnapshotFields.Metadata(await MemberAsync("meta", context, ct));
        return !given.ContainsKey(key) ? throw Fault.BadRequest("Request body and URI mismatch")
            : given.Count == 1 ? given
            : throw Fault.BadRequest("Request body contains too many items");
    }

    public static Dictionary<string, string> MergedWith(this IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> given)
    {
        var merged = before.ToDictionary(m => m.Key, m => m.Value);
        foreach (var (key, value) in given)
        {
            merged[key] = value;
        }

        return merged;
    }

    public static Dictionary<string, string> Without(this IReadOnlyDictionary<string, string> before, string key) => before.Where(m => m.Key != key).ToDictionary(m => m.Key, m => m.Value);

    private static async Task<JsonField> MemberAsync(string name, HttpContext context, CancellationToken ct) =>
        new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: [name], optional: [])[name];

    /// <summary>All of it.</summary>
    internal sealed record Whole(IReadOnlyDictionary<string, string> Metadata);

    /// <summary>One key.</summary>
    internal sealed record One(IReadOnlyDictionary<string, string> Meta);
}
