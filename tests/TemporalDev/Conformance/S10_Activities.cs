using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 10: activities, their attempts, timeouts, heartbeats and cancellation.</summary>
[Collection(nameof(DevServer))]
public sealed partial class S10_Activities(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    private async Task ScheduleAsync(Action<ScheduleActivityTaskCommandAttributes>? change = null, Action<StartWorkflowExecutionRequest>? start = null)
    {
        await worker.StartAsync(start);
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a", change));
    }

    private async Task<HistoryEvent> FindAsync(EventType type) => (await worker.HistoryAsync()).Single(e => e.EventType == type);

    private async Task<HistoryEvent> WaitForAsync(EventType type)
    {
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(type));
        return await FindAsync(type);
    }

    private Task<RecordActivityTaskHeartbeatResponse> HeartbeatAsync(PollActivityTaskQueueResponse task, string details = "beat") =>
        worker.Service.RecordActivityTaskHeartbeatAsync(new() { Namespace = RawWorker.Namespace, TaskToken = task.TaskToken, Details = RawWorker.Text(details) });

    [Fact]
    public async Task S10_1_Missing_retry_fields_get_their_defaults()
    {
        await ScheduleAsync();
        var scheduled = (await FindAsync(EventType.ActivityTaskScheduled)).ActivityTaskScheduledEventAttributes;
        Assert.Equal(1, scheduled.RetryPolicy.InitialInterval.Seconds);
        Assert.Equal(2, scheduled.RetryPolicy.BackoffCoefficient);
        Assert.Equal(100, scheduled.RetryPolicy.MaximumInterval.Seconds);
        Assert.Equal(0, scheduled.RetryPolicy.MaximumAttempts);
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData(60, 0, 0, 0, 60, 60, 60)]
    [InlineData(0, 5, 0, 100, 100, 100, 5)]
    [InlineData(60, 5, 7, 0, 60, 7, 5)]
    [InlineData(200, 0, 0, 100, 100, 100, 100)]
    public async Task S10_1_Missing_timeouts_follow_from_the_others(int close, int startToClose, int scheduleToStart, int run, int expectedClose, int expectedToStart, int expectedStart)
    {
        await ScheduleAsync(
            a =>
            {
                a.ScheduleToCloseTimeout = close == 0 ? null : RawWorker.Seconds(close);
                a.StartToCloseTimeout = startToClose == 0 ? null : RawWorker.Seconds(startToClose);
                a.ScheduleToStartTimeout = scheduleToStart == 0 ? null : RawWorker.Seconds(scheduleToStart);
            },
            r => r.WorkflowRunTimeout = run == 0 ? null : RawWorker.Seconds(run));
        var scheduled = (await FindAsync(EventType.ActivityTaskScheduled)).ActivityTaskScheduledEventAttributes;
        Assert.Equal(expectedClose, scheduled.ScheduleToCloseTimeout.Seconds);
        Assert.Equal(expectedToStart, scheduled.ScheduleToStartTimeout.Seconds);
        Assert.Equal(expectedStart, scheduled.StartToCloseTimeout.Seconds);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_1_Schedule_to_start_never_retries()
    {
        await ScheduleAsync(a => a.ScheduleToStartTimeout = RawWorker.Seconds(0.3));
        var timedOut = (await WaitForAsync(EventType.ActivityTaskTimedOut)).ActivityTaskTimedOutEventAttributes;
        Assert.Equal(TimeoutType.ScheduleToStart, timedOut.Failure.TimeoutFailureInfo.TimeoutType);
        Assert.Equal(RetryState.NonRetryableFailure, timedOut.RetryState);
        Assert.Equal(0, timedOut.StartedEventId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_1_Schedule_to_close_spans_all_attempts()
    {
        await ScheduleAsync(a =>
        {
            a.ScheduleToCloseTimeout = RawWorker.Seconds(0.6);
            a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1), BackoffCoefficient = 1 };
        });
        await worker.FailActivityAsync(await worker.PollActivityAsync());
        await worker.PollActivityAsync();
        var timedOut = (await WaitForAsync(EventType.ActivityTaskTimedOut)).ActivityTaskTimedOutEventAttributes;
        Assert.Equal(TimeoutType.ScheduleToClose, timedOut.Failure.TimeoutFailureInfo.TimeoutType);
        Assert.Equal(RetryState.Timeout, timedOut.RetryState);
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData(TimeoutType.StartToClose)]
    [InlineData(TimeoutType.Heartbeat)]
    public async Task S10_1_Timeouts_of_one_attempt_go_through_the_retry_policy(TimeoutType type)
    {
        await ScheduleAsync(a =>
        {
            a.StartToCloseTimeout = RawWorker.Seconds(type == TimeoutType.StartToClose ? 0.4 : 30);
            a.HeartbeatTimeout = type == TimeoutType.Heartbeat ? RawWorker.Seconds(0.4) : null;
            a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1), MaximumAttempts = 2 };
        });
        var first = await worker.PollActivityAsync();
        await HeartbeatAsync(first, "progress");
        var second = await worker.PollActivityAsync();
        Assert.Equal(2, second.Attempt);
        Assert.Equal(RawWorker.Text("progress"), second.HeartbeatDetails);
        var timedOut = (await WaitForAsync(EventType.ActivityTaskTimedOut)).ActivityTaskTimedOutEventAttributes;
        Assert.Equal(type, timedOut.Failure.TimeoutFailureInfo.TimeoutType);
        Assert.Equal(RetryState.MaximumAttemptsReached, timedOut.RetryState);
        Assert.NotNull(timedOut.Failure.Cause);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_2_A_retry_leaves_no_trace_in_the_history()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        await worker.FailActivityAsync(await worker.PollActivityAsync());
        var second = await worker.PollActivityAsync();
        Assert.Equal(2, second.Attempt);
        Assert.DoesNotContain(EventType.ActivityTaskStarted, await worker.EventTypesAsync());
        await worker.CompleteActivityAsync(second);
        var started = (await FindAsync(EventType.ActivityTaskStarted)).ActivityTaskStartedEventAttributes;
        Assert.Equal(2, started.Attempt);
        Assert.Equal("activity broke", started.LastFailure.Message);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_2_An_answer_of_an_older_attempt_is_refused()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        var first = await worker.PollActivityAsync();
        await worker.FailActivityAsync(first);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteActivityAsync(first));
        var second = await worker.PollActivityAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.FailActivityAsync(first));
        await worker.CompleteActivityAsync(second);
        await worker.TerminateAsync();
    }

    public static TheoryData<string, RetryState> FinalFailures => new()
    {
        { "non-retryable", RetryState.NonRetryableFailure },
        { "excluded type", RetryState.NonRetryableFailure },
        { "last attempt", RetryState.MaximumAttemptsReached },
        { "deadline", RetryState.Timeout },
    };

    [Theory]
    [MemberData(nameof(FinalFailures))]
    public async Task S10_2_A_failure_that_is_not_retried_says_why(string why, RetryState expected)
    {
        await ScheduleAsync(a =>
        {
            a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(why == "deadline" ? 60 : 0.1), MaximumAttempts = why == "last attempt" ? 1 : 0 };
            if (why == "excluded type")
            {
                a.RetryPolicy.NonRetryableErrorTypes.Add("Broken");
            }

            a.ScheduleToCloseTimeout = why == "deadline" ? RawWorker.Seconds(30) : null;
        });
        await worker.FailActivityAsync(await worker.PollActivityAsync(), f => f.ApplicationFailureInfo.NonRetryable = why == "non-retryable");
        var failed = (await FindAsync(EventType.ActivityTaskFailed)).ActivityTaskFailedEventAttributes;
        Assert.Equal(expected, failed.RetryState);
        Assert.Equal("activity broke", failed.Failure.Message);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_2_A_failure_may_ask_for_its_own_delay()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(60) });
        await worker.FailActivityAsync(await worker.PollActivityAsync(), f => f.ApplicationFailureInfo.NextRetryDelay = RawWorker.Seconds(0.2));
        Assert.Equal(2, (await worker.PollActivityAsync()).Attempt);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_2_A_waiting_activity_is_described_with_attempt_and_failure()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(60) });
        await worker.FailActivityAsync(await worker.PollActivityAsync());
        var pending = Assert.Single((await worker.DescribeAsync()).PendingActivities);
        Assert.Equal("a", pending.ActivityId);
        Assert.Equal(2, pending.Attempt);
        Assert.Equal("activity broke", pending.LastFailure.Message);
        Assert.Equal(PendingActivityState.Scheduled, pending.State);
        Assert.Equal("raw-worker", pending.LastWorkerIdentity);
        Assert.Equal(60, pending.CurrentRetryInterval.Seconds);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_3_A_task_answer_has_everything_a_worker_requires()
    {
        await ScheduleAsync(a => a.HeartbeatTimeout = RawWorker.Seconds(9));
        var task = await worker.PollActivityAsync();
        Assert.Equal(worker.Execution, task.WorkflowExecution);
        Assert.Equal(RawWorker.Namespace, task.WorkflowNamespace);
        Assert.Equal("raw", task.WorkflowType.Name);
        Assert.Equal("act", task.ActivityType.Name);
        Assert.Equal("a", task.ActivityId);
        Assert.Equal(RawWorker.Text("input"), task.Input);
        Assert.Equal(1, task.Attempt);
        Assert.Equal(30, task.StartToCloseTimeout.Seconds);
        Assert.Equal(9, task.HeartbeatTimeout.Seconds);
        Assert.NotNull(task.ScheduledTime);
        Assert.NotNull(task.CurrentAttemptScheduledTime);
        Assert.NotNull(task.StartedTime);
        Assert.NotNull(task.RetryPolicy);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_4_Eager_activities_are_never_more_than_asked_for()
    {
        await worker.StartAsync();
        var answer = await worker.CompleteAsync(
            await worker.PollAsync(),
            Commands.Activity(worker, "eager", a => a.RequestEagerExecution = true),
            Commands.Activity(worker, "queued"));
        Assert.True(answer.ActivityTasks.Count <= 1);
        foreach (var eager in answer.ActivityTasks)
        {
            Assert.Equal("eager", eager.ActivityId);
            await worker.CompleteActivityAsync(eager);
        }

        var rest = await worker.PollActivityAsync();
        Assert.Equal(answer.ActivityTasks.Count == 0 ? "eager" : "queued", rest.ActivityId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_5_A_heartbeat_keeps_its_activity_alive()
    {
        await ScheduleAsync(a => a.HeartbeatTimeout = RawWorker.Seconds(0.8));
        var task = await worker.PollActivityAsync();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        for (var i = 0; i < 8; i++)
        {
            await ticks.WaitForNextTickAsync(TestContext.Current.CancellationToken);
            Assert.False((await HeartbeatAsync(task)).CancelRequested);
        }

        await worker.CompleteActivityAsync(task);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_5_A_heartbeat_learns_of_the_cancel_request()
    {
        await ScheduleAsync();
        var task = await worker.PollActivityAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.Service.RespondActivityTaskCanceledAsync(new()
        {
            Namespace = RawWorker.Namespace,
            TaskToken = task.TaskToken,
        }));
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelActivity(5));
        Assert.True((await HeartbeatAsync(task)).CancelRequested);
        await worker.Service.RespondActivityTaskCanceledAsync(new() { Namespace = RawWorker.Namespace, TaskToken = task.TaskToken, Details = RawWorker.Text("bye") });
        var canceled = (await FindAsync(EventType.ActivityTaskCanceled)).ActivityTaskCanceledEventAttributes;
        Assert.Equal(RawWorker.Text("bye"), canceled.Details);
        Assert.Equal((await FindAsync(EventType.ActivityTaskCancelRequested)).EventId, canceled.LatestCancelRequestedEventId);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => HeartbeatAsync(task));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_5_Cancelling_an_activity_that_nobody_has_closes_it_at_once()
    {
        await ScheduleAsync();
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelActivity(5));
        var canceled = (await FindAsync(EventType.ActivityTaskCanceled)).ActivityTaskCanceledEventAttributes;
        Assert.Equal(0, canceled.StartedEventId);
        Assert.False((await worker.PollAsync()).TaskToken.IsEmpty);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_5_A_failure_after_the_cancel_request_is_not_retried()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        var task = await worker.PollActivityAsync();
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelActivity(5));
        await worker.FailActivityAsync(task);
        Assert.Equal(RetryState.CancelRequested, (await FindAsync(EventType.ActivityTaskFailed)).ActivityTaskFailedEventAttributes.RetryState);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_5_An_activity_of_a_closed_run_is_not_found()
    {
        await ScheduleAsync();
        var task = await worker.PollActivityAsync();
        await worker.TerminateAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => HeartbeatAsync(task));
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteActivityAsync(task));
    }

    [Fact]
    public async Task S10_5_By_id_an_activity_of_the_current_run_is_addressed()
    {
        await ScheduleAsync();
        await worker.PollActivityAsync();
        await worker.Service.RecordActivityTaskHeartbeatByIdAsync(new() { Namespace = RawWorker.Namespace, WorkflowId = worker.WorkflowId, ActivityId = "a", Details = RawWorker.Text("by id") });
        Assert.Equal(RawWorker.Text("by id"), Assert.Single((await worker.DescribeAsync()).PendingActivities).HeartbeatDetails);
        await worker.Service.RespondActivityTaskCompletedByIdAsync(new() { Namespace = RawWorker.Namespace, WorkflowId = worker.WorkflowId, ActivityId = "a", Result = RawWorker.Text("r") });
        Assert.Equal(RawWorker.Text("r"), (await FindAsync(EventType.ActivityTaskCompleted)).ActivityTaskCompletedEventAttributes.Result);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.Service.RespondActivityTaskFailedByIdAsync(new()
        {
            Namespace = RawWorker.Namespace,
            WorkflowId = worker.WorkflowId,
            ActivityId = "a",
        }));
        await worker.TerminateAsync();
    }
}
