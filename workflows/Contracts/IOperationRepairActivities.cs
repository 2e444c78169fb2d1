using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>
/// How <see cref="ReconcileWorkflow"/> begins to repair what was done to things after they were made, on the task queue <see cref="Names.ControlQueue"/>. Each looks once
/// more, at Temporal and at the records, and answers null when there is nothing to do any more. All may be repeated.
/// </summary>
public interface IOperationRepairActivities
{
    /// <summary>How the run of a <see cref="RepairKind.FinishDeletion"/> is started again.</summary>
    [Activity]
    Task<DeletionToFinish?> BeginFinishDeletionAsync(Repair repair);

    /// <summary>Closes what was being made to the steps of its run and answers what its back ends may have.</summary>
    [Activity]
    Task<CreationToGiveUp?> BeginGiveUpCreationAsync(Repair repair);
}
