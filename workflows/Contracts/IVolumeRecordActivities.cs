using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>The record-keeping of volumes that are made and deleted, on the task queue <see cref="Names.ControlQueue"/>. All may be repeated.</summary>
public interface IVolumeRecordActivities
{
    /// <summary>
    /// Checks the snapshot, takes the quota and writes the row (<c>creating</c>) in one transaction. <see cref="ErrorKind.NotFound"/>,
    /// <see cref="ErrorKind.InvalidRequest"/>, <see cref="ErrorKind.QuotaExceeded"/>.
    /// </summary>
    [Activity]
    Task<AdmittedVolume> AdmitVolumeAsync(CreateVolumeInput input);

    /// <summary>The volume becomes <c>available</c> and gets the image metadata of its snapshot.</summary>
    [Activity]
    Task CompleteVolumeAsync(MadeVolume made);

    /// <summary>The volume becomes <c>error</c> and holds its quota until it is deleted; the user is told.</summary>
    [Activity]
    Task FailVolumeAsync(FailVolumeInput input);

    /// <summary>Undo of <see cref="AdmitVolumeAsync"/>, for a run that was cancelled or refused: the row is deleted, also one that comes late.</summary>
    [Activity]
    Task WithdrawVolumeAsync(CreateVolumeInput input);

    /// <summary>Refuses what may not be deleted, else the volume becomes <c>deleting</c>. <see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.InvalidRequest"/>.</summary>
    [Activity]
    Task<VolumeToDelete> BeginDeleteVolumeAsync(DeleteVolumeInput input);

    /// <summary>Gone: the row too. Else <c>error_deleting</c>, and the user is told.</summary>
    [Activity]
    Task EndDeleteVolumeAsync(EndDeleteVolumeInput input);
}
