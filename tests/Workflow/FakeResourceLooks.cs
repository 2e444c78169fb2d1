using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// The looks at <see cref="FakeResources"/>: whether a run lives is asked of the server the test runs on, what is decided is decided by the real rules, and the time of
/// the looks is the test's. Everything in the records was written when the test began.
/// </summary>
public sealed class FakeResourceLooks(Func<FakeResources> current, ITemporalClient client) : IReconcileActivities, IOperationRepairActivities
{
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly DateTimeOffset Began = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);
    private List<Finding> open = [];

    /// <summary>When everything is old enough to be repaired.</summary>
    public static DateTimeOffset Old => Began + Steps.LongestRun;

    /// <summary>When the next look takes place.</summary>
    public DateTimeOffset Now { get; set; } = Began;

    private FakeResources Resources => current();

    /// <summary>What happens between the next decision and its repair; null for nothing.</summary>
    public Func<Task>? BeforeRepair { get; set; }

    /// <summary>Forgets what earlier tests have found.</summary>
    public void Reset() => (open, Now) = ([], Began);

    [Activity]
    public async Task<SuspiciousRecords> ReadRecordsAsync()
    {
        var snapshots = new List<SnapshotFact>();
        foreach (var (id, status) in Resources.SnapshotRows.Where(r => r.Value is "creating" or "deleting").ToList())
        {
            var ofImage = Resources.OfImage.Contains(id);
            var work = await FindAsync(status == "creating" ? Names.CreateSnapshotWorkflow(id) : Resources.Deletion is null ? Names.DeleteSnapshotWorkflow(id) : Names.DeleteImageWorkflow(Resources.Image));
            snapshots.Add(new(id, FakeResources.Backend, ofImage ? Resources.Image : null, EnumText.Parse<SnapshotStatus>(status), Began, false, work, ByItsRun: true));
        }

        var restoring = Resources is { Restoring: { } r, Operation: RunStatus.Running } ? r : null;
        var volumes = new List<VolumeFact>();
        foreach (var (id, status) in Resources.VolumeRows.Where(v => v.Value is "creating" or "deleting").ToList())
        {
            var work = await FindAsync(restoring is not null ? Names.RestoreImageWorkflow(restoring.Operation) : status == "creating" ? Names.CreateVolumeWorkflow(id) : Names.DeleteVolumeWorkflow(id));
            volumes.Add(new(id, status, true, restoring?.Operation, Began, work, ByItsRun: true));
        }

        List<OperationFact> operations =
        [
            .. Resources is { Deletion: { } d, Operation: RunStatus.Running }
                ? [new OperationFact(d.Operation, OperationKind.DeleteImage, d.Image, Began, 0, await FindAsync(Names.DeleteImageWorkflow(d.Image)))] : (OperationFact[])[],
            .. restoring is not null
                ? [new OperationFact(restoring.Operation, OperationKind.RestoreImage, restoring.Image, Began, 0, await FindAsync(Names.RestoreImageWorkflow(restoring.Operation)))] : (OperationFact[])[],
        ];
        return new([], [], [], snapshots, [], []) { Operations = operations, Volumes = volumes };
    }

    [Activity]
    public Task<ComparedPage> CompareSnapshotsAsync(CompareInput input) => throw new NotSupportedException("no back end is looked at");

    [Activity]
    public async Task<RunLookup> LookUpRunsAsync(IReadOnlyList<ImageId> images) => new(
        [.. images.Select(i => new RunFact(i, false, "completed", RunStatus.Completed, Began, false, 0))],
        images.Contains(Resources.Image) && Resources.ImageStatus != "deleted"
            ? [new(Resources.Image, EnumText.Parse<ImageStatus>(Resources.ImageStatus), Began, 0, Resources.Deletion is null ? null : await FindAsync(Names.DeleteImageWorkflow(Resources.Image)))]
            : []);

    [Activity]
    public Task<ReconciliationDecision> DecideRepairsAsync(DecideInput input)
    {
        var decision = Reconciliation.Decide(input.World, open, Now, new(input.Interval, CreateImageWorkflow.LongestRun, Steps.LongestRun));
        open = [.. decision.Findings];
        return Task.FromResult(decision);
    }

    [Activity]
    public Task<UndoPlan?> BeginUndoAsync(ImageId image) => Task.FromResult<UndoPlan?>(null);

    [Activity]
    public Task<bool> ConfirmDeletionAsync(Repair repair) => Task.FromResult(false);

    [Activity]
    public Task<bool> RepairRecordsAsync(Repair repair) => Task.FromResult(false);

    [Activity]
    public Task RecordRepairAsync(RepairOutcome outcome)
    {
        open.RemoveAll(f => outcome.Succeeded && outcome.Findings.Contains(f.Key));
        return Task.CompletedTask;
    }

    [Activity]
    public async Task<DeletionToFinish?> BeginFinishDeletionAsync(Repair repair)
    {
        await ((BeforeRepair ?? (() => Task.CompletedTask))());
        BeforeRepair = null;
        return repair switch
        {
            { Operation: not null } => new(Image: Resources.Deletion! with { Resume = true }),
            { Snapshot: { } snapshot } => new(Snapshot: new(snapshot, false, Resources.DeleteSnapshot().Caller, "req-2", Resume: true)),
            _ => new(Volume: new(repair.Volume!.Value, false, Resources.DeleteSnapshot().Caller, "req-2", Resume: true)),
        };
    }

    [Activity]
    public Task<CreationToGiveUp?> BeginGiveUpCreationAsync(Repair repair)
    {
        switch (repair)
        {
            case { Snapshot: { } snapshot }:
                Resources.SnapshotRows[snapshot] = "error";
                return Task.FromResult<CreationToGiveUp?>(new(new(FakeResources.Backend, Resources.Volume, snapshot), [], null));
            case { Volume: { } volume }:
                Resources.VolumeRows[volume] = "error";
                return Task.FromResult<CreationToGiveUp?>(new(null, [new(volume, FakeResources.Backend)], null));
            default:
                var reason = new Refusal(ErrorKind.StaleStatus, "the restore was ended from outside");
                return Task.FromResult<CreationToGiveUp?>(new(
                    null, [.. Resources.VolumeRows.Keys.Select(v => new VolumeToDelete(v, FakeResources.Backend))], new(Resources.Restoring!, RunStatus.Failed, reason, [])));
        }
    }

    private async Task<WorkFact> FindAsync(string workflow)
    {
        try
        {
            // The server's clock is not the test's.
            return new((await client.GetWorkflowHandle(workflow).DescribeAsync()).Status is WorkflowExecutionStatus.Running, "terminated", Began);
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return new(false, "unknown", null);
        }
    }
}
