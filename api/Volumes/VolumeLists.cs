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

/// <summary>Lists of volumes.</summary>
internal sealed class VolumeLists(VolumeStore store) : BlockStorageList<Volume, VolumeFilter>(Policies.ListVolumes, "Volume")
{
    private static readonly Microversion BootableIsABoolean = new(3, 2);
    private static readonly Microversion GlanceMetadataFilter = new(3, 4);
    private static readonly Microversion Summarized = new(3, 12);
    private static readonly Microversion MetadataSummarized = new(3, 36);
    private static readonly Microversion TimesCompared = new(3, 60);
    private static readonly Microversion QuotaShown = new(3, 65);

    protected override IReadOnlyList<string> Everybodys { get; } =
    [
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at", "updated_at", "consumes_quota", "name~", "status~",
        "availability_zone~",
    ];

    protected override IReadOnlyList<string> Administrators { get; } =
        ["id", "display_name", "display_name~", "user_id", "host", "snapshot_id", "volume_type_id", "multiattach", "glance_metadata"];

    public static async Task<Ok<VolumeList<VolumeSummary>>> ListAsync(HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var part = await new VolumeLists(store).ReadAsync(context, ct);
        return Answer(part, part.Rows.Select(v => VolumeSummary.Of(v, context)));
    }

    public static async Task<Ok<VolumeList<VolumeView>>> ListDetailAsync(HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var part = await new VolumeLists(store).ReadAsync(context, ct);
        return Answer(part, await VolumeView.OfAsync(part.Rows, context, store, ct));
    }

    /// <summary>All volumes in two numbers, from 3.36 on with what their metadata says. No filter matters. Source: Cinder API v3, <c>volumes/summary</c>.</summary>
    public static async Task<Ok<SummaryDocument>> SummarizeAsync(HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var (caller, version) = (context.Caller(), context.Microversion());
        if (version < Summarized)
        {
            throw Fault.NotFound($"API version {version} is not supported on this method.");
        }

        context.Demand(Policies.ListVolumes);
        var everybodys = new ListQuery(context).Switch("all_tenants") && caller.IsAdmin;
        var totals = await store.TotalsAsync(everybodys ? null : caller.ProjectId, ct);
        return TypedResults.Ok(new SummaryDocument(new(totals.Count, totals.SizeGib) { Metadata = version >= MetadataSummarized ? totals.Metadata : null }));
    }

    protected override string[] SortKeys(Asked asked) =>
    [
        "id", "name", "display_name", "status", "size", "availability_zone", "bootable", "snapshot_id", "user_id", "project_id", "created_at", "updated_at",
        // The order would give the back ends away.
        .. asked.IsAdmin ? ["host"] : (string[])[],
    ];

    protected override VolumeFilter? Filter(Asked asked, SortOrder order)
    {
        var (id, snapshot) = (asked.Admins("id"), asked.Admins("snapshot_id"));
        VolumeId? wanted = VolumeId.TryParse(id, null, out var volume) ? volume : null;
        SnapshotId? from = SnapshotId.TryParse(snapshot, null, out var parsed) ? parsed : null;
        if (asked.Text("group_id") is not null
            || (asked.Version >= QuotaShown && asked.Flag("consumes_quota") is false)
            || (id is not null && wanted is null) || (snapshot is not null && from is null))
        {
            // No volume of ours belongs to a group, all count against their quota, and none has an id that is no UUID.
            return null;
        }

        return new()
        {
            Id = wanted,
            Name = asked.Name,
            NameLike = asked.NameLike,
            Status = asked.Text("status"),
            StatusLike = asked.Like("status"),
            Bootable = asked.Version < BootableIsABoolean && asked.Text("bootable") is { } text ? text is not ("False" or "false" or "FALSE") : asked.Flag("bootable"),
            Multiattach = asked.IsAdmin ? asked.Flag("multiattach") : null,
            SizeGib = asked.Query.Whole("size"),
            MigrationStatus = asked.Text("migration_status") is "None" ? "none" : asked.Text("migration_status"),
            AvailabilityZone = asked.Text("availability_zone"),
            AvailabilityZoneLike = asked.Like("availability_zone"),
            Snapshot = from,
            UserId = asked.Admins("user_id"),
            Host = asked.Admins("host"),
            VolumeType = asked.Admins("volume_type_id"),
            Metadata = asked.Map("metadata"),
            GlanceMetadata = asked.Version >= GlanceMetadataFilter ? asked.Map("glance_metadata") : null,
            Created = asked.Version >= TimesCompared ? asked.Query.Times("created_at") : [],
            Updated = asked.Version >= TimesCompared ? asked.Query.Times("updated_at") : [],
            Order = order,
        };
    }

    protected override Task<IReadOnlyList<Volume>> ListAsync(string? project, VolumeFilter filter, Page page, CancellationToken ct) => store.ListAsync(project, filter, page, ct);

    protected override Task<int> CountAsync(string? project, VolumeFilter filter, CancellationToken ct) => store.CountAsync(project, filter, ct);

    protected override object IdOf(Volume row) => row.Id;

    private static Ok<VolumeList<T>> Answer<T>(Part part, IEnumerable<T> views) => TypedResults.Ok(new VolumeList<T>([.. views], part.Links, part.Count));

    internal sealed record VolumeList<T>(
        IReadOnlyList<T> Volumes,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? VolumesLinks,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Count);

    /// <summary>The one name of Block Storage that is spelled with a hyphen.</summary>
    internal sealed record SummaryDocument([property: JsonPropertyName("volume-summary")] Totals Summary);

    /// <summary>How many volumes, and how many GiB.</summary>
    internal sealed record Totals(int TotalCount, long TotalSize)
    {
        /// <summary>The values of each key of their metadata; from 3.36.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public IReadOnlyDictionary<string, IReadOnlyList<string>>? Metadata { get; init; }
    }
}
