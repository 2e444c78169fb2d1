using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>The record-keeping of what is done to an image after it was made, on the task queue <see cref="Names.ControlQueue"/>. All may be repeated.</summary>
public interface IImageActivities
{
    /// <summary>
    /// Refuses an image that may not be deleted; else it becomes <c>pending_delete</c>, its snapshots <c>deleting</c> (unless they are kept), and the operation's
    /// row is opened. Answers the snapshots to delete. <see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.Forbidden"/> when it is protected,
    /// <see cref="ErrorKind.StaleStatus"/> while it is being made or a volume needs one of its snapshots.
    /// </summary>
    [Activity]
    Task<IReadOnlyList<SnapshotToDelete>> BeginDeleteImageAsync(DeleteImageInput input);

    /// <summary>The snapshots and the image are recorded as what they have become, the operation's row is closed with what is left.</summary>
    [Activity]
    Task EndDeleteImageAsync(EndDeleteImageInput input);

    /// <summary>
    /// Refuses an image that cannot be restored as a whole; else writes a row (<c>creating</c>) for each volume and opens the operation's, with the quota taken,
    /// in one transaction. <see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.StaleStatus"/>, <see cref="ErrorKind.QuotaExceeded"/>.
    /// </summary>
    [Activity]
    Task<PreparedRestore> PrepareRestoreAsync(RestoreImageInput input);

    /// <summary>The volumes become <c>available</c> with the image metadata of their snapshots, all at once; the operation's row is closed.</summary>
    [Activity]
    Task CompleteRestoreAsync(CompleteRestoreInput input);

    /// <summary>Undo of <see cref="PrepareRestoreAsync"/>: the rows are deleted, also of volumes whose row comes late.</summary>
    [Activity]
    Task UndoRestoreAsync(UndoRestoreInput input);

    /// <summary>Closes the operation's row.</summary>
    [Activity]
    Task CloseRestoreAsync(CloseRestoreInput input);
}
