using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>Lists of volumes: which, in which order, which part of them. Source: Cinder API v3, and its <c>resource_filters.json</c>.</summary>
internal static class VolumeLists
{
    private const int MaxPage = 1000;

    private static readonly Microversion BootableIsABoolean = new(3, 2);
    private static readonly Microversion GlanceMetadataFilter = new(3, 4);
    private static readonly Microversion UnknownFiltersRefused = new(3, 31);
    private static readonly Microversion LikeFilters = new(3, 34);
    private static readonly Microversion Counted = new(3, 45);
    private static readonly Microversion TimesCompared = new(3, 60);
    private static readonly Microversion QuotaShown = new(3, 65);

    private static readonly string[] SortKeys =
        ["id", "name", "display_name", "status", "size", "availability_zone", "bootable", "snapshot_id", "user_id", "project_id", "created_at", "updated_at"];

    private static readonly string[] NoFilters = ["limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "with_count"];

    /// <summary>The filters that Cinder's own file allows everybody.</summary>
    private static readonly string[] Everybodys =
    [
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at", "updated_at", "consumes_quota", "name~", "status~",
        "availability_zone~",
    ];

    /// <summary>What administrators may ask for beyond: columns of a volume that there is here.</summary>
    private static readonly string[] Administrators = ["id", "display_name", "display_name~", "user_id", "host", "snapshot_id", "volume_type_id", "multiattach", "glance_metadata"];

    private static readonly string[] Understood = [.. NoFilters, .. Everybodys];

    public static Task<Ok<VolumeList<VolumeSummary>>> ListAsync(HttpContext context, VolumeStore store, CancellationToken ct) =>
        PageAsync(context, store, (page, _) => Task.FromResult(page.Select(v => VolumeSummary.Of(v, context))), ct);

    public static Task<Ok<VolumeList<VolumeView>>> ListDetailAsync(HttpContext context, VolumeStore store, CancellationToken ct) =>
        PageAsync(context, store, async (page, token) => await VolumeView.OfAsync(page, context, store, token), ct);

    private static async Task<Ok<VolumeList<T>>> PageAsync<T>(
        HttpContext context, VolumeStore store, Func<IReadOnlyList<Volume>, CancellationToken, Task<IEnumerable<T>>> views, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListVolumes);
        var query = new ListQuery(context);
        var version = context.Microversion();
        // The order would give the back ends away.
        var order = query.Sort(caller.IsAdmin ? [.. SortKeys, "host"] : SortKeys);
        if (version >= UnknownFiltersRefused && !caller.IsAdmin)
        {
            query.RequireKnown(version >= LikeFilters ? Understood : [.. Understood.Where(n => !n.EndsWith('~'))]);
        }

        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Volume {text} could not be found.")), query.Offset());
        var project = caller.IsAdmin && query.Switch("all_tenants") ? query.Text("project_id") : caller.ProjectId;
        var filter = Filter(query, version, caller.IsAdmin);
        var found = filter is null ? [] : await store.ListAsync(project, filter with { Order = order }, page, ct);
        int? count = version < Counted || !query.Switch("with_count") ? null : filter is null ? 0 : await store.CountAsync(project, filter, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && found.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(found[^1].Id)))] : null;
        return TypedResults.Ok(new VolumeList<T>((await views(found, ct)).ToList(), links, count));
    }

    /// <summary>
    /// Null when nothing can match: no volume of ours belongs to a group, all count against their quota, and an administrator's filter by what no volume has finds none.
    /// What a microversion does not know yet says nothing.
    /// </summary>
    private static VolumeFilter? Filter(ListQuery query, Microversion version, bool admin)
    {
        string? Admins(string name) => admin ? query.Text(name) : null;
        string? Like(string name) => version >= LikeFilters ? query.Text(name + "~") : null;
        bool? Flag(string name) => query.Text(name) is null ? null : query.Switch(name);
        IReadOnlyDictionary<string, string>? Map(string name) => query.Text(name) is { } text ? DictionaryLiteral.Parse(text, name) : null;

        var (id, snapshot) = (Admins("id"), Admins("snapshot_id"));
        VolumeId? wanted = VolumeId.TryParse(id, null, out var volume) ? volume : null;
        SnapshotId? from = SnapshotId.TryParse(snapshot, null, out var parsed) ? parsed : null;
        if (query.Text("group_id") is not null
            || (version >= QuotaShown && Flag("consumes_quota") is false)
            || (id is not null && wanted is null) || (snapshot is not null && from is null)
            || (admin && query.Names.Any(n => !Understood.Contains(n) && !Administrators.Contains(n))))
        {
            return null;
        }

        return new()
        {
            Id = wanted,
            Name = query.Text("name") ?? Admins("display_name"),
            NameLike = Like("name") ?? (admin ? Like("display_name") : null),
            Status = query.Text("status"),
            StatusLike = Like("status"),
            Bootable = version < BootableIsABoolean && query.Text("bootable") is { } text ? text is not ("False" or "false" or "FALSE") : Flag("bootable"),
            Multiattach = admin ? Flag("multiattach") : null,
            SizeGib = query.Whole("size"),
            MigrationStatus = query.Text("migration_status") is "None" ? "none" : query.Text("migration_status"),
            AvailabilityZone = query.Text("availability_zone"),
            AvailabilityZoneLike = Like("availability_zone"),
            Snapshot = from,
            UserId = Admins("user_id"),
            Host = Admins("host"),
            VolumeType = Admins("volume_type_id"),
            Metadata = Map("metadata"),
            GlanceMetadata = version >= GlanceMetadataFilter ? Map("glance_metadata") : null,
            Created = version >= TimesCompared ? query.Times("created_at") : [],
            Updated = version >= TimesCompared ? query.Times("updated_at") : [],
        };
    }

    internal sealed record VolumeList<T>(
        IReadOnlyList<T> Volumes,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? VolumesLinks,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Count);
}
