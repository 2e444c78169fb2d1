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

/// <summary>Lists of snapshots: which, in which order, which part of them. Source: Cinder API v3, and its <c>resource_filters.json</c>.</summary>
internal static class SnapshotLists
{
    private const int MaxPage = 1000;

    private static readonly Microversion UnknownFiltersRefused = new(3, 31);
    private static readonly Microversion MetadataFilter = new(3, 22);
    private static readonly Microversion SortByName = new(3, 30);
    private static readonly Microversion LikeFilters = new(3, 34);
    private static readonly Microversion Counted = new(3, 45);
    private static readonly Microversion QuotaShown = new(3, 65);

    private static readonly string[] SortKeys = ["id", "status", "volume_size", "created_at", "updated_at", "volume_id", "display_name"];

    /// <summary>The filters that Cinder's own file allows everybody, and what is no filter.</summary>
    private static readonly string[] Understood =
    [
        "limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "with_count", "name", "status", "volume_id", "metadata", "availability_zone",
        "consumes_quota", "name~", "status~", "volume_id~",
    ];

    /// <summary>What administrators may ask for beyond: columns of a snapshot that there is here, and its volume's back end.</summary>
    private static readonly string[] Administrators = ["id", "display_name", "display_name~", "user_id", "volume_size", "volume_type_id", "host"];

    public static Task<Ok<SnapshotList<SnapshotSummary>>> ListAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, SnapshotSummary.Of, ct);

    public static Task<Ok<SnapshotList<SnapshotView>>> ListDetailAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        PageAsync(context, store, s => SnapshotView.Of(s, context.Microversion()), ct);

    private static async Task<Ok<SnapshotList<T>>> PageAsync<T>(HttpContext context, SnapshotStore store, Func<Snapshot, T> view, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListSnapshots);
        var query = new ListQuery(context);
        var version = context.Microversion();
        var order = query.Sort([.. SortKeys, .. version >= SortByName ? ["name"] : (string[])[]]);
        if (version >= UnknownFiltersRefused && !caller.IsAdmin)
        {
            query.RequireKnown(version >= LikeFilters ? Understood : [.. Understood.Where(n => !n.EndsWith('~'))]);
        }

        // Administrators may look into every project, or into one; for everybody else the two parameters mean nothing.
        var project = caller.IsAdmin && query.Switch("all_tenants") ? query.Text("project_id") : caller.ProjectId;
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Snapshot {text} could not be found.")), query.Offset());
        var filter = Filter(query, version, caller.IsAdmin);
        var snapshots = filter is null ? [] : await store.ListAsync(project, filter with { Order = order }, page, ct);
        int? count = version < Counted || !query.Switch("with_count") ? null : filter is null ? 0 : await store.CountAsync(project, filter, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && snapshots.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(snapshots[^1].Id)))] : null;
        return TypedResults.Ok(new SnapshotList<T>(snapshots.Select(view).ToList(), links, count));
    }

    /// <summary>
    /// Null when nothing can match: no snapshot or volume has an id that is no UUID, and an administrator's filter by what no snapshot has finds none. What a
    /// microversion does not know yet says nothing.
    /// </summary>
    private static SnapshotFilter? Filter(ListQuery query, Microversion version, bool admin)
    {
        string? Admins(string name) => admin ? query.Text(name) : null;
        string? Like(string name) => version >= LikeFilters ? query.Text(name + "~") : null;
        VolumeId? volume = VolumeId.TryParse(query.Text("volume_id"), null, out var ofVolume) ? ofVolume : null;
        SnapshotId? id = SnapshotId.TryParse(Admins("id"), null, out var wanted) ? wanted : null;
        if ((query.Text("volume_id") is not null && volume is null) || (Admins("id") is not null && id is null)
            || (admin && query.Names.Any(n => !Understood.Contains(n) && !Administrators.Contains(n))))
        {
            return null;
        }

        return new(
            query.Text("name") ?? Admins("display_name"), query.Text("status"), volume, null, Like("name") ?? (admin ? Like("display_name") : null), Like("status"), Like("volume_id"),
            version >= QuotaShown && query.Text("consumes_quota") is not null ? query.Switch("consumes_quota") : null,
            query.Text("availability_zone"),
            version >= MetadataFilter && query.Text("metadata") is { } metadata ? DictionaryLiteral.Parse(metadata) : null,
            Id: id, UserId: Admins("user_id"), SizeGib: admin ? query.Whole("volume_size") : null, VolumeType: Admins("volume_type_id"), Host: Admins("host"));
    }

    internal sealed record SnapshotList<T>(
        IReadOnlyList<T> Snapshots,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? SnapshotsLinks,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Count);
}
