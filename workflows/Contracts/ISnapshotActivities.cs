using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>The record-keeping of snapshots that are made or deleted one at a time, on the task queue <see cref="Names.ControlQueue"/>. All may be repeated.</summary>
public interface ISnapshotActivities
{
    /// <summary>
    /// Every check of Block Storage in its order, then quota and row (<c>creating</c>) in one transaction in which the volume cannot change; notification
    /// <c>snapshot.create.start</c>. <see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.InvalidRequest"/>, <see cref="ErrorKind.QuotaExceeded"/>.
    /// </summary>
    [Activity]
    Task<AdmittedSnapshot> AdmitSnapshotAsync(CreateVolumeSnapshotInput input);

    /// <summary>The snapshot becomes <c>available</c> at 100 %; notification <c>snapshot.create.end</c>.</summary>
    [Activity]
    Task CompleteSnapshotAsync(CreateVolumeSnapshotInput input);

    /// <summary>The snapshot becomes <c>error</c> and holds its quota until it is deleted; the user is told.</summary>
    [Activity]
    Task FailSnapshotAsync(FailSnapshotInput input);

    /// <summary>Undo of <see cref="AdmitSnapshotAsync"/>, for a run that was cancelled or refused: the row is deleted, also one that comes late.</summary>
    [Activity]
    Task WithdrawSnapshotAsync(CreateVolumeSnapshotInput input);

    /// <summary>
    /// Refuses what may not be deleted, else the snapshot becomes <c>deleting</c>; notification <c>snapshot.delete.start</c>. <see cref="ErrorKind.NotFound"/>,
    /// <see cref="ErrorKind.InvalidRequest"/> by its status, <see cref="ErrorKind.StaleStatus"/> when an image or a volume needs it.
    /// </summary>
    [Activity]
    Task<SnapshotToDelete> BeginDeleteSnapshotAsync(DeleteSnapshotInput input);

    /// <summary>Gone: the row too, notification <c>snapshot.delete.end</c>. Busy: <c>available</c> again. Else <c>error_deleting</c>. The user is told of both.</summary>
    [Activity]
    Task EndDeleteSnapshotAsync(EndDeleteSnapshotInput input);
}
