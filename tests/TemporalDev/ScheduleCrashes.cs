using System.Collections.Concurrent;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Schedule.V1;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>The scheduler dies at random writes to the store, again and again; what it had started stays started.</summary>
public class ScheduleCrashes
{
    private const int Minutes = 90;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Every_time_is_taken_exactly_once_and_counted_once(int seed)
    {
        var random = new Random(seed);
        var store = new MemoryStore(retain: true);
        var engine = new Engine();
        var now = ScheduleWorld.Midnight;
        var crashes = 0;
        for (var writes = random.Next(1, 20); await RunAsync(writes) is { } diedAt; writes = random.Next(1, 20))
        {
            now = diedAt;
            crashes++;
        }

        Assert.True(crashes >= 10, $"seed {seed}: only {crashes} crashes");
        var expected = Enumerable.Range(1, Minutes).Select(minute => $"wf-{ScheduleWorld.Midnight.AddMinutes(minute):yyyy-MM-ddTHH:mm:ssZ}");
        Assert.Equal(expected, engine.Started.Order(StringComparer.Ordinal));

        // Runs until the end of the day's first hour and a half, or until the store has died; returns when that was.
        async Task<DateTimeOffset?> RunAsync(int writes)
        {
            var died = new TaskCompletionSource();
            using var clock = new VirtualClock(new ScheduleWorld.ClockFrom(now), canSkip: true);
            var commits = new CommitQueue(new DyingStore(store, writes), _ => died.TrySetResult());
            var scheduler = new Scheduler(clock, commits, new SearchAttributeRegistry(commits), engine, NullLogger<Scheduler>.Instance);
            var blobs = (await store.LoadAsync(TestContext.Current.CancellationToken)).Blobs;
            foreach (var blob in blobs)
            {
                scheduler.Load(blob);
            }

            scheduler.Start();
            if (blobs.Count == 0 && await Task.WhenAny(CreateAsync(scheduler), died.Task) == died.Task)
            {
                return clock.GetUtcNow();
            }

            var end = ScheduleWorld.Midnight.AddMinutes(Minutes + 0.5);
            if (await Task.WhenAny(clock.UnlockUntil(end)!, died.Task).WaitAsync(TimeSpan.FromSeconds(60)) == died.Task)
            {
                return clock.GetUtcNow();
            }

            var described = await scheduler.DescribeAsync("default", "s", TestContext.Current.CancellationToken);
            Assert.Equal(Minutes, described.Info.ActionCount);
            Assert.Equal(1000 - Minutes, described.Schedule.State.RemainingActions);
            Assert.Equal(0, described.Info.MissedCatchupWindow + described.Info.BufferDropped + described.Info.OverlapSkipped);
            await scheduler.DisposeAsync();
            return null;
        }
    }

    private static Task CreateAsync(Scheduler scheduler)
    {
        var schedule = ScheduleWorld.Every(TimeSpan.FromMinutes(1), ScheduleOverlapPolicy.AllowAll);
        schedule.State = new ScheduleState { LimitedActions = true, RemainingActions = 1000 };
        schedule.Spec.StartTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight);
        return scheduler.CreateAsync(
            new CreateScheduleRequest { Namespace = "default", ScheduleId = "s", Schedule = schedule, RequestId = "create" }, TestContext.Current.CancellationToken);
    }

    /// <summary>Survives every crash; refuses a workflow id that another request has taken.</summary>
    private sealed class Engine : IActionTarget
    {
        private readonly ConcurrentDictionary<string, string> requests = new();

        public IEnumerable<string> Started => requests.Keys;

        public Task<string?> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken) => Task.FromResult(
            requests.GetOrAdd(request.WorkflowId, request.RequestId) == request.RequestId ? $"run of {request.WorkflowId}" : null);

        public Task CancelAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task TerminateAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<ClosedAction?> OutcomeAsync(string @namespace, ActionRun run, CancellationToken cancellationToken) =>
            Task.FromResult<ClosedAction?>(new ClosedAction(run.WorkflowId, run.FirstRunId, WorkflowExecutionStatus.Completed, null, null));
    }

    /// <summary>Takes so many writes and no more.</summary>
    private sealed class DyingStore(MemoryStore store, int writes) : IStore
    {
        private int left = writes;

        public bool IsDurable => true;

        public Task<StoredState> LoadAsync(CancellationToken cancellationToken) => store.LoadAsync(cancellationToken);

        public Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken) => store.LoadRunAsync(key, cancellationToken);

        public Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken) => Interlocked.Decrement(ref left) < 0
            ? throw new IOException("the store is gone")
            : store.WriteAsync(batch, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
