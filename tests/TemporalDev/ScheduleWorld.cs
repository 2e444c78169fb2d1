using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Schedule.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.Workflow.V1;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>A scheduler whose time begins at midnight and skips, over an engine that only remembers what was started.</summary>
internal sealed class ScheduleWorld : IAsyncDisposable
{
    public static readonly DateTimeOffset Midnight = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly MemoryStore store = new(retain: true);
    private CommitQueue commits;

    public ScheduleWorld()
    {
        Clock = new VirtualClock(new ClockFrom(Midnight), canSkip: true);
        Target = new FakeTarget(this);
        commits = new CommitQueue(store, error => throw error);
        Attributes = new SearchAttributeRegistry(commits);
        Scheduler = NewScheduler();
    }

    public VirtualClock Clock { get; }

    public FakeTarget Target { get; }

    public SearchAttributeRegistry Attributes { get; }

    public Scheduler Scheduler { get; private set; }

    public static Schedule Every(TimeSpan interval, ScheduleOverlapPolicy overlap = ScheduleOverlapPolicy.Unspecified) => new()
    {
        Spec = new ScheduleSpec { Interval = { new IntervalSpec { Interval = Duration.FromTimeSpan(interval) } } },
        Action = new ScheduleAction
        {
            StartWorkflow = new NewWorkflowExecutionInfo
            {
                WorkflowId = "wf",
                WorkflowType = new WorkflowType { Name = "Work" },
                TaskQueue = new TaskQueue { Name = "queue" },
            },
        },
        Policies = new SchedulePolicies { OverlapPolicy = overlap },
    };

    public Task<long> CreateAsync(Schedule schedule, SchedulePatch? patch = null, string id = "s", string requestId = "create") => Scheduler.CreateAsync(
        new CreateScheduleRequest { Namespace = "default", ScheduleId = id, Schedule = schedule, InitialPatch = patch, RequestId = requestId }, CancellationToken.None);

    public Task PatchAsync(SchedulePatch patch, string requestId = "") => Scheduler.PatchAsync(
        new PatchScheduleRequest { Namespace = "default", ScheduleId = "s", Patch = patch, RequestId = requestId }, CancellationToken.None);

    public Task TriggerAsync(ScheduleOverlapPolicy overlap = ScheduleOverlapPolicy.Unspecified) =>
        PatchAsync(new SchedulePatch { TriggerImmediately = new TriggerImmediatelyRequest { OverlapPolicy = overlap } });

    public Task<DescribeScheduleResponse> DescribeAsync() => Scheduler.DescribeAsync("default", "s", CancellationToken.None);

    /// <summary>Lets time skip to this long after midnight; everything due before has happened then.</summary>
    public Task SkipToAsync(TimeSpan sinceMidnight) => Clock.UnlockUntil(Midnight + sinceMidnight)!.WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>Ends the scheduler as a crash would, lets time pass, and begins a new one on what was stored.</summary>
    public async Task RestartAsync(TimeSpan downUntil)
    {
        await Scheduler.DisposeAsync();
        await commits.DisposeAsync();
        await SkipToAsync(downUntil);
        commits = new CommitQueue(store, error => throw error);
        Scheduler = NewScheduler();
        foreach (var blob in (await store.LoadAsync(CancellationToken.None)).Blobs.Where(Scheduler.Owns))
        {
            Scheduler.Load(blob);
        }

        Scheduler.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await Scheduler.DisposeAsync();
        await commits.DisposeAsync();
        Clock.Dispose();
    }

    private Scheduler NewScheduler() => new(Clock, commits, Attributes, Target, NullLogger<Scheduler>.Instance);

    internal sealed class ClockFrom(DateTimeOffset start) : TimeProvider
    {
        private readonly long began = TimeProvider.System.GetTimestamp();

        public override DateTimeOffset GetUtcNow() => start + TimeProvider.System.GetElapsedTime(began);
    }
}

/// <summary>Remembers what was started and how it ended; ends nothing by itself.</summary>
internal sealed class FakeTarget(ScheduleWorld world) : IActionTarget
{
    private readonly ConcurrentDictionary<string, FakeRun> runs = new();
    private readonly ConcurrentQueue<string> log = new();

    public IReadOnlyList<string> Log => [.. log];

    /// <summary>The starts, in order, as hours and minutes since midnight of their nominal times.</summary>
    public IReadOnlyList<string> Started =>
    [
        .. log.Where(line => line.StartsWith("start ", StringComparison.Ordinal)).Select(line => line[(line.IndexOf('T', StringComparison.Ordinal) + 1)..][..5]),
    ];

    public IReadOnlyList<StartWorkflowExecutionRequest> Requests => [.. runs.Values.OrderBy(run => run.Order).Select(run => run.Request)];

    /// <summary>Called before a start is answered: throws to crash it.</summary>
    public Action<StartWorkflowExecutionRequest>? BeforeAnswer { get; set; }

    public Task<string?> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken)
    {
        var created = new FakeRun(request, $"run-{runs.Count}", runs.Count);
        var run = runs.GetOrAdd(request.WorkflowId, created);
        if (run == created)
        {
            log.Enqueue($"start {request.WorkflowId}");
        }

        BeforeAnswer?.Invoke(request);
        return Task.FromResult(run.Request.RequestId == request.RequestId ? run.RunId : null);
    }

    public Task CancelAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken)
    {
        log.Enqueue($"cancel {run.WorkflowId}");
        return Task.CompletedTask;
    }

    public Task TerminateAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken)
    {
        log.Enqueue($"terminate {run.WorkflowId}");
        runs[run.WorkflowId].Outcome = new ClosedAction(run.WorkflowId, run.FirstRunId, WorkflowExecutionStatus.Terminated, null, null);
        return Task.CompletedTask;
    }

    public Task<ClosedAction?> OutcomeAsync(string @namespace, ActionRun run, CancellationToken cancellationToken) =>
        Task.FromResult(runs[run.WorkflowId].Outcome);

    /// <summary>Ends the n-th started workflow, and waits until its schedule has seen it.</summary>
    public async Task CloseAsync(int n, WorkflowExecutionStatus status = WorkflowExecutionStatus.Completed, string? result = null, string? failure = null)
    {
        var run = runs.Values.Single(run => run.Order == n);
        run.Outcome = new ClosedAction(
            run.Request.WorkflowId,
            run.RunId,
            status,
            result is null ? null : new Payloads { Payloads_ = { new Payload { Data = ByteString.CopyFromUtf8(result) } } },
            failure is null ? null : new Failure { Message = failure });
        world.Scheduler.ActionClosed(run.RunId);
        await world.DescribeAsync();
    }

    private sealed class FakeRun(StartWorkflowExecutionRequest request, string runId, int order)
    {
        public StartWorkflowExecutionRequest Request { get; } = request;

        public string RunId { get; } = runId;

        public int Order { get; } = order;

        public ClosedAction? Outcome { get; set; }
    }
}
