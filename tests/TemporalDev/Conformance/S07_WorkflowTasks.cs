using Google.Protobuf;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 7: the workflow task, from its scheduling to its completion, failure or timeout.</summary>
[Collection(nameof(DevServer))]
public sealed class S07_WorkflowTasks(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    [Fact]
    public async Task S07_1_A_run_begins_with_a_scheduled_task()
    {
        await worker.StartAsync();
        await worker.AssertEventsAsync(EventType.WorkflowExecutionStarted, EventType.WorkflowTaskScheduled);
        var task = await worker.PollAsync();
        await worker.AssertEventsAsync(EventType.WorkflowExecutionStarted, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted);
        Assert.Equal(3, task.StartedEventId);
        await worker.CompleteAsync(task, Commands.Complete());
        await worker.AssertEventsAsync(
            EventType.WorkflowExecutionStarted,
            EventType.WorkflowTaskScheduled,
            EventType.WorkflowTaskStarted,
            EventType.WorkflowTaskCompleted,
            EventType.WorkflowExecutionCompleted);
    }

    [Fact]
    public async Task S07_1_A_run_has_one_workflow_task_at_a_time()
    {
        await worker.StartAsync();
        await worker.SignalAsync("one");
        await worker.SignalAsync("two");
        await worker.PollAsync();
        Assert.True((await worker.TryPollAsync(TimeSpan.FromSeconds(1))).TaskToken.IsEmpty);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_1_A_late_answer_is_recognised()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.CompleteAsync(task);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteAsync(task));
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.FailAsync(task));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_1_A_broken_task_token_is_an_invalid_argument()
    {
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.Service.RespondWorkflowTaskCompletedAsync(new()
        {
            Namespace = RawWorker.Namespace,
            TaskToken = ByteString.CopyFromUtf8("no token"),
        }));
    }

    [Fact]
    public async Task S07_1_3_A_close_with_buffered_events_is_an_unhandled_command()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.SignalAsync("during");
        var error = await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, Commands.Complete()));
        Assert.Equal("UnhandledCommand", error.Message);
        var again = await worker.PollAsync();
        Assert.Contains(again.History.Events, e => e.EventType == EventType.WorkflowExecutionSignaled);
        Assert.Equal(
            WorkflowTaskFailedCause.UnhandledCommand,
            again.History.Events.Single(e => e.EventType == EventType.WorkflowTaskFailed).WorkflowTaskFailedEventAttributes.Cause);
        await worker.CompleteAsync(again, Commands.Complete());
    }

    [Fact]
    public async Task S07_1_3_A_forced_new_task_follows_at_once()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), r => r.ForceCreateNewWorkflowTask = true);
        Assert.False((await worker.PollAsync()).TaskToken.IsEmpty);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_1_3_The_next_task_comes_with_the_answer_when_asked_for()
    {
        await worker.StartAsync();
        var answer = await worker.CompleteAsync(await worker.PollAsync(), r =>
        {
            r.ForceCreateNewWorkflowTask = true;
            r.ReturnNewWorkflowTask = true;
        });
        Assert.NotNull(answer.WorkflowTask);
        await worker.CompleteAsync(answer.WorkflowTask, Commands.Complete());
    }

    [Fact]
    public async Task S07_1_5_Repeated_failures_are_written_once()
    {
        await worker.StartAsync();
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var task = await worker.PollAsync();
            Assert.Equal(attempt, task.Attempt);
            Assert.Equal(task.StartedEventId, task.History.Events[^1].EventId);
            Assert.Equal(EventType.WorkflowTaskStarted, task.History.Events[^1].EventType);
            await worker.FailAsync(task);
        }

        var last = await worker.PollAsync();
        await worker.CompleteAsync(last, Commands.Complete());
        await worker.AssertEventsAsync(
            EventType.WorkflowExecutionStarted,
            EventType.WorkflowTaskScheduled,
            EventType.WorkflowTaskStarted,
            EventType.WorkflowTaskFailed,
            EventType.WorkflowTaskScheduled,
            EventType.WorkflowTaskStarted,
            EventType.WorkflowTaskCompleted,
            EventType.WorkflowExecutionCompleted);
        var history = await worker.HistoryAsync();
        Assert.Equal(last.StartedEventId, history[5].EventId);
        Assert.Equal(4, history[4].WorkflowTaskScheduledEventAttributes.Attempt);
    }

    [Fact]
    public async Task S07_1_5_An_event_in_between_makes_the_next_attempt_the_first()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.SignalAsync("during");
        await worker.FailAsync(task);
        Assert.Equal(1, (await worker.PollAsync()).Attempt);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_1_4_A_task_that_is_not_completed_in_time_is_given_out_again()
    {
        await worker.StartAsync(r => r.WorkflowTaskTimeout = RawWorker.Seconds(1));
        var lost = await worker.PollAsync();
        var again = await worker.PollAsync();
        Assert.Equal(2, again.Attempt);
        var timeout = again.History.Events.Single(e => e.EventType == EventType.WorkflowTaskTimedOut).WorkflowTaskTimedOutEventAttributes;
        Assert.Equal(TimeoutType.StartToClose, timeout.TimeoutType);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteAsync(lost));
        await worker.CompleteAsync(again, Commands.Complete());
    }

    [Fact]
    public async Task S07_1_6_A_sticky_task_that_nobody_takes_goes_to_the_normal_queue()
    {
        await worker.StartAsync();
        var sticky = $"sticky-{Guid.NewGuid()}";
        await worker.TryPollAsync(TimeSpan.FromSeconds(1), sticky);
        await worker.CompleteAsync(await worker.PollAsync(), worker.Sticks(sticky, 1));
        await worker.SignalAsync("wake");
        var task = await worker.PollAsync();
        Assert.Equal(1, task.History.Events[0].EventId);
        Assert.Contains(task.History.Events, e => e.WorkflowTaskTimedOutEventAttributes?.TimeoutType == TimeoutType.ScheduleToStart);
        await worker.CompleteAsync(task, Commands.Complete());
    }

    [Fact]
    public async Task S07_3_A_sticky_task_carries_only_what_is_new()
    {
        await worker.StartAsync();
        var sticky = $"sticky-{Guid.NewGuid()}";
        var parked = worker.PollAsync(sticky);
        await worker.CompleteAsync(await worker.PollAsync(), worker.Sticks(sticky, 10));
        await worker.SignalAsync("wake");
        var task = await parked;
        Assert.Equal(3, task.PreviousStartedEventId);
        Assert.Equal(Enumerable.Range(4, 4), task.History.Events.Select(e => (int)e.EventId));
        Assert.Equal(task.StartedEventId, task.History.Events[^1].EventId);
        Assert.Equal(worker.Queue, task.WorkflowExecutionTaskQueue.Name);
        Assert.Equal(TaskQueueKind.Normal, task.WorkflowExecutionTaskQueue.Kind);
        await worker.CompleteAsync(task, Commands.Complete());
    }

    [Fact]
    public async Task S07_3_A_task_answer_has_everything_a_worker_requires()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        Assert.Equal(worker.Execution, task.WorkflowExecution);
        Assert.Equal("raw", task.WorkflowType.Name);
        Assert.Equal(worker.Queue, task.WorkflowExecutionTaskQueue.Name);
        Assert.Equal(0, task.PreviousStartedEventId);
        Assert.Equal(1, task.Attempt);
        Assert.NotNull(task.ScheduledTime);
        Assert.NotNull(task.StartedTime);
        Assert.Null(task.Query);
        Assert.Equal(3, task.History.Events.Count);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_2_What_happens_during_a_task_is_written_after_its_commands()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.SignalAsync("during");
        Assert.DoesNotContain(EventType.WorkflowExecutionSignaled, await worker.EventTypesAsync());
        await worker.CompleteAsync(task, Commands.Marker("m"));
        await worker.AssertEventsAsync(
            EventType.WorkflowExecutionStarted,
            EventType.WorkflowTaskScheduled,
            EventType.WorkflowTaskStarted,
            EventType.WorkflowTaskCompleted,
            EventType.MarkerRecorded,
            EventType.WorkflowExecutionSignaled,
            EventType.WorkflowTaskScheduled);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_2_An_activity_that_ends_during_a_task_gets_consistent_ids()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a"));
        var activity = await worker.PollActivityAsync();
        await worker.SignalAsync("wake");
        var task = await worker.PollAsync();
        await worker.CompleteActivityAsync(activity);
        await worker.CompleteAsync(task, Commands.Marker("m"));
        var history = await worker.HistoryAsync();
        var started = history.Single(e => e.EventType == EventType.ActivityTaskStarted);
        var completed = history.Single(e => e.EventType == EventType.ActivityTaskCompleted);
        Assert.Equal(started.EventId + 1, completed.EventId);
        Assert.Equal(started.EventId, completed.ActivityTaskCompletedEventAttributes.StartedEventId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_2_What_other_workflows_and_callers_send_waits_for_the_end_of_the_task()
    {
        var child = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child));
        var childTask = await child.PollAsync();
        var task = await worker.PollAsync();
        await child.CompleteAsync(childTask, Commands.Complete());
        await worker.CancelAsync();
        await Until.TrueAsync(async () => (await child.DescribeAsync()).WorkflowExecutionInfo.Status == WorkflowExecutionStatus.Completed);
        Assert.Equal(task.StartedEventId, (await worker.HistoryAsync())[^1].EventId);
        await worker.CompleteAsync(task, Commands.Timer("t", 3600));
        await worker.PollAsync();
        var types = (await worker.EventTypesAsync()).ToList();
        var timer = types.IndexOf(EventType.TimerStarted);
        Assert.True(types.IndexOf(EventType.WorkflowExecutionCancelRequested) > timer);
        Assert.True(!types.Contains(EventType.ChildWorkflowExecutionCompleted) || types.IndexOf(EventType.ChildWorkflowExecutionCompleted) > timer);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S07_2_A_timer_cancelled_by_the_same_task_does_not_fire()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 1));
        await worker.SignalAsync("wake");
        var task = await worker.PollAsync();

        // The timer fires while the worker has the task; the worker, which cannot know, cancels it.
        var other = new RawWorker(server.Client);
        await other.StartAsync();
        await other.CompleteAsync(await other.PollAsync(), Commands.Timer("later", 1.5));
        await other.PollAsync();
        await worker.CompleteAsync(task, Commands.CancelTimer("t"), Commands.Marker("m"));
        var types = await worker.EventTypesAsync();
        Assert.Contains(EventType.TimerCanceled, types);
        Assert.DoesNotContain(EventType.TimerFired, types);
        await worker.TerminateAsync();
        await other.TerminateAsync();
    }

    [Fact]
    public async Task S07_Termination_during_a_task_keeps_what_was_buffered()
    {
        await worker.StartAsync();
        await worker.PollAsync();
        await worker.SignalAsync("during");
        await worker.TerminateAsync();
        var types = await worker.EventTypesAsync();
        Assert.Equal(EventType.WorkflowExecutionTerminated, types[^1]);
        Assert.Contains(EventType.WorkflowExecutionSignaled, types);
    }
}
