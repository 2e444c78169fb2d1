using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>Lists of snapshots.</summary>
internal sealed class SnapshotLists(SnapshotStore store) : BlockStorageList<Snapshot, SnapshotFilter>(Policies.ListSnapshots, "Snapshot")
{
    private static readonly Microversion MetadataFilter = new(3, 22);
    private static readonly Microversion SortByName = new(3, 30);
    private static readonly Microversion QuotaShown = new(3, 65);

    protected override IReadOnlyList<string> Everybodys { get; } =
        ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota", "name~", "status~", "volume_id~"];

    protected override IReadOnlyList<string> Administrators { get; } = ["id", "display_name", "display_name~", "user_id", "volume_size", "volume_type_id", "host"];

    public static async Task<Ok<SnapshotList<SnapshotSummary>>> ListAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        Answer(await new SnapshotLists(store).ReadAsync(context, ct), SnapshotSummary.Of);

    public static async Task<Ok<SnapshotList<SnapshotView>>> ListDetailAsync(HttpContext context, SnapshotStore store, CancellationToken ct) =>
        Answer(await new SnapshotLists(store).ReadAsync(context, ct), s => SnapshotView.Of(s, context.Microversion()));

    protected override string[] SortKeys(Asked asked) =>
        ["id", "status", "volume_size", "created_at", "updated_at", "volume_id", "display_name", .. asked.Version >= SortByName ? ["name"] : (string[])[]];

    protected override SnapshotFilter? Filter(Asked asked, SortOrder order)
    {
        VolumeId? volume = VolumeId.TryParse(asked.Text("volume_id"), null, out var ofVolume) ? ofVolume : null;
        SnapshotId? id = SnapshotId.TryParse(asked.Admins("id"), null, out var wanted) ? wanted : null;
        if ((asked.Text("volume_id") is not null && volume is null) || (asked.Admins("id") is not null && id is null))
        {
            // No snapshot or volume has an id that is no UUID.
            return null;
        }

        return new(
            Name: asked.Name,
            NameLike: asked.NameLike,
            Status: asked.Text("status"),
            StatusLike: asked.Like("status"),
            Volume: volume,
            VolumeLike: asked.Like("volume_id"),
            ConsumesQuota: asked.Version >= QuotaShown ? asked.Flag("consumes_quota") : null,
            AvailabilityZone: asked.Text("availability_zone"),
            Metadata: asked.Version >= MetadataFilter ? asked.Map("metadata") : null,
            Order: order,
            Id: id,
            UserId: asked.Admins("user_id"),
            SizeGib: asked.IsAdmin ? asked.Query.Whole("volume_size") : null,
            VolumeType: asked.Admins("volume_type_id"),
            Host: asked.Admins("host"));
    }

    protected override Task<IReadOnlyList<Snapshot>> ListAsync(string? project, SnapshotFilter filter, Page page, CancellationToken ct) => store.ListAsync(project, filter, page, ct);

    protected override Task<int> CountAsync(string? project, SnapshotFilter filter, CancellationToken ct) => store.CountAsync(project, filter, ct);

    protected override object IdOf(Snapshot row) => row.Id;

    private static Ok<SnapshotList<T>> Answer<T>(Part part, Func<Snapshot, T> view) => TypedResults.Ok(new SnapshotList<T>([.. part.Rows.Select(view)], part.Links, part.Count));

    internal sealed record SnapshotList<T>(
        IReadOnlyList<T> Snapshots,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? SnapshotsLinks,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Count);
}
