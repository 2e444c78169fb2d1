using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>The part of the Block Storage API that reads volume snapshots. Source: Cinder API v3.</summary>
internal static class SnapshotEndpoints
{
    private const int MaxPage = 1000;

    private static readonly Microversion UnknownFiltersRefused = new(3, 31);
    private static readonly string[] Understood =
        ["limit", "marker", "sort", "sort_key", "sort_dir", "name", "status", "volume_id", "all_tenants", "project_id"];

    public static void MapSnapshots(this IEndpointRouteBuilder routes)
    {
        var snapshots = routes.MapGroup($"/volume/v3/{ProjectInPath.Segment}/snapshots")
            .RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Volume);
        snapshots.MapGet("", ListAsync);
        snapshots.MapGet("/detail", ListDetailAsync);
        snapshots.MapGet("/{id}", ShowAsync);
    }

    private static Task<Ok<SnapshotList<SnapshotSummary>>> ListAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, SnapshotSummary.Of, ct);

    private static Task<Ok<SnapshotList<SnapshotView>>> ListDetailAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, s => SnapshotView.Of(s, context.Microversion()), ct);

    private static async Task<Ok<OneSnapshot>> ShowAsync(string id, HttpContext context, SnapshotStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        var snapshot = SnapshotId.TryParse(id, null, out var known) ? await store.FindVisibleAsync(known, caller, ct) : null;
        if (snapshot is null)
        {
            throw Fault.NotFound($"Snapshot {id} could not be found.");
        }

        context.Demand(Policies.ShowSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        return TypedResults.Ok(new OneSnapshot(SnapshotView.Of(snapshot, context.Microversion())));
    }

    private static async Task<Ok<SnapshotList<T>>> PageAsync<T>(HttpContext context, SnapshotStore store, Func<Snapshot, T> view, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListSnapshots);
        var query = new ListQuery(context);
        query.RequireNewestFirst();
        if (context.Microversion() >= UnknownFiltersRefused)
        {
            query.RequireKnown(Understood);
        }

        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Snapshot {text} could not be found.")));
        var snapshots = Filter(query) is { } filter ? await store.ListAsync(Project(query, caller), filter, page, ct) : [];
        IReadOnlyList<Link>? links = page.Limit > 0 && snapshots.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(snapshots[^1].Id)))] : null;
        return TypedResults.Ok(new SnapshotList<T>(snapshots.Select(view).ToList(), links));
    }

    /// <summary>Null when nothing can match: no volume has an id that is no UUID.</summary>
    private static SnapshotFilter? Filter(ListQuery query)
    {
        VolumeId? volume = null;
        if (query.Text("volume_id") is { } text)
        {
            if (!VolumeId.TryParse(text, null, out var id))
            {
                return null;
            }

            volume = id;
        }

        return new(query.Text("name"), query.Text("status"), volume);
    }

    /// <summary>Administrators may look into every project, or into one; for everybody else the two parameters mean nothing.</summary>
    private static string? Project(ListQuery query, Caller caller) =>
        caller.IsAdmin && query.Switch("all_tenants") ? query.Text("project_id") : caller.ProjectId;

    private sealed record OneSnapshot(SnapshotView Snapshot);

    private sealed record SnapshotList<T>(
        IReadOnlyList<T> Snapshots, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? SnapshotsLinks);
}
