using System.Linq.Expressions;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Looks once at everything that runs take and leave, reports what is out of order, and repairs what has been so for two looks.
/// <list type="bullet">
/// <item>A run that was terminated, that Temporal has forgotten, or whose undo failed ends in a clean state: nothing of it is left, and its row says why.</item>
/// <item>A deletion whose run is gone is started again and goes on; a restore is undone; a snapshot or volume that nobody makes any more is left as <c>error</c>.</item>
/// <item>Nothing of a run that lives or is younger than <see cref="CreateImageWorkflow.LongestRun"/> or <see cref="Steps.LongestRun"/> is touched, nothing is deleted that this
/// product did not make.</item>
/// <item>A host or back end that gives no answer is named in the result, and holds up nothing else.</item>
/// <item>A repair that fails is written down and tried again by the next look.</item>
/// </list>
/// Runs on the schedule <see cref="Names.ReconcileSchedule"/>, one look at a time. What is a finding and what is certain is decided by <see cref="Reconciliation"/>.
/// </summary>
[Workflow("Reconcile")]
public sealed class ReconcileWorkflow
{
    private const int PageSize = 1000;
    private const int RepairsAtOnce = 8;

    private readonly List<string> unseen = [];

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<ReconcileResult> RunAsync(ReconcileInput input)
    {
        var records = await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.ReadRecordsAsync(), Recording());
        var leases = (await Workflow.WhenAllAsync(records.Hosts.Select(ListLeasesAsync))).SelectMany(l => l).ToList();
        var compared = (await Workflow.WhenAllAsync(records.Backends.Select(CompareAsync))).SelectMany(pages => pages).ToList();
        var world = await LookUpRunsAsync(new()
        {
            Leases = leases,
            Stored = [.. compared.SelectMany(page => page.Stored)],
            Snapshots = [.. records.Snapshots, .. compared.SelectMany(page => page.Missing).Where(m => records.Snapshots.All(s => s.Snapshot != m.Snapshot))],
            Reservations = records.Reservations,
            TaskStates = records.TaskStates,
            Operations = records.Operations,
            Volumes = records.Volumes,
            Unseen = unseen,
        }, records.Images);

        var decision = await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.DecideRepairsAsync(new(world, input.Interval)), Recording());
        var outcomes = new List<RepairOutcome>();
        foreach (var some in decision.Repairs.Chunk(RepairsAtOnce))
        {
            outcomes.AddRange(await Workflow.WhenAllAsync(some.Select(RepairAsync)));
        }

        return new(decision.Findings, decision.Gone, outcomes, unseen);
    }

    private async Task<IReadOnlyList<LeaseFact>> ListLeasesAsync(string host)
    {
        var queue = Names.ComputeQueue(host);
        try
        {
            return await Workflow.ExecuteActivityAsync((ILeaseActivities a) => a.ListLeasesAsync(), Looking(queue, heartbeat: null));
        }
        catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e))
        {
            unseen.Add(queue);
            return [];
        }
    }

    /// <summary>Goes through a back end page by page, as far as it answers.</summary>
    private async Task<IReadOnlyList<ComparedPage>> CompareAsync(string backend)
    {
        var queue = Names.VolumeQueue(backend);
        var pages = new List<ComparedPage>();
        string? next = null;
        SnapshotId? after = null;
        do
        {
            StoredPage page;
            try
            {
                page = await Workflow.ExecuteActivityAsync((IVolumeActivities a) => a.ListVolumeSnapshotsAsync(new(next, PageSize)), Looking(queue, TimeSpan.FromSeconds(5)));
            }
            catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e))
            {
                unseen.Add(queue);
                return pages;
            }

            SnapshotId? through = page.Snapshots.Count > 0 ? page.Snapshots[^1].Snapshot : after;
            if (page.Next is null || page.Snapshots.Count > 0)
            {
                var range = new CompareInput(backend, after, page.Next is null ? null : through, page.Snapshots);
                pages.Add(await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.CompareSnapshotsAsync(range), Recording()));
            }

            (after, next) = (through, page.Next);
        }
        while (next is not null);

        return pages;
    }

    /// <summary>Completes the world with the runs of all images that anything in it names.</summary>
    private static async Task<ReconciliationWorld> LookUpRunsAsync(ReconciliationWorld world, IReadOnlyList<ImageId> images)
    {
        var holders = world.Leases.Select(l => ImageId.TryParse(l.RunToken, null, out var image) ? image : (ImageId?)null);
        List<ImageId> named =
        [
            .. images
                .Concat(holders.OfType<ImageId>())
                .Concat(world.Stored.Select(s => s.Tombstone?.Image).OfType<ImageId>())
                .Concat(world.Snapshots.Select(s => s.Image).OfType<ImageId>())
                .Concat(world.Reservations.Select(r => r.Image))
                .Concat(world.TaskStates.Select(t => t.Image).OfType<ImageId>())
                .Concat(world.Operations.Select(o => o.Image))
                .Distinct(),
        ];
        var found = await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.LookUpRunsAsync(named), Recording(TimeSpan.FromMinutes(1)));
        return world with { Runs = found.Runs, Images = found.Images };
    }

    private async Task<RepairOutcome> RepairAsync(PlannedRepair planned)
    {
        var repair = planned.Repair;
        RepairOutcome outcome;
        try
        {
            var done = repair.Kind switch
            {
                RepairKind.Thaw => await ThawAsync(repair),
                RepairKind.UndoRun => await UndoRunAsync(repair.Image!.Value),
                RepairKind.DeleteSnapshot => await DeleteSnapshotAsync(repair),
                RepairKind.FinishDeletion => await FinishDeletionAsync(repair),
                RepairKind.GiveUpCreation => await GiveUpCreationAsync(repair),
                _ => await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.RepairRecordsAsync(repair), Recording()) ? "released" : null,
            };
            outcome = new(repair, planned.Findings, done ?? "nothing: it is not certain any more", done is not null);
        }
        catch (FailureException e) when (!TemporalException.IsCanceledException(e))
        {
            outcome = new(repair, planned.Findings, $"tried in vain: {Failures.Describe(e).Message}", false);
        }

        await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.RecordRepairAsync(outcome), Recording());
        return outcome;
    }

    private static async Task<string?> ThawAsync(Repair repair)
    {
        var thaw = new UnquiesceInput(repair.Server!.Value, repair.AgentAddress!, repair.Image!.Value.ToString());
        var truth = await Workflow.ExecuteActivityAsync(
            (IGuestActivities a) => a.UnquiesceAsync(thaw),
            new()
            {
                TaskQueue = repair.Queue,
                StartToCloseTimeout = TimeSpan.FromSeconds(10),
                HeartbeatTimeout = TimeSpan.FromSeconds(2),
                ScheduleToCloseTimeout = TimeSpan.FromMinutes(1),
                RetryPolicy = Retries.Quick,
                Summary = $"thaw {repair.Server}",
            });
        return truth.WasFrozen ? $"thawed at {truth.ThawedAt:O}" : $"the guest was not frozen any more; the lease was ended at {truth.ThawedAt:O}";
    }

    /// <summary>What the run's own undo would have done, in its order and by its steps, once its door is closed.</summary>
    private static async Task<string?> UndoRunAsync(ImageId image)
    {
        if (await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.BeginUndoAsync(image), Recording()) is not { } plan)
        {
            return null;
        }

        var request = plan.Request;
        var left = (await Workflow.WhenAllAsync(plan.Snapshots.Select(DeleteAsync))).OfType<(SnapshotId Id, Leftover Leftover)>().ToList();
        List<SnapshotId> leftBehind = [.. left.Select(l => l.Id)];
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.RemoveRecordsAsync(request, leftBehind), Recording());
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReleaseQuotaAsync(request), Recording());
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReleaseServerAsync(request), Recording());
        var closed = new CloseRunInput(
            request, left.Count == 0 ? plan.Status : RunStatus.CompensationFailed, plan.Reason, plan.Evidence, plan.Steps, [.. left.Select(l => l.Leftover)]);
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CloseRunAsync(closed), Recording());
        return left.Count == 0
            ? $"undone: {plan.Reason.Message}"
            : throw LeftBehind(left.Select(l => l.Leftover));
    }

    /// <summary>The deletion's own run takes it to its end: whoever asks for it again joins that run. This look does not wait for it.</summary>
    private static async Task<string?> FinishDeletionAsync(Repair repair)
    {
        if (await Workflow.ExecuteActivityAsync((IOperationRepairActivities a) => a.BeginFinishDeletionAsync(repair), Recording()) is not { } deletion)
        {
            return null;
        }

        var (run, start) = deletion switch
        {
            { Image: { } image } => (Names.DeleteImageWorkflow(image.Image), Start((DeleteImageWorkflow w) => w.RunAsync(image), image.Caller)),
            { Snapshot: { } snapshot } => (Names.DeleteSnapshotWorkflow(snapshot.Snapshot), Start((DeleteSnapshotWorkflow w) => w.RunAsync(snapshot), snapshot.Caller)),
            { Volume: { } volume } => (Names.DeleteVolumeWorkflow(volume.Volume), Start((DeleteVolumeWorkflow w) => w.RunAsync(volume), volume.Caller)),
            _ => throw new Refusal(ErrorKind.InvalidRequest, "a deletion of nothing").Failure(),
        };
        try
        {
            await start(run);
        }
        catch (WorkflowAlreadyStartedException)
        {
            // Somebody has asked for it again meanwhile.
        }

        return $"{run} goes on";

        static Func<string, Task> Start<T>(Expression<Func<T, Task<RunEnd>>> run, Caller caller) => id => Workflow.StartChildWorkflowAsync(run, new()
        {
            Id = id,
            TaskQueue = Names.ControlQueue,
            IdReusePolicy = WorkflowIdReusePolicy.AllowDuplicate,
            ParentClosePolicy = Temporalio.Workflows.ParentClosePolicy.Abandon,
            RunTimeout = Steps.LongestRun,
            TypedSearchAttributes = new SearchAttributeCollection.Builder().Set(SearchAttributes.ProjectId, caller.ProjectId).ToSearchAttributeCollection(),
            StaticSummary = $"{id}, once more",
        });
    }

    /// <summary>What the run's own undo would have done, by its steps, once no step of the run does anything any more.</summary>
    private static async Task<string?> GiveUpCreationAsync(Repair repair)
    {
        if (await Workflow.ExecuteActivityAsync((IOperationRepairActivities a) => a.BeginGiveUpCreationAsync(repair), Recording()) is not { } creation)
        {
            return null;
        }

        if (creation.Snapshot is { Backend: { } backend } snapshot)
        {
            await DeleteAsync(Names.VolumeQueue(backend), snapshot.Volume, snapshot.Snapshot);
        }

        var left = (await Workflow.WhenAllAsync(creation.Volumes.Select(DeleteAsync))).OfType<(VolumeId Id, Leftover Leftover)>().ToList();
        if (creation.Restore is { } restore)
        {
            List<VolumeId> made = [.. creation.Volumes.Select(v => v.Volume)], leftBehind = [.. left.Select(l => l.Id)];
            await Workflow.ExecuteActivityAsync((IImageActivities a) => a.UndoRestoreAsync(new(restore.Request, made, leftBehind)), Recording());
            var closed = left.Count == 0 ? restore : restore with { Status = RunStatus.CompensationFailed, Leftovers = left.Select(l => l.Leftover).ToList() };
            await Workflow.ExecuteActivityAsync((IImageActivities a) => a.CloseRestoreAsync(closed), Recording());
        }

        return left.Count == 0
            ? creation.Restore is { } undone ? $"undone: {undone.Reason.Message}" : "given up: it is in error, and its back end has nothing of it"
            : throw LeftBehind(left.Select(l => l.Leftover));
    }

    private static async Task<(VolumeId Id, Leftover Leftover)?> DeleteAsync(VolumeToDelete volume)
    {
        try
        {
            if (volume.Backend is { } backend)
            {
                var id = volume.Volume;
                await Workflow.ExecuteActivityAsync(
                    (IVolumeCloneActivities a) => a.DeleteVolumeAsync(id), Deleting(Names.VolumeQueue(backend), $"delete {Names.Volume(id)} on {backend}"));
            }

            return null;
        }
        catch (FailureException e) when (!TemporalException.IsCanceledException(e))
        {
            return (volume.Volume, new("DeleteVolume", Names.Volume(volume.Volume), Failures.Describe(e).Message));
        }
    }

    private static ApplicationFailureException LeftBehind(IEnumerable<Leftover> left) =>
        new Refusal(ErrorKind.CompensationFailed, $"left behind: {string.Join(", ", left.Select(l => $"{l.Subject} ({l.Error})"))}").Failure();

    private static async Task<(SnapshotId Id, Leftover Leftover)?> DeleteAsync(SnapshotToDelete snapshot)
    {
        try
        {
            await DeleteAsync(Names.VolumeQueue(snapshot.Backend ?? throw new Refusal(ErrorKind.NotFound, $"no record names the back end of volume {snapshot.Volume}").Failure()), snapshot.Volume, snapshot.Snapshot);
            return null;
        }
        catch (FailureException e) when (!TemporalException.IsCanceledException(e))
        {
            return (snapshot.Snapshot, new("DeleteVolumeSnapshot", Names.Snapshot(snapshot.Snapshot), Failures.Describe(e).Message));
        }
    }

    private static async Task<string?> DeleteSnapshotAsync(Repair repair)
    {
        if (!await Workflow.ExecuteActivityAsync((IReconcileActivities a) => a.ConfirmDeletionAsync(repair), Recording()))
        {
            return null;
        }

        await DeleteAsync(repair.Queue!, repair.Volume!.Value, repair.Snapshot!.Value);
        return $"deleted {Names.Snapshot(repair.Snapshot.Value)}";
    }

    private static Task DeleteAsync(string queue, VolumeId volume, SnapshotId snapshot)
    {
        var input = new VolumeSnapshotInput(volume, snapshot);
        return Workflow.ExecuteActivityAsync((IVolumeActivities a) => a.DeleteVolumeSnapshotAsync(input), Deleting(queue, $"delete {Names.Snapshot(snapshot)} on {queue}"));
    }

    private static ActivityOptions Deleting(string queue, string summary) => new()
    {
        TaskQueue = queue,
        StartToCloseTimeout = TimeSpan.FromMinutes(1),
        // The next look tries again; this one must not wait for a back end that nobody serves.
        ScheduleToCloseTimeout = TimeSpan.FromMinutes(2),
        ScheduleToStartTimeout = TimeSpan.FromSeconds(20),
        HeartbeatTimeout = TimeSpan.FromSeconds(5),
        RetryPolicy = Retries.Once,
        Summary = Summaries.Fit(summary),
    };

    private static ActivityOptions Looking(string queue, TimeSpan? heartbeat) => new()
    {
        TaskQueue = queue,
        StartToCloseTimeout = TimeSpan.FromMinutes(1),
        ScheduleToStartTimeout = TimeSpan.FromSeconds(20),
        HeartbeatTimeout = heartbeat,
        RetryPolicy = Retries.Once,
        Summary = Summaries.Fit($"look at {queue}"),
    };

    private static ActivityOptions Recording(TimeSpan? atMost = null) => new()
    {
        TaskQueue = Names.ControlQueue,
        StartToCloseTimeout = atMost ?? TimeSpan.FromSeconds(10),
        ScheduleToCloseTimeout = TimeSpan.FromMinutes(5),
        RetryPolicy = Retries.Patient,
    };
}
