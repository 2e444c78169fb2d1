using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>The metadata of a snapshot, whole and key by key. Source: Cinder API v3, snapshot metadata.</summary>
internal static class SnapshotMetadata
{
    public static async Task<Ok<Whole>> ShowAsync(string id, HttpContext context, SnapshotStore store, CancellationToken ct) =>
        TypedResults.Ok(new Whole((await RequireAsync(id, context, store, Policies.ShowSnapshotMetadata, ct)).Metadata));

    public static async Task<Ok<Whole>> MergeAsync(string id, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = await WholeAsync(context, ct);
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        return TypedResults.Ok(new Whole(await ChangeAsync(snapshot, store, database, before => Merged(before, given), ct)));
    }

    public static async Task<Ok<Whole>> ReplaceAsync(string id, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = await WholeAsync(context, ct);
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        return TypedResults.Ok(new Whole(await ChangeAsync(snapshot, store, database, _ => given, ct)));
    }

    public static async Task<Ok<One>> ShowOneAsync(string id, string key, HttpContext context, SnapshotStore store, CancellationToken ct)
    {
        var snapshot = await RequireAsync(id, context, store, Policies.ShowSnapshotMetadata, ct);
        return snapshot.Metadata.TryGetValue(key, out var value) ? TypedResults.Ok(new One(new Dictionary<string, string> { [key] = value })) : throw NoKey(snapshot, key);
    }

    public static async Task<Ok<One>> SetOneAsync(string id, string key, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = SnapshotFields.Metadata(new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["meta"], optional: [])["meta"]);
        var value =
            given.Count != 1 ? throw Fault.BadRequest("Request body contains too many items")
            : given.TryGetValue(key, out var found) ? found
            : throw Fault.BadRequest("Request body and URI mismatch");
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        await ChangeAsync(snapshot, store, database, before => Merged(before, given), ct);
        return TypedResults.Ok(new One(new Dictionary<string, string> { [key] = value }));
    }

    public static async Task<Ok> DeleteOneAsync(string id, string key, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var snapshot = await RequireAsync(id, context, store, Policies.DeleteSnapshotMetadata, ct);
        await ChangeAsync(
            snapshot, store, database, before => before.ContainsKey(key) ? before.Where(m => m.Key != key).ToDictionary(m => m.Key, m => m.Value) : throw NoKey(snapshot, key), ct);
        return TypedResults.Ok();
    }

    private static async Task<IReadOnlyDictionary<string, string>> WholeAsync(HttpContext context, CancellationToken ct) =>
        SnapshotFields.Metadata(new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["metadata"], optional: [])["metadata"]);

    private static async Task<Snapshot> RequireAsync(string id, HttpContext context, SnapshotStore store, string rule, CancellationToken ct)
    {
        var snapshot = await store.RequireAsync(id, context.Caller(), ct);
        context.Demand(rule, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        return snapshot;
    }

    private static Task<IReadOnlyDictionary<string, string>> ChangeAsync(
        Snapshot snapshot, SnapshotStore store, Database database, Func<IReadOnlyDictionary<string, string>, IReadOnlyDictionary<string, string>> change, CancellationToken ct) =>
        database.WriteAsync(
            async session =>
            {
                // Two changes at once come one after the other, and none is lost.
                var now = await store.LockAsync(session, snapshot.Id) ?? throw Fault.NotFound($"Snapshot {snapshot.Id} could not be found.");
                var changed = change(now.Metadata);
                await SnapshotStore.ReplaceMetadataAsync(session, snapshot.Id, changed);
                return changed;
            },
            ct);

    private static Dictionary<string, string> Merged(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> given)
    {
        var merged = before.ToDictionary(m => m.Key, m => m.Value);
        foreach (var (key, value) in given)
        {
            merged[key] = value;
        }

        return merged;
    }

    private static Fault NoKey(Snapshot snapshot, string key) => Fault.NotFound($"Snapshot {snapshot.Id} has no metadata with key {key}.");

    internal sealed record Whole(IReadOnlyDictionary<string, string> Metadata);

    internal sealed record One(IReadOnlyDictionary<string, string> Meta);
}
