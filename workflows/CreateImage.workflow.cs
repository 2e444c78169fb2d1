using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Makes one image of one volume-backed server.
/// <list type="bullet">
/// <item>A guest is never left frozen: thaw is asked for after success, failure, deadline and cancellation, before anything else is undone.</item>
/// <item>Either the image is active and every volume has exactly one available snapshot, or nothing of the run remains; what could not be removed is listed.</item>
/// <item>An image is called application-consistent only if every cut lies inside the freeze and the thaw confirmed it.</item>
/// <item>A request that can be refused is refused before anything is frozen, and the update <c>Accept</c> says so.</item>
/// <item>Only driver calls happen while the guest is frozen, all volumes at once.</item>
/// </list>
/// The workflow id is <see cref="Names.CreateImageWorkflow"/>. Server ids, states and records are the activities' concern; this file is the process.
/// </summary>
[Workflow(CreateImageWorkflow.Name)]
public sealed class CreateImageWorkflow
{
    /// <summary>The workflow's type in Temporal.</summary>
    public const string Name = "CreateImage";

    private static readonly TimeSpan WhileCallerWaits = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ForRecords = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan ForUndo = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ForCuts = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan ForDescription = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ForOneAttemptAtACut = TimeSpan.FromMinutes(10);

    /// <summary>
    /// The longest that anything of a run may still be on its way: the time-outs of all its steps, of a thaw asked for twice, of the five undos, and of an
    /// attempt at a cut that outlives the run because its worker has not heard of the end. Whatever of a run is older belongs to nobody once Temporal says
    /// that the run is over.
    /// </summary>
    public static TimeSpan LongestRun =>
        (3 * WhileCallerWaits) + FreezeDecision.ForProbe + ForDescription + FreezeDeadline.Maximum + ForCuts + (2 * GuestThaw.Altogether) + (3 * ForRecords) + (5 * ForUndo) + ForOneAttemptAtACut;

    // More than these are not named one by one in a summary.
    private const int MostNamed = 5;

    private readonly CreateImageInput request;
    private readonly Compensation undo = new();
    private readonly StepLog steps;
    private readonly CancellationTokenSource cutting = new();
    private readonly List<Task<VolumeCut>> cuts = [];
    private readonly Dictionary<string, GroupCut> groupCuts = [];

    private RunStatus status = RunStatus.Running;
    private Acceptance? acceptance;
    private Refusal? reason;
    private Evidence? evidence;
    private PreparedImage? prepared;

    private string? notFrozenBecause;
    private DateTimeOffset? deadlineAt;
    private QuiesceResult? frozen;
    private UnquiesceResult? thawed;
    private bool thawAskedBeforeLastCut;

    /// <summary>Reads the request before the first handler can run.</summary>
    [WorkflowInit]
    public CreateImageWorkflow(CreateImageInput request)
    {
        this.request = request;
        steps = new(Describe);
    }

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<CreateImageResult> RunAsync(CreateImageInput request)
    {
        try
        {
            await PrepareImageAsync();
            await CheckQuotaAsync();
            await ReserveRecordsAsync();
            await ProbeGuestAsync();
            acceptance = new(request.Image, null);

            await DescribeBackendsAsync();
            await QuiesceAsync();
            await CutVolumesAsync();
            await UnquiesceAsync();
            JudgeConsistency();

            await CopyGlanceMetadataAsync();
            await CompleteSnapshotsAsync();
            await CreateImageRecordAsync();
            status = RunStatus.Completed;
        }
        // Not only failures that were meant: a bug in this file must not hold a frozen guest either.
        catch (Exception e)
        {
            await UndoAsync(e);
            await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
            switch (status)
            {
                case RunStatus.Refused:
                    return new(status, Refusal: reason);
                case RunStatus.Cancelled:
                    throw new OperationCanceledException(reason!.Message, e, Workflow.CancellationToken);
                default:
                    throw reason!.Failure(e);
            }
        }

        End();
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return new(status, evidence);
    }

    /// <summary>Returns once the request is accepted, or refused with nothing left behind. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<Acceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }

    /// <summary>Where the run stands.</summary>
    [WorkflowQuery("Progress")]
    public Progress Progress() =>
        new(status, steps.Current, HoldsFreeze, HoldsFreeze ? deadlineAt : null, evidence, reason, steps.All, undo.Leftovers);

    private bool HoldsFreeze => deadlineAt is not null && thawed is null;

    private bool QuiesceRequired => FreezeDecision.IsRequired(request, prepared!.Server);

    private TimeSpan Deadline => request.FreezeDeadline ?? prepared!.Server.FreezeDeadline ?? FreezeDeadline.Default;

    private string ComputeQueue => Names.ComputeQueue(prepared!.Server.Host!);

    private Task PrepareImageAsync() => steps.RunAsync(Step.PrepareImage, async () =>
    {
        undo.Push("ReleaseServer", request.Server.ToString(), () => Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReleaseServerAsync(request), Undoing()));
        prepared = await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.PrepareImageAsync(request), Recording(WhileCallerWaits));
    });

    private Task CheckQuotaAsync() => steps.RunAsync(Step.CheckQuota, async () =>
    {
        undo.Push("ReleaseQuota", request.Image.ToString(), () => Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReleaseQuotaAsync(request), Undoing()));
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CheckQuotaAsync(new(request, prepared!)), Recording(WhileCallerWaits));
    });

    private Task ReserveRecordsAsync() => steps.RunAsync(Step.ReserveRecords, async () =>
    {
        undo.Push("RemoveRecords", request.Image.ToString(), () =>
        {
            var leftBehind = prepared!.Draft.Volumes.Select(v => v.Snapshot).Where(s => undo.Leftovers.Any(l => l.Subject == Names.Snapshot(s))).ToList();
            return Workflow.ExecuteActivityAsync((IRecordActivities a) => a.RemoveRecordsAsync(request, leftBehind), Undoing());
        });
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReserveRecordsAsync(new(request, prepared!)), Recording(WhileCallerWaits));
    });

    /// <summary>Decides whether there will be a freeze, and refuses while nothing has been touched if there must be one and cannot.</summary>
    private async Task ProbeGuestAsync()
    {
        if (prepared!.Server.Running)
        {
            await steps.RunAsync(Step.ProbeGuest, async () => notFrozenBecause = await FreezeDecision.DoubtAsync(request, prepared));
        }
    }

    /// <summary>Asks the back ends with several of the volumes whether they can cut them at one instant. One that does not answer is asked for each volume.</summary>
    private async Task DescribeBackendsAsync()
    {
        var backends = prepared!.Draft.Volumes.GroupBy(v => v.Backend).Where(g => g.Count() > 1).Select(g => g.Key).Order(StringComparer.Ordinal).ToList();
        // Runs that began before there were group cuts cut each volume. The old way may go once none of them can be under way any more.
        if (!prepared.Server.Running || backends.Count == 0 || !Workflow.Patched("group-cut"))
        {
            return;
        }

        await Workflow.WhenAllAsync(backends.Select(async backend =>
        {
            try
            {
                var facts = await Workflow.ExecuteActivityAsync(
                    (IVolumeActivities a) => a.DescribeBackendAsync(),
                    new() { TaskQueue = Names.VolumeQueue(backend), ScheduleToCloseTimeout = ForDescription, RetryPolicy = Retries.Quick, Summary = Summaries.Fit($"describe {backend}") });
                groupCuts[backend] = facts.Group;
            }
            catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e))
            {
                groupCuts[backend] = GroupCut.Never;
            }
        }));
    }

    private async Task QuiesceAsync()
    {
        if (!prepared!.Server.Running || notFrozenBecause is not null)
        {
            return;
        }

        await steps.RunAsync(Step.Quiesce, async () =>
        {
            var deadline = Deadline;
            // By the workflow's own clock: the compute host's may be wrong, and it keeps the deadline by itself.
            deadlineAt = Workflow.UtcNow + deadline;
            undo.Push("Unquiesce", request.Server.ToString(), ThawAsync);
            try
            {
                frozen = await Workflow.ExecuteActivityAsync(
                    (IGuestActivities a) => a.QuiesceAsync(new(request.Server, prepared.Server.AgentAddress!, RunToken, deadline, request.RequestId, request.GlobalRequestId, request.Caller.ProjectId)),
                    new()
                    {
                        TaskQueue = ComputeQueue,
                        StartToCloseTimeout = deadline,
                        ScheduleToCloseTimeout = deadline,
                        HeartbeatTimeout = TimeSpan.FromSeconds(2),
                        RetryPolicy = Retries.Once,
                        // A cancelled run thaws at once; the compute worker keeps freeze and thaw of one guest in order.
                        CancellationType = ActivityCancellationType.TryCancel,
                        Summary = $"freeze {request.Server} for at most {deadline.TotalSeconds:0.#} s",
                    });
            }
            catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e) && !QuiesceRequired)
            {
                // The answer may be lost while the guest is frozen: it is thawed before the first cut, and the image says what it is.
                notFrozenBecause = $"the freeze failed: {Failures.Describe(e).Message}";
                await UnquiesceAsync();
            }
        });
    }

    /// <summary>Cuts every volume at once. The first failure ends the step; the freeze deadline thaws the guest and, by policy, ends the step too.</summary>
    private async Task CutVolumesAsync()
    {
        var groups = prepared!.Draft.Volumes.GroupBy(v => v.Backend).Where(g => CutsTogether(g.Key)).ToDictionary(g => g.Key, g => new Lazy<Task<IReadOnlyList<VolumeCut>>>(() => CutGroupAsync([.. g])));
        cuts.AddRange(prepared.Draft.Volumes.Select(v => groups.TryGetValue(v.Backend, out var group) ? CutInGroupAsync(v, group) : CutAsync(v)));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Workflow.CancellationToken);
        var cancelled = Workflow.WaitConditionAsync(() => false, stop.Token);
        var deadline = HoldsFreeze ? Workflow.DelayAsync(Positive(deadlineAt!.Value - Workflow.UtcNow), stop.Token) : null;
        var pending = new List<Task>(cuts);

        while (pending.Count > 0)
        {
            var next = await Workflow.WhenAnyAsync(deadline is null ? [.. pending, cancelled] : [.. pending, cancelled, deadline]);
            await next;
            pending.Remove(next);
            if (next == deadline)
            {
                deadline = null;
                thawAskedBeforeLastCut = true;
                await UnquiesceAsync();
                FailIfExpiryForbids();
            }
        }

        stop.Cancel();
    }

    private Task<VolumeCut> CutAsync(VolumeToCut volume)
    {
        PushDelete(volume);
        return steps.RunAsync(Step.CreateVolumeSnapshot, volume, () => Workflow.ExecuteActivityAsync(
            (IVolumeActivities a) => a.CreateVolumeSnapshotAsync(new(volume.Volume, volume.Snapshot)),
            Cutting(volume.Backend, $"cut {volume.DeviceName ?? volume.Volume.ToString()} {volume.SizeGib} GiB on {volume.Backend}")));
    }

    /// <summary>Whether the volumes in a back end are cut at one instant.</summary>
    private bool CutsTogether(string backend) => groupCuts.GetValueOrDefault(backend) switch
    {
        GroupCut.Always => true,
        GroupCut.UnlessFrozen => !HoldsFreeze,
        _ => false,
    };

    private Task<IReadOnlyList<VolumeCut>> CutGroupAsync(IReadOnlyList<VolumeToCut> volumes) => Workflow.ExecuteActivityAsync(
        (IVolumeActivities a) => a.CreateGroupSnapshotAsync(volumes.Select(v => new VolumeSnapshotInput(v.Volume, v.Snapshot)).ToList()),
        Cutting(volumes[0].Backend, $"cut {(volumes.Count > MostNamed ? $"{volumes.Count} volumes" : string.Join(", ", volumes.Select(v => v.DeviceName ?? v.Volume.ToString())))} at once on {volumes[0].Backend}"));

    /// <summary>One volume's part of a group cut: its own step, its own undo.</summary>
    private Task<VolumeCut> CutInGroupAsync(VolumeToCut volume, Lazy<Task<IReadOnlyList<VolumeCut>>> group)
    {
        PushDelete(volume);
        return steps.RunAsync(Step.CreateVolumeSnapshot, volume, async () => (await group.Value).Single(c => c.Snapshot == volume.Snapshot));
    }

    private void PushDelete(VolumeToCut volume) =>
        undo.Push("DeleteVolumeSnapshot", Names.Snapshot(volume.Snapshot), () => DeleteCutAsync(volume, new(volume.Volume, volume.Snapshot)));

    private ActivityOptions Cutting(string backend, string summary) => new()
    {
        TaskQueue = Names.VolumeQueue(backend),
        StartToCloseTimeout = ForOneAttemptAtACut,
        ScheduleToCloseTimeout = ForCuts,
        // A back end that nobody serves must not hold the guest: the deadline bounds the freeze, this bounds the run.
        ScheduleToStartTimeout = Deadline,
        HeartbeatTimeout = TimeSpan.FromSeconds(5),
        RetryPolicy = Retries.Quick,
        // The delete that undoes a cut must not overtake it.
        CancellationType = ActivityCancellationType.WaitCancellationCompleted,
        CancellationToken = cutting.Token,
        Summary = Summaries.Fit(summary),
    };

    private async Task DeleteCutAsync(VolumeToCut volume, VolumeSnapshotInput input) =>
        await Workflow.ExecuteActivityAsync(
            (IVolumeActivities a) => a.DeleteVolumeSnapshotAsync(input),
            new()
            {
                TaskQueue = Names.VolumeQueue(volume.Backend),
                StartToCloseTimeout = TimeSpan.FromMinutes(1),
                ScheduleToCloseTimeout = ForUndo,
                HeartbeatTimeout = TimeSpan.FromSeconds(5),
                RetryPolicy = Retries.Patient,
                CancellationToken = CancellationToken.None,
                Summary = Summaries.Fit($"delete {Names.Snapshot(volume.Snapshot)} on {volume.Backend}"),
            });

    /// <summary>Thaws the guest if this run holds its freeze. Never cancelled: see <see cref="ThawAsync"/>.</summary>
    private async Task UnquiesceAsync()
    {
        if (HoldsFreeze)
        {
            await ThawAsync();
            undo.Discard("Unquiesce");
        }
    }

    private Task ThawAsync() => steps.RunAsync(Step.Unquiesce, async () =>
    {
        thawed = await GuestThaw.AskAsync(request.Server, prepared!.Server, RunToken);
        RunMetrics.Thawed(frozen, thawed);
    });

    private void JudgeConsistency()
    {
        evidence = ConsistencyVerdict.Judge(
            prepared!.Server.Running,
            deadlineAt is null
                ? null
                : new(
                    frozen?.FrozenAt,
                    thawed?.ThawedAt,
                    HeldThroughout: thawed is { WasFrozen: true } && !thawAskedBeforeLastCut,
                    LeaseExpired: thawed is { LeaseExpired: true } || thawAskedBeforeLastCut,
                    thawed?.AgentError),
            notFrozenBecause,
            cuts.Select(c => c.Result).ToList());
        Workflow.UpsertTypedSearchAttributes(SearchAttributes.Consistency.ValueSet(evidence.Consistency.ToString().ToLowerInvariant()));
        FailIfExpiryForbids();
    }

    private Task CopyGlanceMetadataAsync() => Workflow.WhenAllAsync(prepared!.Draft.Volumes.Where(v => v.Bootable).Select(volume =>
        steps.RunAsync(Step.CopyGlanceMetadata, volume, async () =>
        {
            await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CopyGlanceMetadataAsync(new(volume.Volume, volume.Snapshot)), Recording(ForRecords));
            return volume;
        })));

    private Task CompleteSnapshotsAsync() => steps.RunAsync(Step.CompleteSnapshots, () =>
        Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CompleteSnapshotsAsync(new(request, prepared!)), Recording(ForRecords)));

    private Task CreateImageRecordAsync() => steps.RunAsync(Step.CreateImageRecord, () =>
        Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CreateImageRecordAsync(new(request, prepared!, evidence!, steps.All)), Recording(ForRecords)));

    /// <summary>Thaw first and alone; then, once no cut can come late, everything else newest first; then the run's own record.</summary>
    private async Task UndoAsync(Exception failure)
    {
        reason = Failures.Describe(failure);
        steps.Begin(Step.Compensate, reason.Message);
        cutting.Cancel();
        await undo.RunFirstAsync("Unquiesce");
        await SettleCutsAsync();
        await undo.RunAllAsync();
        steps.End(Step.Compensate);

        var outcome = undo.Leftovers.Count switch
        {
            > 0 => RunStatus.CompensationFailed,
            // Whoever cancelled a run sees it cancelled, also when a step failed for another reason meanwhile.
            _ when Workflow.CancellationToken.IsCancellationRequested => RunStatus.Cancelled,
            _ when acceptance is null && reason.Kind.IsRefusal() => RunStatus.Refused,
            _ => RunStatus.Failed,
        };
        if (outcome is RunStatus.CompensationFailed)
        {
            reason = new(ErrorKind.CompensationFailed, $"{reason.Message}; left behind: {string.Join(", ", undo.Leftovers.Select(l => $"{l.Kind} {l.Subject} ({l.Error})"))}");
        }

        await CloseRunAsync(outcome);
        // Only now may the API answer: whoever hears of a refusal finds nothing left of it.
        acceptance ??= new(request.Image, reason);
    }

    private async Task SettleCutsAsync()
    {
        foreach (var cut in cuts)
        {
            try
            {
                await cut;
            }
            catch (Exception)
            {
                // Its failure is in the steps, and its undo is on the stack.
            }
        }
    }

    /// <summary>Until its record is closed the run goes on, for whoever asks: what it says at its end can be found in the records.</summary>
    private async Task CloseRunAsync(RunStatus outcome)
    {
        try
        {
            await Workflow.ExecuteActivityAsync(
                (IRecordActivities a) => a.CloseRunAsync(new(request, outcome, reason!, evidence, steps.All, undo.Leftovers)), Undoing());
        }
        catch (Exception e)
        {
            undo.Leftovers.Add(new("CloseRun", request.Image.ToString(), Failures.Describe(e).Message));
            outcome = RunStatus.CompensationFailed;
            reason = new(ErrorKind.CompensationFailed, $"{reason!.Message}; the run's record could not be closed: {e.Message}");
        }

        status = outcome;
        End();
    }

    private void FailIfExpiryForbids()
    {
        var tooLate = thawed is not null && frozen is not null && (thawAskedBeforeLastCut || thawed.LeaseExpired || !thawed.WasFrozen);
        if (tooLate && (QuiesceRequired || request.OnExpiry is ExpiryPolicy.Fail))
        {
            throw new Refusal(ErrorKind.FreezeExpired, $"the guest of {request.Server} was thawed after its freeze deadline, before the last volume was cut").Failure();
        }
    }

    private string RunToken => request.Image.ToString();

    private void Describe() => Workflow.CurrentDetails = RunDetails.Of(Progress());

    private void End()
    {
        Describe();
        Workflow.UpsertTypedSearchAttributes(SearchAttributes.Result.ValueSet(status.ToText()));
        RunMetrics.Ended(Progress());
    }

    private static TimeSpan Positive(TimeSpan span) => span > TimeSpan.Zero ? span : TimeSpan.FromMilliseconds(1);

    private static ActivityOptions Recording(TimeSpan altogether) => new()
    {
        TaskQueue = Names.ControlQueue,
        StartToCloseTimeout = TimeSpan.FromSeconds(10),
        ScheduleToCloseTimeout = altogether,
        RetryPolicy = Retries.Quick,
        // A record that is being written is written to the end, so that its undo finds all of it.
        CancellationType = ActivityCancellationType.WaitCancellationCompleted,
    };

    private static ActivityOptions Undoing() => new()
    {
        TaskQueue = Names.ControlQueue,
        StartToCloseTimeout = TimeSpan.FromSeconds(10),
        ScheduleToCloseTimeout = ForUndo,
        RetryPolicy = Retries.Patient,
        CancellationToken = CancellationToken.None,
    };
}
