using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>The part of the Block Storage API that is about volume snapshots. Source: Cinder API v3.</summary>
internal static class SnapshotEndpoints
{
    private const int MaxPage = 1000;

    private static readonly Microversion UnknownFiltersRefused = new(3, 31);
    private static readonly Microversion MetadataFilter = new(3, 22);
    private static readonly Microversion SortByName = new(3, 30);
    private static readonly Microversion LikeFilters = new(3, 34);
    private static readonly Microversion Counted = new(3, 45);
    private static readonly Microversion QuotaShown = new(3, 65);

    private static readonly string[] SortKeys = ["id", "status", "volume_size", "created_at", "updated_at", "volume_id", "display_name"];

    /// <summary>The filters that Cinder's own file allows, and what is no filter.</summary>
    private static readonly string[] Understood =
    [
        "limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "with_count", "name", "status", "volume_id", "metadata", "availability_zone",
        "consumes_quota", "name~", "status~", "volume_id~",
    ];

    public static IServiceCollection AddSnapshots(this IServiceCollection services) => services.AddSingleton<SnapshotChanges>().AddSingleton<SnapshotActions>();

    public static void MapSnapshots(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("snapshots", snapshots =>
    {
        snapshots.MapGet("", ListAsync);
        snapshots.MapGet("/detail", ListDetailAsync);
        snapshots.MapGet("/{id}", ShowAsync);
        snapshots.MapPost("", CreateAsync).RepeatableByKey(Policies.CreateSnapshot);
        snapshots.MapDelete("/{id}", DeleteAsync);
        snapshots.MapPut("/{id}", (string id, HttpContext context, SnapshotChanges changes, CancellationToken ct) => changes.UpdateAsync(id, context, ct));
        snapshots.MapGet("/{id}/metadata", SnapshotMetadata.ShowAsync);
        snapshots.MapPost("/{id}/metadata", SnapshotMetadata.MergeAsync);
        snapshots.MapPut("/{id}/metadata", SnapshotMetadata.ReplaceAsync);
        snapshots.MapGet("/{id}/metadata/{key}", SnapshotMetadata.ShowOneAsync);
        snapshots.MapPut("/{id}/metadata/{key}", SnapshotMetadata.SetOneAsync);
        snapshots.MapDelete("/{id}/metadata/{key}", SnapshotMetadata.DeleteOneAsync);
        snapshots.MapPost("/{id}/action", (string id, HttpContext context, SnapshotActions actions, CancellationToken ct) => actions.ActAsync(id, context, ct));
    });

    private static Task<Ok<SnapshotList<SnapshotSummary>>> ListAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, SnapshotSummary.Of, ct);

    private static Task<Ok<SnapshotList<SnapshotView>>> ListDetailAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, s => SnapshotView.Of(s, context.Microversion()), ct);

    private static async Task<Ok<OneSnapshot>> ShowAsync(string id, HttpContext context, SnapshotStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        var snapshot = await store.RequireAsync(id, caller, ct);
        context.Demand(Policies.ShowSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        return TypedResults.Ok(new OneSnapshot(SnapshotView.Of(snapshot, context.Microversion())));
    }

    /// <summary>The order of the checks is Cinder's: body, then volume, then what its microversion says of <c>force</c>, then whether its back end is frozen, then policy, then what only the run can know.</summary>
    private static async Task<Accepted<OneSnapshot>> CreateAsync(HttpContext context, VolumeStore volumes, ResourceRuns runs, CancellationToken ct)
    {
        var request = CreateSnapshotRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        var caller = context.Caller();
        var volume = request.Volume is { } id ? await volumes.FindVisibleAsync(id, caller, ct) : null;
        if (volume is null)
        {
            throw Fault.NotFound($"Volume {request.Volume?.ToString() ?? "None"} could not be found.");
        }

        var input = new CreateVolumeSnapshotInput(
            key is null ? SnapshotId.New() : DeterministicId.Snapshot(caller.ProjectId, key), volume.Id, request.Name, request.Description, request.Metadata,
            request.AllowInUse(context.Microversion()), caller, context.TraceIdentifier);
        if (volume.Frozen)
        {
            throw Fault.BadRequest(VolumeSnapshotRules.Frozen);
        }

        context.Demand(Policies.CreateSnapshot, PolicyTarget.Of(volume.ProjectId, volume.UserId));
        var snapshot = await runs.CreateSnapshotAsync(input, ct);
        return TypedResults.Accepted((string?)null, new OneSnapshot(SnapshotView.Changed(snapshot, context.Microversion())));
    }

    private static async Task<Accepted> DeleteAsync(string id, HttpContext context, SnapshotStore store, ResourceRuns runs, CancellationToken ct)
    {
        var caller = context.Caller();
        var snapshot = await store.RequireAsync(id, caller, ct);
        context.Demand(Policies.DeleteSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        await runs.DeleteSnapshotAsync(new(snapshot.Id, Force: false, caller, context.TraceIdentifier), ct);
        return TypedResults.Accepted((string?)null);
    }

    private static async Task<Ok<SnapshotList<T>>> PageAsync<T>(HttpContext context, SnapshotStore store, Func<Snapshot, T> view, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListSnapshots);
        var query = new ListQuery(context);
        var version = context.Microversion();
        var order = query.Sort([.. SortKeys, .. version >= SortByName ? ["name"] : (string[])[]]);
        if (version >= UnknownFiltersRefused && !caller.IsAdmin)
        {
            query.RequireKnown(Understood);
        }

        var project = Project(query, caller);
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Snapshot {text} could not be found.")), query.Offset());
        var filter = Filter(query, version);
        var snapshots = filter is null ? [] : await store.ListAsync(project, filter with { Order = order }, page, ct);
        int? count = version < Counted || !query.Switch("with_count") ? null : filter is null ? 0 : await store.CountAsync(project, filter, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && snapshots.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(snapshots[^1].Id)))] : null;
        return TypedResults.Ok(new SnapshotList<T>(snapshots.Select(view).ToList(), links, count));
    }

    /// <summary>Null when nothing can match: no volume has an id that is no UUID. What a microversion does not know yet says nothing.</summary>
    private static SnapshotFilter? Filter(ListQuery query, Microversion version)
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

        string? Like(string name) => version >= LikeFilters ? query.Text(name + "~") : null;
        return new(
            query.Text("name"), query.Text("status"), volume, null, Like("name"), Like("status"), Like("volume_id"),
            version >= QuotaShown && query.Text("consumes_quota") is not null ? query.Switch("consumes_quota") : null,
            query.Text("availability_zone"),
            version >= MetadataFilter && query.Text("metadata") is { } metadata ? DictionaryLiteral.Parse(metadata) : null);
    }

    /// <summary>Administrators may look into every project, or into one; for everybody else the two parameters mean nothing.</summary>
    private static string? Project(ListQuery query, Caller caller) =>
        caller.IsAdmin && query.Switch("all_tenants") ? query.Text("project_id") : caller.ProjectId;

    internal sealed record OneSnapshot(SnapshotView Snapshot);

    private sealed record SnapshotList<T>(
        IReadOnlyList<T> Snapshots,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? SnapshotsLinks,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Count);
}
