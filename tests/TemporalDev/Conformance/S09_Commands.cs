using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 9: what each command does, and what a bad one does.</summary>
[Collection(nameof(DevServer))]
public sealed class S09_Commands(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    public static TheoryData<string, WorkflowTaskFailedCause> BadCommands => new()
    {
        { "activity without timeouts", WorkflowTaskFailedCause.BadScheduleActivityAttributes },
        { "activity without id", WorkflowTaskFailedCause.BadScheduleActivityAttributes },
        { "timer without id", WorkflowTaskFailedCause.BadStartTimerAttributes },
        { "same timer twice", WorkflowTaskFailedCause.StartTimerDuplicateId },
        { "child without id", WorkflowTaskFailedCause.BadStartChildExecutionAttributes },
        { "marker without name", WorkflowTaskFailedCause.BadRecordMarkerAttributes },
        { "unknown search attribute", WorkflowTaskFailedCause.BadSearchAttributes },
    };

    private Command[] Bad(string what) => what switch
    {
        "activity without timeouts" => [Commands.Activity(worker, "a", a => a.StartToCloseTimeout = null)],
        "activity without id" => [Commands.Activity(worker, "")],
        "timer without id" => [Commands.Timer("", 1)],
        "same timer twice" => [Commands.Timer("t", 1), Commands.Timer("t", 1)],
        "child without id" => [Commands.Child(worker, c => c.WorkflowId = "")],
        "marker without name" => [Commands.Marker("")],
        _ =>
        [
            new Command
            {
                CommandType = CommandType.UpsertWorkflowSearchAttributes,
                UpsertWorkflowSearchAttributesCommandAttributes = new()
                {
                    SearchAttributes = new() { IndexedFields = { ["NobodyRegisteredThis"] = RawWorker.Text("x").Payloads_[0] } },
                },
            },
        ],
    };

    [Theory]
    [MemberData(nameof(BadCommands))]
    public async Task S09_A_bad_command_fails_the_task_with_its_cause_and_leaves_nothing(string what, WorkflowTaskFailedCause cause)
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, [Commands.Marker("before"), .. Bad(what)]));
        var history = await worker.HistoryAsync();
        Assert.Equal(cause, history.Single(e => e.EventType == EventType.WorkflowTaskFailed).WorkflowTaskFailedEventAttributes.Cause);
        Assert.DoesNotContain(history, e => e.EventType == EventType.MarkerRecorded);
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
    }

    [Fact]
    public async Task S09_The_same_activity_id_twice_closes_nothing()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(
            RpcException.StatusCode.InvalidArgument,
            () => worker.CompleteAsync(task, Commands.Activity(worker, "a"), Commands.Activity(worker, "a")));
        Assert.Equal(2, (await worker.PollAsync()).Attempt);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_Continue_as_new_inherits_what_the_command_leaves_out()
    {
        await worker.StartAsync(r =>
        {
            r.WorkflowRunTimeout = RawWorker.Seconds(100);
            r.WorkflowTaskTimeout = RawWorker.Seconds(7);
            r.Memo = new() { Fields = { ["m"] = RawWorker.Text("x").Payloads_[0] } };
        });
        await worker.CompleteAsync(await worker.PollAsync(), Commands.ContinueAsNew());
        var close = (await worker.HistoryAsync())[^1].WorkflowExecutionContinuedAsNewEventAttributes;
        var started = (await worker.HistoryAsync(close.NewExecutionRunId))[0].WorkflowExecutionStartedEventAttributes;
        Assert.Equal("raw", started.WorkflowType.Name);
        Assert.Equal(worker.Queue, started.TaskQueue.Name);
        Assert.Equal(100, started.WorkflowRunTimeout.Seconds);
        Assert.Equal(7, started.WorkflowTaskTimeout.Seconds);
        Assert.Equal(RawWorker.Text("next"), started.Input);
        Assert.Equal(worker.RunId, started.ContinuedExecutionRunId);
        Assert.Equal(worker.RunId, started.FirstExecutionRunId);
        Assert.Equal(close.NewExecutionRunId, started.OriginalExecutionRunId);
        Assert.Equal(ContinueAsNewInitiator.Workflow, started.Initiator);
        Assert.Contains("m", started.Memo.Fields.Keys);
        Assert.Equal(WorkflowExecutionStatus.ContinuedAsNew, (await worker.DescribeAsync(worker.RunId)).WorkflowExecutionInfo.Status);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_failure_under_a_retry_policy_starts_the_next_attempt_after_its_back_off()
    {
        await worker.StartAsync(r => r.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.3), MaximumAttempts = 2 });
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Fail());
        var second = await worker.PollAsync();
        var started = second.History.Events[0].WorkflowExecutionStartedEventAttributes;
        Assert.Equal(2, started.Attempt);
        Assert.Equal(ContinueAsNewInitiator.Retry, started.Initiator);
        Assert.Equal("workflow broke", started.ContinuedFailure.Message);
        Assert.Equal(300, started.FirstWorkflowTaskBackoff.ToTimeSpan().TotalMilliseconds, 20.0);
        await worker.CompleteAsync(second, Commands.Fail());
        var last = (await worker.HistoryAsync(second.WorkflowExecution.RunId))[^1].WorkflowExecutionFailedEventAttributes;
        Assert.Equal(RetryState.MaximumAttemptsReached, last.RetryState);
        Assert.Empty(last.NewExecutionRunId);
    }

    [Fact]
    public async Task S09_A_non_retryable_failure_ends_the_workflow()
    {
        await worker.StartAsync(r => r.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Fail(f => f.ApplicationFailureInfo.NonRetryable = true));
        Assert.Equal(RetryState.NonRetryableFailure, (await worker.HistoryAsync())[^1].WorkflowExecutionFailedEventAttributes.RetryState);
        Assert.Equal(WorkflowExecutionStatus.Failed, (await worker.DescribeAsync()).WorkflowExecutionInfo.Status);
    }

    [Fact]
    public async Task S09_A_cancelled_timer_is_gone()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 0.5), Commands.Timer("other", 1));
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelTimer("t"));
        var task = await worker.PollAsync();
        Assert.Equal("other", task.History.Events.Single(e => e.EventType == EventType.TimerFired).TimerFiredEventAttributes.TimerId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_signal_to_another_workflow_is_delivered_and_confirmed()
    {
        var other = new RawWorker(server.Client);
        await other.StartAsync();
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.SignalExternal(other.WorkflowId), Commands.SignalExternal("nobody-has-this-id"));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Count(t => t is EventType.ExternalWorkflowExecutionSignaled or EventType.SignalExternalWorkflowExecutionFailed) == 2);
        var history = await worker.HistoryAsync();
        var initiated = history.Where(e => e.EventType == EventType.SignalExternalWorkflowExecutionInitiated).Select(e => e.EventId).ToList();
        Assert.Equal(initiated[0], history.Single(e => e.EventType == EventType.ExternalWorkflowExecutionSignaled).ExternalWorkflowExecutionSignaledEventAttributes.InitiatedEventId);
        var failed = history.Single(e => e.EventType == EventType.SignalExternalWorkflowExecutionFailed).SignalExternalWorkflowExecutionFailedEventAttributes;
        Assert.Equal(initiated[1], failed.InitiatedEventId);
        Assert.Equal(SignalExternalWorkflowExecutionFailedCause.ExternalWorkflowExecutionNotFound, failed.Cause);
        var signal = (await other.HistoryAsync()).Single(e => e.EventType == EventType.WorkflowExecutionSignaled).WorkflowExecutionSignaledEventAttributes;
        Assert.Equal(worker.WorkflowId, signal.ExternalWorkflowExecution.WorkflowId);
        await worker.TerminateAsync();
        await other.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_cancel_of_another_workflow_is_delivered_and_confirmed()
    {
        var other = new RawWorker(server.Client);
        await other.StartAsync();
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelExternal(other.WorkflowId), Commands.CancelExternal("nobody-has-this-id"));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Count(t =>
            t is EventType.ExternalWorkflowExecutionCancelRequested or EventType.RequestCancelExternalWorkflowExecutionFailed) == 2);
        var request = (await other.HistoryAsync()).Single(e => e.EventType == EventType.WorkflowExecutionCancelRequested).WorkflowExecutionCancelRequestedEventAttributes;
        Assert.Equal("no more needed", request.Cause);
        Assert.Equal(worker.WorkflowId, request.ExternalWorkflowExecution.WorkflowId);
        await worker.TerminateAsync();
        await other.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_child_with_a_taken_id_fails_to_start()
    {
        var other = new RawWorker(server.Client);
        await other.StartAsync();
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(other));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(EventType.StartChildWorkflowExecutionFailed));
        var failed = (await worker.HistoryAsync()).Single(e => e.EventType == EventType.StartChildWorkflowExecutionFailed).StartChildWorkflowExecutionFailedEventAttributes;
        Assert.Equal(StartChildWorkflowExecutionFailedCause.WorkflowAlreadyExists, failed.Cause);
        Assert.Equal(5, failed.InitiatedEventId);
        await worker.TerminateAsync();
        await other.TerminateAsync();
    }

    [Theory]
    [InlineData("complete", EventType.ChildWorkflowExecutionCompleted)]
    [InlineData("fail", EventType.ChildWorkflowExecutionFailed)]
    [InlineData("cancel", EventType.ChildWorkflowExecutionCanceled)]
    [InlineData("terminate", EventType.ChildWorkflowExecutionTerminated)]
    [InlineData("time out", EventType.ChildWorkflowExecutionTimedOut)]
    public async Task S09_A_parent_is_told_how_its_child_ended(string how, EventType expected)
    {
        var child = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child, c => c.WorkflowRunTimeout = how == "time out" ? RawWorker.Seconds(0.3) : null));
        var task = await child.PollAsync();
        switch (how)
        {
            case "complete":
                await child.CompleteAsync(task, Commands.Complete());
                break;
            case "fail":
                await child.CompleteAsync(task, Commands.Fail());
                break;
            case "cancel":
                await child.CompleteAsync(task, Commands.CancelWorkflow());
                break;
            case "terminate":
                await child.TerminateAsync();
                break;
        }

        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(expected));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_parent_waits_for_the_last_run_of_its_child()
    {
        var child = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child));
        await child.CompleteAsync(await child.PollAsync(), Commands.ContinueAsNew());
        await child.CompleteAsync(await child.PollAsync(), Commands.Complete("last"));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(EventType.ChildWorkflowExecutionCompleted));
        var completed = (await worker.HistoryAsync()).Single(e => e.EventType == EventType.ChildWorkflowExecutionCompleted);
        Assert.Equal(RawWorker.Text("last"), completed.ChildWorkflowExecutionCompletedEventAttributes.Result);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_command_of_a_feature_that_is_missing_fails_the_task()
    {
        Assert.SkipWhen(server.IsOfficial, "an official server has Nexus");
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, new Command
        {
            CommandType = CommandType.ScheduleNexusOperation,
            ScheduleNexusOperationCommandAttributes = new() { Endpoint = "e", Service = "s", Operation = "o" },
        }));
        var failed = (await worker.HistoryAsync()).Single(e => e.EventType == EventType.WorkflowTaskFailed).WorkflowTaskFailedEventAttributes;
        Assert.Equal(WorkflowTaskFailedCause.FeatureDisabled, failed.Cause);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S09_A_reset_goes_on_from_the_chosen_task_and_keeps_later_signals()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Marker("first"));
        await worker.SignalAsync("later");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        var reset = await worker.Service.ResetWorkflowExecutionAsync(new()
        {
            Namespace = RawWorker.Namespace,
            WorkflowExecution = worker.Execution,
            WorkflowTaskFinishEventId = 4,
            Reason = "again",
            RequestId = Guid.NewGuid().ToString(),
        });
        var task = await worker.PollAsync();
        Assert.Equal(reset.RunId, task.WorkflowExecution.RunId);
        Assert.Equal(
            [
                EventType.WorkflowExecutionStarted, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskFailed,
                EventType.WorkflowExecutionSignaled, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted,
            ],
            task.History.Events.Select(e => e.EventType));
        var failed = task.History.Events[3].WorkflowTaskFailedEventAttributes;
        Assert.Equal(WorkflowTaskFailedCause.ResetWorkflow, failed.Cause);
        Assert.Equal(worker.RunId, failed.BaseRunId);
        Assert.Equal(reset.RunId, failed.NewRunId);
        await worker.CompleteAsync(task, Commands.Complete());
    }
}
