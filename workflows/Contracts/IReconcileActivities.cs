using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>The looking and record-keeping of <see cref="ReconcileWorkflow"/>, on the task queue <see cref="Names.ControlQueue"/>. All may be repeated.</summary>
public interface IReconcileActivities
{
    /// <summary>Reads what in the records may be out of order, and where else to look.</summary>
    [Activity]
    Task<SuspiciousRecords> ReadRecordsAsync();

    /// <summary>Compares one page of a back end's snapshots with the rows.</summary>
    [Activity]
    Task<ComparedPage> CompareSnapshotsAsync(CompareInput input);

    /// <summary>Asks Temporal and the records about runs. Fails when Temporal gives no answer: a run that cannot be asked about counts as neither.</summary>
    [Activity]
    Task<RunLookup> LookUpRunsAsync(IReadOnlyList<ImageId> images);

    /// <summary>Decides by <see cref="Reconciliation.Decide"/> and records the findings.</summary>
    [Activity]
    Task<ReconciliationDecision> DecideRepairsAsync(DecideInput input);

    /// <summary>
    /// Looks once more, and if the run is still over and not completed closes its door and records it as failed with everything that is yet to go as
    /// leftovers. Null when there is nothing to undo any more.
    /// </summary>
    [Activity]
    Task<UndoPlan?> BeginUndoAsync(ImageId image);

    /// <summary>Looks once more whether the snapshot of a <see cref="RepairKind.DeleteSnapshot"/> is ours and given up for good.</summary>
    [Activity]
    Task<bool> ConfirmDeletionAsync(Repair repair);

    /// <summary>Does a <see cref="RepairKind.ReleaseReservation"/> or <see cref="RepairKind.ReleaseServer"/>, unless a run lives by now.</summary>
    [Activity]
    Task<bool> RepairRecordsAsync(Repair repair);

    /// <summary>Writes down how a repair went.</summary>
    [Activity]
    Task RecordRepairAsync(RepairOutcome outcome);
}
