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
    public static async Task<Ok<MetadataBody.Whole>> ShowAsync(string id, HttpContext context, SnapshotStore store, CancellationToken ct) =>
        TypedResults.Ok(new MetadataBody.Whole((await RequireAsync(id, context, store, Policies.ShowSnapshotMetadata, ct)).Metadata));

    public static async Task<Ok<MetadataBody.Whole>> MergeAsync(string id, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = await MetadataBody.WholeAsync(context, ct);
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        return TypedResults.Ok(new MetadataBody.Whole(await ChangeAsync(snapshot, store, database, before => before.MergedWith(given), ct)));
    }

    public static async Task<Ok<MetadataBody.Whole>> ReplaceAsync(string id, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = await MetadataBody.WholeAsync(context, ct);
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        return TypedResults.Ok(new MetadataBody.Whole(await ChangeAsync(snapshot, store, database, _ => given, ct)));
    }

    public static async Task<Ok<MetadataBody.One>> ShowOneAsync(string id, string key, HttpContext context, SnapshotStore store, CancellationToken ct)
    {
        var snapshot = await RequireAsync(id, context, store, Policies.ShowSnapshotMetadata, ct);
        return snapshot.Metadata.TryGetValue(key, out var value) ? TypedResults.Ok(new MetadataBody.One(new Dictionary<string, string> { [key] = value })) : throw NoKey(snapshot, key);
    }

    public static async Task<Ok<MetadataBody.One>> SetOneAsync(string id, string key, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var given = await MetadataBody.OneAsync(key, context, ct);
        var snapshot = await RequireAsync(id, context, store, Policies.UpdateSnapshotMetadata, ct);
        await ChangeAsync(snapshot, store, database, before => before.MergedWith(given), ct);
        return TypedResults.Ok(new MetadataBody.One(given));
    }

    public static async Task<Ok> DeleteOneAsync(string id, string key, HttpContext context, SnapshotStore store, Database database, CancellationToken ct)
    {
        var snapshot = await RequireAsync(id, context, store, Policies.DeleteSnapshotMetadata, ct);
        await ChangeAsync(snapshot, store, database, before => before.ContainsKey(key) ? before.Without(key) : throw NoKey(snapshot, key), ct);
        return TypedResults.Ok();
    }

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

    private static Fault NoKey(Snapshot snapshot, string key) => Fault.NotFound($"Snapshot {snapshot.Id} has no metadata with key {key}.");
}
