using System.Collections.Concurrent;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Converters;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>What becomes of an activity, seen by the workflow that asked for it and by an operator who steps in.</summary>
[Collection(nameof(DevServer))]
public sealed class ActivitiesOfWorkflows(DevServer server)
{
    private static void All(TemporalWorkerOptions options) => options.AddWorkflow<OneActivityWorkflow>().AddWorkflow<EagerWorkflow>().AddWorkflow<LocalRetriesWorkflow>()
        .AddAllActivities(typeof(Acts), null);

    private static WorkflowOptions Options(string queue) => new(DevServer.NewId(), queue);

    private Task<string> RunAsync(string queue, string activity, Setting setting) =>
        server.Client.ExecuteWorkflowAsync((OneActivityWorkflow w) => w.RunAsync(activity, setting), Options(queue));

    [Fact]
    public Task Heartbeat_details_reach_the_next_attempt() => server.WithWorkerAsync(All, async queue =>
        Assert.Equal("resumed at 7", await RunAsync(queue, nameof(Acts.Resume), new())));

    [Fact]
    public Task Heartbeat_details_reach_the_next_attempt_after_a_heartbeat_timeout() => server.WithWorkerAsync(All, async queue =>
        Assert.Equal("resumed at 9", await RunAsync(queue, nameof(Acts.ResumeAfterSilence), new() { HeartbeatMs = 400 })));

    [Theory]
    [InlineData(ActivityCancellationType.TryCancel, "canceled")]
    [InlineData(ActivityCancellationType.WaitCancellationCompleted, "saw it")]
    [InlineData(ActivityCancellationType.Abandon, "canceled")]
    public Task The_cancellation_type_decides_what_the_workflow_waits_for(ActivityCancellationType type, string expected) => server.WithWorkerAsync(All, async queue =>
    {
        var id = DevServer.NewId();
        Acts.Running[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var handle = await server.Client.StartWorkflowAsync(
            (OneActivityWorkflow w) => w.RunAsync(nameof(Acts.ReturnWhenCancelled), new() { Cancellation = type, HeartbeatMs = 10_000 }), new(id, queue));
        await Acts.Running[id].Task;
        await handle.CancelAsync();
        Assert.Equal(expected, await handle.GetResultAsync());
    });

    [Theory]
    [InlineData("Attempts", RetryState.MaximumAttemptsReached, 3)]
    [InlineData("Type", RetryState.NonRetryableFailure, 1)]
    [InlineData("NonRetryable", RetryState.NonRetryableFailure, 1)]
    [InlineData("Timeout", RetryState.Timeout, 1)]
    public Task A_failure_says_why_there_is_no_further_attempt(string why, RetryState state, int attempts) => server.WithWorkerAsync(All, async queue =>
    {
        var setting = why switch
        {
            "Attempts" => new Setting { Attempts = 3 },
            "Type" => new Setting { NonRetryable = "Flaky" },
            "Timeout" => new Setting { ScheduleToCloseMs = 1500, IntervalMs = 60_000 },
            _ => new Setting(),
        };
        var result = await RunAsync(queue, why == "NonRetryable" ? nameof(Acts.FailForGood) : nameof(Acts.Fail), setting);
        Assert.Equal($"{state}: attempt {attempts}", result);
    });

    [Fact]
    public Task A_failure_may_ask_for_its_next_delay() => server.WithWorkerAsync(All, async queue =>
        Assert.Equal("2", await RunAsync(queue, nameof(Acts.AskForDelay), new() { IntervalMs = 3_600_000 })));

    [Fact]
    public Task An_activity_knows_its_surroundings() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.Priority = new(priorityKey: 4);
        var info = await server.Client.ExecuteWorkflowAsync((OneActivityWorkflow w) => w.RunAsync(nameof(Acts.Describe), new() { HeartbeatMs = 3000, Attempts = 7 }), options);
        Assert.Equal($"{options.Id} OneActivityWorkflow default {queue} attempt 1 of 7, heartbeat 3, close 30, priority 4, local False", info);
    });

    [Fact]
    public Task An_activity_finished_from_outside_by_token_ends_as_told() => server.WithWorkerAsync(All, async queue =>
    {
        foreach (var (how, expected) in new[] { ("complete", "from outside"), ("fail", "MaximumAttemptsReached: from outside"), ("cancel", "canceled") })
        {
            var id = DevServer.NewId();
            Acts.Tokens[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
            var handle = await server.Client.StartWorkflowAsync(
                (OneActivityWorkflow w) => w.RunAsync(nameof(Acts.Later), new() { Attempts = 1, HeartbeatMs = 30_000, Cancellation = ActivityCancellationType.WaitCancellationCompleted }), new(id, queue));
            var activity = server.Client.GetAsyncActivityHandle(await Acts.Tokens[id].Task);
            await activity.HeartbeatAsync(new() { Details = ["here"] });
            Assert.Equal("here", await server.Client.Options.DataConverter.ToValueAsync<string>((await server.DescribeRawAsync(id)).PendingActivities.Single().HeartbeatDetails.Payloads_[0]));
            switch (how)
            {
                case "complete":
                    await activity.CompleteAsync("from outside");
                    break;
                case "fail":
                    await activity.FailAsync(new InvalidOperationException("from outside"));
                    break;
                default:
                    await handle.CancelAsync();
                    await Until.TrueAsync(async () => (await server.DescribeRawAsync(id)).PendingActivities.Single().State == PendingActivityState.CancelRequested);
                    await Assert.ThrowsAsync<AsyncActivityCanceledException>(() => activity.HeartbeatAsync());
                    await activity.ReportCancellationAsync();
                    break;
            }

            Assert.Equal(expected, await handle.GetResultAsync());
            await Assert.ThrowsAsync<RpcException>(() => activity.CompleteAsync("too late"));
        }
    });

    [Fact]
    public Task A_paused_activity_makes_no_further_attempt_until_it_goes_on() => server.WithWorkerAsync(All, async queue =>
    {
        var id = DevServer.NewId();
        Acts.Failing[id] = true;
        var handle = await server.Client.StartWorkflowAsync((OneActivityWorkflow w) => w.RunAsync(nameof(Acts.FailWhileToldTo), new() { IntervalMs = 50 }), new(id, queue));
        await Until.TrueAsync(async () => (await server.DescribeRawAsync(id)).PendingActivities is [{ Attempt: >= 2 }]);
        var service = server.Client.Connection.WorkflowService;
        await service.PauseActivityAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id }, Id = "the-one", Identity = "me", Reason = "stop it" });
        await Until.TrueAsync(async () => (await server.DescribeRawAsync(id)).PendingActivities.Single() is { State: PendingActivityState.Paused, Paused: true });
        var paused = (await server.DescribeRawAsync(id)).PendingActivities.Single();
        Assert.Equal("stop it", paused.PauseInfo.Manual.Reason);
        Acts.Failing[id] = false;
        await service.UnpauseActivityAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id }, Id = "the-one", ResetAttempts = true });
        Assert.Equal("attempt 1", await handle.GetResultAsync());
    });

    [Fact]
    public Task A_running_activity_learns_that_it_is_paused_or_reset() => server.WithWorkerAsync(All, async queue =>
    {
        var service = server.Client.Connection.WorkflowService;
        foreach (var reset in new[] { false, true })
        {
            var id = DevServer.NewId();
            Acts.Running[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
            var handle = await server.Client.StartWorkflowAsync(
                (OneActivityWorkflow w) => w.RunAsync(nameof(Acts.TellWhyCancelled), new() { HeartbeatMs = 1_000 }), new(id, queue));
            await Acts.Running[id].Task;
            if (reset)
            {
                await service.ResetActivityAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id }, Id = "the-one" });
            }
            else
            {
                await service.PauseActivityAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id }, Id = "the-one" });
            }

            Assert.Equal(reset ? "reset" : "paused", await handle.GetResultAsync());
        }
    });

    [Fact]
    public Task Changed_options_take_effect() => server.WithWorkerAsync(All, async queue =>
    {
        var id = DevServer.NewId();
        Acts.Failing[id] = true;
        var handle = await server.Client.StartWorkflowAsync((OneActivityWorkflow w) => w.RunAsync(nameof(Acts.FailWhileToldTo), new() { IntervalMs = 3_600_000 }), new(id, queue));
        await Until.TrueAsync(async () => (await server.DescribeRawAsync(id)).PendingActivities is [{ Attempt: 2 }]);
        Acts.Failing[id] = false;
        var changed = await server.Client.Connection.WorkflowService.UpdateActivityOptionsAsync(new UpdateActivityOptionsRequest
        {
            Namespace = "default",
            Execution = new() { WorkflowId = id },
            Id = "the-one",
            ActivityOptions = new() { RetryPolicy = new() { InitialInterval = new() { Nanos = 1_000_000 }, BackoffCoefficient = 1 } },
            UpdateMask = new() { Paths = { "retry_policy.initial_interval", "retry_policy.backoff_coefficient" } },
        });
        Assert.Equal(1_000_000, changed.ActivityOptions.RetryPolicy.InitialInterval.Nanos);
        await server.Client.Connection.WorkflowService.ResetActivityAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id }, Id = "the-one" });
        Assert.StartsWith("attempt", await handle.GetResultAsync(), StringComparison.Ordinal);
    });

    [Fact]
    public Task Eager_activities_need_no_poll() => server.WithWorkerAsync(All, async queue =>
        Assert.Equal(3, await server.Client.ExecuteWorkflowAsync((EagerWorkflow w) => w.RunAsync(), Options(queue))));

    [Fact]
    public Task Local_activities_are_retried_by_the_worker() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((LocalRetriesWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal("3 True", await handle.GetResultAsync());
        Assert.DoesNotContain((await handle.FetchHistoryAsync()).Events, e => e.EventType == EventType.ActivityTaskScheduled);
    });

    [Fact]
    public Task A_worker_that_stops_tells_its_activity_and_the_next_worker_goes_on() => server.WithWorkerAsync(o => o.AddWorkflow<OneActivityWorkflow>(), async queue =>
    {
        var id = DevServer.NewId();
        Acts.Running[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var other = $"{queue}-activities";
        var handle = await server.Client.StartWorkflowAsync((OneActivityWorkflow w) => w.RunAsync(nameof(Acts.FailWhenWorkerStops), new() { Queue = other }), new(id, queue));
        using (var first = new TemporalWorker(server.Client, new TemporalWorkerOptions(other) { GracefulShutdownTimeout = TimeSpan.FromMilliseconds(100) }.AddAllActivities(typeof(Acts), null)))
        {
            await first.ExecuteAsync(() => Acts.Running[id].Task, TestContext.Current.CancellationToken);
        }

        using var second = new TemporalWorker(server.Client, new TemporalWorkerOptions(other).AddAllActivities(typeof(Acts), null));
        await second.ExecuteAsync(async () => Assert.Equal("attempt 2", await handle.GetResultAsync()), TestContext.Current.CancellationToken);
    });

    [Fact]
    public async Task A_rate_of_a_queue_is_shown_and_kept()
    {
        await server.WithWorkerAsync(
            options =>
            {
                All(options);
                options.MaxTaskQueueActivitiesPerSecond = 200;
            },
            async queue =>
            {
                Assert.Equal("attempt 1", await RunAsync(queue, nameof(Acts.FailWhileToldTo), new()));
                var description = await server.Client.Connection.WorkflowService.DescribeTaskQueueAsync(new()
                {
                    Namespace = "default",
                    TaskQueue = new() { Name = queue },
                    TaskQueueType = TaskQueueType.Activity,
                    ReportStats = true,
                });
                Assert.Contains(description.Pollers, p => p.RatePerSecond == 200);
                Assert.Equal(0, description.Stats.ApproximateBacklogCount);
            });
    }

    public sealed record Setting
    {
        public int Attempts { get; init; }

        public string? NonRetryable { get; init; }

        public int IntervalMs { get; init; } = 5;

        public int HeartbeatMs { get; init; }

        public int ScheduleToCloseMs { get; init; }

        public string? Queue { get; init; }

        public ActivityCancellationType Cancellation { get; init; }
    }

    public static class Acts
    {
        public static readonly ConcurrentDictionary<string, TaskCompletionSource> Running = new();
        public static readonly ConcurrentDictionary<string, TaskCompletionSource<byte[]>> Tokens = new();
        public static readonly ConcurrentDictionary<string, bool> Failing = new();

        private static ActivityInfo Info => ActivityExecutionContext.Current.Info;

        [Activity]
        public static async Task<string> Resume()
        {
            if (Info.Attempt == 1)
            {
                ActivityExecutionContext.Current.Heartbeat(7);
                throw new ApplicationFailureException("once");
            }

            return $"resumed at {await ActivityExecutionContext.Current.Info.HeartbeatDetailAtAsync<int>(0)}";
        }

        [Activity]
        public static async Task<string> ResumeAfterSilence()
        {
            if (Info.Attempt == 1)
            {
                ActivityExecutionContext.Current.Heartbeat(9);
                await Task.Delay(Timeout.Infinite, ActivityExecutionContext.Current.CancellationToken);
            }

            return $"resumed at {await ActivityExecutionContext.Current.Info.HeartbeatDetailAtAsync<int>(0)}";
        }

        [Activity]
        public static async Task<string> ReturnWhenCancelled()
        {
            Running[Info.WorkflowId!].TrySetResult();
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            try
            {
                while (await timer.WaitForNextTickAsync(ActivityExecutionContext.Current.CancellationToken))
                {
                    ActivityExecutionContext.Current.Heartbeat();
                }
            }
            catch (OperationCanceledException)
            {
                return "saw it";
            }

            return "never";
        }

        [Activity]
        public static async Task<string> TellWhyCancelled()
        {
            Running[Info.WorkflowId!].TrySetResult();
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            try
            {
                while (await timer.WaitForNextTickAsync(ActivityExecutionContext.Current.CancellationToken))
                {
                    ActivityExecutionContext.Current.Heartbeat();
                }
            }
            catch (OperationCanceledException)
            {
                var details = ActivityExecutionContext.Current.CancellationDetails;
                return details is { IsPaused: true } ? "paused" : details is { IsReset: true } ? "reset" : "something else";
            }

            return "never";
        }

        [Activity]
        public static async Task<string> FailWhenWorkerStops()
        {
            if (Info.Attempt == 1)
            {
                Running[Info.WorkflowId!].TrySetResult();
                await Task.Delay(Timeout.Infinite, ActivityExecutionContext.Current.CancellationToken);
            }

            return $"attempt {Info.Attempt}";
        }

        [Activity]
        public static void Fail() => throw new ApplicationFailureException($"attempt {Info.Attempt}", errorType: "Flaky");

        [Activity]
        public static void FailForGood() => throw new ApplicationFailureException($"attempt {Info.Attempt}", nonRetryable: true);

        [Activity]
        public static string AskForDelay() => Info.Attempt > 1 ? $"{Info.Attempt}"
            : throw new ApplicationFailureException("soon", nextRetryDelay: TimeSpan.FromMilliseconds(10));

        [Activity]
        public static string FailWhileToldTo() => Failing.TryGetValue(Info.WorkflowId!, out var failing) && failing
            ? throw new ApplicationFailureException("as told")
            : $"attempt {Info.Attempt}";

        [Activity]
        public static string Describe() =>
            $"{Info.WorkflowId} {Info.WorkflowType} {Info.Namespace} {Info.TaskQueue} attempt {Info.Attempt} of {Info.RetryPolicy!.MaximumAttempts}, "
            + $"heartbeat {Info.HeartbeatTimeout!.Value.TotalSeconds}, close {Info.StartToCloseTimeout!.Value.TotalSeconds}, priority {Info.Priority!.PriorityKey}, local {Info.IsLocal}";

        [Activity]
        public static void Later()
        {
            Tokens[Info.WorkflowId!].TrySetResult(Info.TaskToken);
            throw new CompleteAsyncException();
        }

        [Activity]
        public static int One() => 1;

        [Activity]
        public static string Flaky() => Info.Attempt < 3 ? throw new ApplicationFailureException("not yet") : $"{Info.Attempt} {Info.IsLocal}";
    }

    [Workflow]
    public sealed class OneActivityWorkflow
    {
        [WorkflowRun]
        public async Task<string> RunAsync(string activity, Setting setting)
        {
            var options = new ActivityOptions
            {
                ActivityId = "the-one",
                StartToCloseTimeout = TimeSpan.FromSeconds(30),
                CancellationType = setting.Cancellation,
                TaskQueue = setting.Queue,
                RetryPolicy = new RetryPolicy
                {
                    InitialInterval = TimeSpan.FromMilliseconds(setting.IntervalMs),
                    BackoffCoefficient = 1,
                    MaximumAttempts = setting.Attempts,
                    NonRetryableErrorTypes = setting.NonRetryable is null ? null : [setting.NonRetryable],
                },
            };
            if (setting.HeartbeatMs > 0)
            {
                options.HeartbeatTimeout = TimeSpan.FromMilliseconds(setting.HeartbeatMs);
            }

            if (setting.ScheduleToCloseMs > 0)
            {
                options.ScheduleToCloseTimeout = TimeSpan.FromMilliseconds(setting.ScheduleToCloseMs);
            }

            try
            {
                return await Workflow.ExecuteActivityAsync<string>(activity, [], options);
            }
            catch (ActivityFailureException e) when (e.InnerException is CanceledFailureException)
            {
                return "canceled";
            }
            catch (ActivityFailureException e)
            {
                return $"{e.RetryState}: {e.InnerException!.Message}";
            }
        }
    }

    [Workflow]
    public sealed class EagerWorkflow
    {
        [WorkflowRun]
        public async Task<int> RunAsync()
        {
            var ones = await Workflow.WhenAllAsync(Enumerable.Range(0, 3).Select(i =>
                Workflow.ExecuteActivityAsync(() => Acts.One(), new() { StartToCloseTimeout = TimeSpan.FromSeconds(10), DisableEagerActivityExecution = i == 0 })));
            return ones.Sum();
        }
    }

    [Workflow]
    public sealed class LocalRetriesWorkflow
    {
        [WorkflowRun]
        public Task<string> RunAsync() => Workflow.ExecuteLocalActivityAsync(
            () => Acts.Flaky(),
            new() { StartToCloseTimeout = TimeSpan.FromSeconds(10), RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(5) } });
    }
}
