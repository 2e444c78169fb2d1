using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// The looks at a <see cref="FakeCloud"/>: whether the run lives is asked of the server the test runs on, what is decided is decided by the real rules, and
/// the time of the looks is the test's. Everything of the run is as old as its request.
/// </summary>
public sealed class FakeReconcileActivities(FakeActivities activities, ITemporalClient client) : IReconcileActivities, ILeaseActivities
{
    public static readonly DateTimeOffset Began = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    private List<Finding> open = [];

    /// <summary>When the next look takes place.</summary>
    public DateTimeOffset Now { get; set; } = Began;

    private FakeCloud Cloud => activities.Cloud;

    private RunStatus? Row => Cloud switch
    {
        { Opened: null } => null,
        { Closed: { } closed } => closed.Status,
        { Recorded: not null } => RunStatus.Completed,
        _ => RunStatus.Running,
    };

    /// <summary>Forgets what earlier tests have found.</summary>
    public void Reset() => (open, Now) = ([], Began);

    [Activity]
    public Task<SuspiciousRecords> ReadRecordsAsync() => Do("ReadRecords", () => new SuspiciousRecords(
        ["host-1"],
        ["host-1@file"],
        Row is RunStatus.Running or RunStatus.CompensationFailed ? [Cloud.Opened!.Image] : [],
        [],
        [.. Cloud.Reserved.Select(i => new ReservationFact(i, Began))],
        Cloud.TaskState is { } holder ? [new(Cloud.Server, ImageId.Parse(holder), Began)] : []));

    [Activity]
    public Task<IReadOnlyList<LeaseFact>> ListLeasesAsync() => Do<IReadOnlyList<LeaseFact>>("ListLeases", () => Cloud.Frozen
        ? [new("host-1", Cloud.Server, Cloud.Opened!.Image.ToString(), Cloud.AgentAddress!, Began, Began + FreezeDeadline.Default)]
        : []);

    [Activity]
    public Task<ComparedPage> CompareSnapshotsAsync(CompareInput input) => Do("CompareSnapshots", () => new ComparedPage(
        [.. input.Snapshots.Where(s => !Cloud.Volumes.Contains(s.Volume) || Row is not RunStatus.Running)
            .Where(s => Row is not RunStatus.Completed || !Cloud.Volumes.Contains(s.Volume))
            .Select(s => new StoredFact(
                input.Backend, s.Volume, s.Snapshot, s.CutAt, Cloud.Volumes.Contains(s.Volume) ? new(s.Volume, Cloud.Opened!.Image, Began) : null))],
        []));

    [Activity]
    public async Task<RunLookup> LookUpRunsAsync(IReadOnlyList<ImageId> images)
    {
        var runs = new List<RunFact>();
        foreach (var image in images)
        {
            var ours = Cloud.Opened?.Image == image;
            var (live, words) = await FindAsync(image);
            runs.Add(new(image, live, words, ours ? Row : null, ours ? Began : null, Cloud.Closed is not null, Cloud.Closed?.Leftovers.Count ?? 0));
        }

        return new(runs, Cloud.ImageStatus is { } status && images.Contains(Cloud.Opened!.Image)
            ? [new(Cloud.Opened.Image, EnumText.Parse<ImageStatus>(status), Began, 0)]
            : []);
    }

    [Activity]
    public Task<ReconciliationDecision> DecideRepairsAsync(DecideInput input) => Do("DecideRepairs", () =>
    {
        var decision = Reconciliation.Decide(input.World, open, Now, new(input.Interval, CreateImageWorkflow.LongestRun, Steps.LongestRun));
        open = [.. decision.Findings, .. open.Where(f => decision.Findings.All(g => g.Key != f.Key) && !decision.Gone.Contains(f.Key))];
        return decision;
    });

    [Activity]
    public async Task<UndoPlan?> BeginUndoAsync(ImageId image) => (await FindAsync(image)).Live || Cloud.Opened is not { } request || request.Image != image
        ? null
        : new(request, RunStatus.Failed, new(ErrorKind.StaleStatus, $"the run was ended from outside ({(await FindAsync(image)).Words})"), null, [],
            [.. Cloud.Volumes.Select(v => new SnapshotToDelete("host-1@file", v, DeterministicId.Snapshot(image, v)))]);

    [Activity]
    public async Task<bool> ConfirmDeletionAsync(Repair repair) => !(await FindAsync(repair.Image!.Value)).Live;

    [Activity]
    public Task<bool> RepairRecordsAsync(Repair repair) => Do("RepairRecords", () =>
    {
        Cloud.Release(repair.Image!.Value);
        Cloud.ReleaseQuota(repair.Image.Value);
        return true;
    });

    [Activity]
    public Task RecordRepairAsync(RepairOutcome outcome) => Do("RecordRepair", () =>
    {
        open.RemoveAll(f => outcome.Succeeded && outcome.Findings.Contains(f.Key));
        return true;
    });

    private Task<T> Do<T>(string activity, Func<T> effect) => Cloud.DoAsync(activity, effect);

    private async Task<(bool Live, string Words)> FindAsync(ImageId image)
    {
        try
        {
            var run = await client.GetWorkflowHandle(Names.CreateImageWorkflow(image)).DescribeAsync();
            return (run.Status is WorkflowExecutionStatus.Running, run.Status.ToString());
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return (false, "unknown");
        }
    }
}
