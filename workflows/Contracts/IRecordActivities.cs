using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>
/// The record-keeping steps, on the task queue <see cref="Names.ControlQueue"/>. All may be repeated: ids are deterministic and status changes say what
/// they expect to find. They fail with an <see cref="ErrorKind"/> as error type.
/// </summary>
public interface IRecordActivities
{
    /// <summary>
    /// Loads server and block devices as the caller may see them, refuses what can be refused without side effect, and takes the server's task state
    /// (<c>image_snapshot</c>, held by this image) in the same transaction; opens the run's row.
    /// <see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.StaleStatus"/>, <see cref="ErrorKind.InvalidRequest"/>, <see cref="ErrorKind.Forbidden"/>.
    /// </summary>
    [Activity]
    Task<PreparedImage> PrepareImageAsync(CreateImageInput input);

    /// <summary>The same checks without taking or writing anything; also whether the quota would suffice.</summary>
    [Activity]
    Task<PreparedImage> PlanImageAsync(CreateImageInput input);

    /// <summary>Where a server is now. <see cref="ErrorKind.NotFound"/> when it is deleted.</summary>
    [Activity]
    Task<ServerLocation> LocateServerAsync(ServerId server);

    /// <summary>Undo of <see cref="PrepareImageAsync"/>: clears the task state if this image still holds it.</summary>
    [Activity]
    Task ReleaseServerAsync(CreateImageInput input);

    /// <summary>Reserves snapshots, gigabytes and the per-type quotas for all volumes in one transaction. <see cref="ErrorKind.QuotaExceeded"/>.</summary>
    [Activity]
    Task CheckQuotaAsync(PreparedInput input);

    /// <summary>Undo of <see cref="CheckQuotaAsync"/>: drops what is still reserved for this image.</summary>
    [Activity]
    Task ReleaseQuotaAsync(CreateImageInput input);

    /// <summary>Snapshot rows <c>creating</c>, image row <c>queued</c>, instance action started, notifications <c>snapshot.create.start</c>.</summary>
    [Activity]
    Task ReserveRecordsAsync(PreparedInput input);

    /// <summary>Undo of <see cref="ReserveRecordsAsync"/>: snapshot rows and image row are deleted, quota that was committed for them comes back.</summary>
    /// <remarks>Rows of snapshots that still exist in their back end stay, as <c>error_deleting</c>: <paramref name="leftBehind"/> names them.</remarks>
    [Activity]
    Task RemoveRecordsAsync(CreateImageInput input, IReadOnlyList<SnapshotId> leftBehind);

    /// <summary>Copies the image metadata of a bootable volume to its snapshot; a volume that has none is fine. Upserts, so repeating adds nothing.</summary>
    [Activity]
    Task CopyGlanceMetadataAsync(VolumeSnapshotInput input);

    /// <summary>Snapshots become <c>available</c> at 100 %, the quota reservation is committed, notifications <c>snapshot.create.end</c>.</summary>
    [Activity]
    Task CompleteSnapshotsAsync(PreparedInput input);

    /// <summary>
    /// The image gets its properties, mapping and evidence and becomes <c>active</c>; the instance action ends, the task state is cleared, the run's row
    /// is closed. Refuses with <see cref="ErrorKind.StaleStatus"/> unless every snapshot is <c>available</c>.
    /// </summary>
    [Activity]
    Task CreateImageRecordAsync(CreateImageRecordInput input);

    /// <summary>Closes the run's row, if there is one, and ends its instance action with the error.</summary>
    [Activity]
    Task CloseRunAsync(CloseRunInput input);
}
