using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Every branch of every process that is worth a recorded history, by the name of its file: how a run gets there, to its end.</summary>
internal static class Branches
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly string[] Forward =
        ["PrepareImage", "CheckQuota", "ReserveRecords", "ProbeGuest", "Quiesce", "CreateVolumeSnapshot", "Unquiesce", "CopyGlanceMetadata", "CompleteSnapshots"];

    private static readonly string[] Undos = ["Unquiesce", "DeleteVolumeSnapshot", "RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun"];

    public static readonly IReadOnlyDictionary<string, Func<CreateImageFixture, Task<WorkflowHandle>>> All = Describe();

    private static SortedDictionary<string, Func<CreateImageFixture, Task<WorkflowHandle>>> Describe()
    {
        var branches = new SortedDictionary<string, Func<CreateImageFixture, Task<WorkflowHandle>>>(StringComparer.Ordinal)
        {
            ["completed"] = f => EndAsync(f, new()),
            ["completed-1-volume"] = f => EndAsync(f, Volumes(1)),
            ["completed-4-volumes"] = f => EndAsync(f, Volumes(4)),
            ["completed-16-volumes"] = f => EndAsync(f, Volumes(16)),
            ["completed-no-volume"] = f => EndAsync(f, Volumes(0)),
            ["completed-offline"] = f => EndAsync(f, new() { Running = false }),
            ["completed-skip"] = f => EndAsync(f, new(), QuiesceMode.Skip),
            ["completed-accepted-by-update"] = AcceptAsync,
            ["completed-crash-agent-silent"] = f => EndAsync(f, new() { Guest = new(false, "no answer") }),
            ["completed-crash-no-agent"] = f => EndAsync(f, new() { AgentAddress = null }),
            ["completed-crash-freeze-failed"] = f => EndAsync(f, Scripted("Quiesce", Fault.DoneButFails(), Fault.DoneButFails())),
            ["completed-crash-deadline"] = f => DeadlineAsync(f, ExpiryPolicy.Downgrade),
            ["completed-crash-thawed-by-others"] = f => EndAsync(f, new() { ThawTruth = t => t with { WasFrozen = false, LeaseExpired = true } }),
            ["completed-none-copying-back-end"] = f => EndAsync(f, new() { InstantCuts = false, Guest = new(false, "no answer") }),
            ["completed-moved"] = MovedAsync,
            ["completed-retried-cut"] = f => EndAsync(f, Scripted("CreateVolumeSnapshot", Fault.Fails(ErrorKind.BackendUnavailable))),
            ["completed-cancelled-too-late"] = f => CancelAsync(f, new(), "CreateImageRecord"),
            ["resumed-workflow-task-lost"] = LoseWorkflowTaskAsync,
            ["resumed-cut-answer-lost"] = LoseCutAsync,
            ["refused-quota"] = f => EndAsync(f, Scripted("CheckQuota", Fault.Fails(ErrorKind.QuotaExceeded))),
            ["refused-not-found"] = f => EndAsync(f, Scripted("PrepareImage", Fault.Fails(ErrorKind.NotFound))),
            ["refused-required-agent-silent"] = f => EndAsync(f, new() { Guest = new(false, "no answer"), RequireQuiesce = true }),
            ["refused-required-skip"] = f => EndAsync(f, new() { RequireQuiesce = true }, QuiesceMode.Skip),
            ["failed-Quiesce-required"] = f => EndAsync(f, Scripted("Quiesce", Fault.DoneButFails(), Fault.DoneButFails()), QuiesceMode.Require),
            ["failed-deadline"] = f => DeadlineAsync(f, ExpiryPolicy.Fail),
            ["compensation-failed-cut-and-delete"] = f => EndAsync(f, Scripted("CreateVolumeSnapshot", Fault.Fails()).With("DeleteVolumeSnapshot", Fault.Fails())),
            ["cancelled-before-the-first-step"] = CancelFirstTaskAsync,
            ["completed-group"] = f => EndAsync(f, new() { GroupCut = GroupCut.Always }),
            ["completed-group-unless-frozen"] = f => EndAsync(f, new() { GroupCut = GroupCut.UnlessFrozen, Guest = new(false, "no answer") }),
            ["failed-group"] = f => EndAsync(f, new FakeCloud { GroupCut = GroupCut.Always }.With("CreateGroupSnapshot", Fault.DoneButFails())),
            ["cancelled-group"] = f => CancelAsync(f, new() { GroupCut = GroupCut.Always }, "CreateGroupSnapshot"),
            ["plan-accepted"] = f => PlanAsync(f, new()),
            ["plan-offline"] = f => PlanAsync(f, new() { Running = false }),
            ["plan-skip"] = f => PlanAsync(f, new(), QuiesceMode.Skip),
            ["plan-agent-silent"] = f => PlanAsync(f, new() { Guest = new(false, "no answer") }),
            ["plan-refused"] = f => PlanAsync(f, Scripted("PlanImage", Fault.Fails(ErrorKind.StaleStatus))),
            ["reconcile-nothing"] = f => ReconcileAsync(f, null, looks: 1),
            ["reconcile-found"] = f => ReconcileAsync(f, "CompleteSnapshots", looks: 1),
            ["reconcile-undone"] = f => ReconcileAsync(f, "CompleteSnapshots", looks: 2),
            ["reconcile-thawed"] = f => ReconcileAsync(f, "CreateVolumeSnapshot", looks: 2),
            ["reconcile-in-vain"] = f => ReconcileAsync(f, "CompleteSnapshots", looks: 2, c => c.With("DeleteVolumeSnapshot", Fault.Fails())),
            ["reconcile-unseen"] = f => ReconcileAsync(f, "CheckQuota", looks: 2, c => c.With("ListLeases", Four()).With("ListVolumeSnapshots", Four())),
        };
        foreach (var step in (string[])["PrepareImage", "CheckQuota", "ReserveRecords", "CreateVolumeSnapshot", "CopyGlanceMetadata", "CompleteSnapshots", "CreateImageRecord"])
        {
            branches[$"failed-{step}"] = f => EndAsync(f, Scripted(step, Fault.Fails()));
        }

        foreach (var step in Forward)
        {
            branches[$"cancelled-{step}"] = f => CancelAsync(f, new(), step);
        }

        foreach (var undo in Undos)
        {
            // The thaw is asked for twice before it counts as left.
            branches[$"compensation-failed-{undo}"] = f => EndAsync(f, Scripted("CompleteSnapshots", Fault.Fails()).With(undo, undo is "Unquiesce" ? Four() : [Fault.Fails()]));
            branches[$"cancelled-while-undoing-{undo}"] = f => CancelAsync(f, Scripted("CreateVolumeSnapshot", Fault.Fails()), undo);
        }

        return branches;
    }

    private static async Task<WorkflowHandle> EndAsync(CreateImageFixture fixture, FakeCloud cloud, QuiesceMode quiesce = QuiesceMode.Try)
    {
        fixture.Use(cloud);
        return await OverAsync(await fixture.StartAsync(cloud.Request(quiesce)));
    }

    private static async Task<WorkflowHandle> AcceptAsync(CreateImageFixture fixture)
    {
        var request = fixture.Use(new()).Request();
        await fixture.AcceptAsync(request);
        return await OverAsync(fixture.Run(request));
    }

    private static async Task<WorkflowHandle> CancelAsync(CreateImageFixture fixture, FakeCloud cloud, string activity)
    {
        var held = Fault.HoldsDeaf();
        fixture.Use(cloud.With(activity, held));
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;
        await run.CancelAsync();
        await SeenAsync(run, e => e.WorkflowExecutionCancelRequestedEventAttributes is not null);
        held.Release();
        return await OverAsync(run);
    }

    private static async Task<WorkflowHandle> DeadlineAsync(CreateImageFixture fixture, ExpiryPolicy policy)
    {
        var cloud = fixture.Use(new());
        var slow = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", slow);
        var run = await fixture.StartAsync(cloud.Request(deadline: FreezeDeadline.Minimum, expiry: policy));
        await slow.Reached;
        await Eventually.TrueAsync(() => cloud.Journal.Contains("Unquiesce") && !cloud.Frozen);
        slow.Release();
        return await OverAsync(run);
    }

    private static async Task<WorkflowHandle> MovedAsync(CreateImageFixture fixture)
    {
        var cloud = fixture.Use(new());
        var cut = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", cut);
        var run = await fixture.StartAsync(cloud.Request(deadline: FreezeDeadline.Maximum));
        await cut.Reached;
        cloud.Location = new("host-2", "qga:unix:/run/moved.sock");
        cut.Release();
        return await OverAsync(run);
    }

    /// <summary>The worker has done the first task, and is cancelled before it can say so.</summary>
    private static async Task<WorkflowHandle> CancelFirstTaskAsync(CreateImageFixture fixture)
    {
        var cloud = fixture.Use(new());
        await using var lost = Held.Next(fixture.Turnstile, "RespondWorkflowTaskCompleted");
        var run = await fixture.StartAsync(cloud.Request());
        await lost.Reached;
        await run.CancelAsync();
        lost.Release();
        return await OverAsync(run);
    }

    /// <summary>A worker that took the task in the middle of the freeze never answers: another one goes on.</summary>
    private static async Task<WorkflowHandle> LoseWorkflowTaskAsync(CreateImageFixture fixture)
    {
        var cloud = fixture.Use(new());
        var cut = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", cut);
        var run = await fixture.StartAsync(cloud.Request());
        await cut.Reached;
        await using var lost = Held.Next(fixture.Turnstile, "RespondWorkflowTaskCompleted");
        cut.Release();
        await lost.Reached;
        await SeenAsync(run, e => e.EventType is EventType.WorkflowTaskTimedOut);
        lost.Release();
        return await OverAsync(run);
    }

    /// <summary>A worker that cut a volume dies before it can say so: the cut is asked for again and found.</summary>
    private static async Task<WorkflowHandle> LoseCutAsync(CreateImageFixture fixture)
    {
        var cloud = fixture.Use(Volumes(1));
        var cut = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", cut);
        var run = await fixture.StartAsync(cloud.Request());
        await cut.Reached;
        await using var lost = Held.Next(fixture.Turnstile, "RespondActivityTaskCompleted");
        cut.Release();
        await lost.Reached;
        await Eventually.TrueAsync(() => cloud.Journal.Count(a => a == "CreateVolumeSnapshot") == 2);
        lost.Release();
        return await OverAsync(run);
    }

    private static async Task<WorkflowHandle> PlanAsync(CreateImageFixture fixture, FakeCloud cloud, QuiesceMode quiesce = QuiesceMode.Try)
    {
        fixture.Use(cloud);
        return await OverAsync(await fixture.StartPlanAsync(cloud.Request(quiesce)));
    }

    /// <summary>The last of some looks after a run was terminated at an activity.</summary>
    private static async Task<WorkflowHandle> ReconcileAsync(CreateImageFixture fixture, string? terminatedAt, int looks, Action<FakeCloud>? change = null)
    {
        var cloud = fixture.Use(new());
        fixture.Looks.Reset();
        if (terminatedAt is not null)
        {
            var held = Fault.Holds();
            cloud.Script(terminatedAt, held);
            var run = await fixture.StartAsync(cloud.Request());
            await held.Reached;
            await run.TerminateAsync("by hand");
        }

        change?.Invoke(cloud);
        fixture.Looks.Now += Workflows.CreateImageWorkflow.LongestRun;
        for (var look = 1; ; look++)
        {
            var handle = await OverAsync(await fixture.StartLookAsync(Interval));
            if (look == looks)
            {
                return handle;
            }

            fixture.Looks.Now += Interval;
        }
    }

    private static async Task<WorkflowHandle> OverAsync(WorkflowHandle run)
    {
        try
        {
            await run.GetResultAsync();
        }
        catch (WorkflowFailedException)
        {
            // Failing is what some branches are about.
        }

        return run;
    }

    private static Task SeenAsync(WorkflowHandle run, Func<HistoryEvent, bool> wanted) =>
        Eventually.TrueAsync(async () => (await run.FetchHistoryAsync()).Events.Any(wanted));

    private static Fault[] Four() => [.. Enumerable.Repeat(0, 4).Select(_ => Fault.Fails())];

    private static FakeCloud Scripted(string activity, params Fault[] faults) => new FakeCloud().With(activity, faults);

    private static FakeCloud With(this FakeCloud cloud, string activity, params Fault[] faults)
    {
        cloud.Script(activity, faults);
        return cloud;
    }

    private static FakeCloud Volumes(int count)
    {
        var cloud = new FakeCloud();
        cloud.Volumes.Clear();
        cloud.Volumes.AddRange(Enumerable.Range(0, count).Select(_ => VolumeId.New()));
        return cloud;
    }

    /// <summary>The next call of a method, held at the turnstile.</summary>
    private sealed class Held : IAsyncDisposable
    {
        private readonly TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => reached.Task;

        public static Held Next(Turnstile turnstile, string method)
        {
            var held = new Held();
            turnstile.Gate = async (call, gone) =>
            {
                if (call.Method == method && held.reached.TrySetResult())
                {
                    turnstile.Gate = null;
                    await held.released.Task.WaitAsync(gone);
                }
            };
            return held;
        }

        public void Release() => released.TrySetResult();

        public ValueTask DisposeAsync()
        {
            Release();
            return ValueTask.CompletedTask;
        }
    }
}
