using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 11: starting, signalling, cancelling, terminating, timing out.</summary>
[Collection(nameof(DevServer))]
public sealed class S11_Starting(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    private async Task CloseAsync(string how)
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.CompleteAsync(task, how == "complete" ? Commands.Complete() : Commands.Fail());
    }

    [Fact]
    public async Task S11_A_taken_id_is_refused_with_the_run_that_has_it()
    {
        var first = await worker.StartAsync();
        var detail = await RpcAssert.FailsWithAsync<WorkflowExecutionAlreadyStartedFailure>(
            RpcException.StatusCode.AlreadyExists,
            () => worker.Service.StartWorkflowExecutionAsync(worker.StartRequest()));
        Assert.Equal(first.RunId, detail.RunId);
        Assert.NotEmpty(detail.StartRequestId);
        Assert.True(first.Started);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S11_Use_existing_answers_the_open_run()
    {
        var first = await worker.StartAsync();
        var second = await worker.StartAsync(r => r.WorkflowIdConflictPolicy = WorkflowIdConflictPolicy.UseExisting);
        Assert.Equal(first.RunId, second.RunId);
        Assert.False(second.Started);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S11_Terminate_existing_makes_way()
    {
        var first = await worker.StartAsync();
        var second = await worker.StartAsync(r => r.WorkflowIdConflictPolicy = WorkflowIdConflictPolicy.TerminateExisting);
        Assert.NotEqual(first.RunId, second.RunId);
        Assert.True(second.Started);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await worker.DescribeAsync(first.RunId)).WorkflowExecutionInfo.Status);
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData("complete", WorkflowIdReusePolicy.AllowDuplicate, true)]
    [InlineData("complete", WorkflowIdReusePolicy.AllowDuplicateFailedOnly, false)]
    [InlineData("fail", WorkflowIdReusePolicy.AllowDuplicateFailedOnly, true)]
    [InlineData("complete", WorkflowIdReusePolicy.RejectDuplicate, false)]
    [InlineData("fail", WorkflowIdReusePolicy.RejectDuplicate, false)]
    public async Task S11_The_reuse_policy_decides_about_a_closed_id(string how, WorkflowIdReusePolicy policy, bool allowed)
    {
        await CloseAsync(how);
        var old = worker.RunId;
        if (allowed)
        {
            Assert.NotEqual(old, (await worker.StartAsync(r => r.WorkflowIdReusePolicy = policy)).RunId);
            await worker.TerminateAsync();
        }
        else
        {
            var detail = await RpcAssert.FailsWithAsync<WorkflowExecutionAlreadyStartedFailure>(
                RpcException.StatusCode.AlreadyExists,
                () => worker.StartAsync(r => r.WorkflowIdReusePolicy = policy));
            Assert.Equal(old, detail.RunId);
        }
    }

    [Fact]
    public async Task S11_A_start_delay_holds_the_first_task_back()
    {
        await worker.StartAsync(r => r.WorkflowStartDelay = RawWorker.Seconds(1));
        await worker.SignalAsync("early");
        await worker.AssertEventsAsync(EventType.WorkflowExecutionStarted, EventType.WorkflowExecutionSignaled);
        var description = (await worker.DescribeAsync()).WorkflowExecutionInfo;
        Assert.Equal(1, (description.ExecutionTime - description.StartTime).ToTimeSpan().TotalSeconds, 1.0);
        var task = await worker.PollAsync();
        Assert.Equal(EventType.WorkflowExecutionSignaled, task.History.Events[1].EventType);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S11_An_update_does_not_wait_for_a_start_delay()
    {
        await worker.StartAsync(r => r.WorkflowStartDelay = RawWorker.Seconds(86_400));
        var update = worker.Service.UpdateWorkflowExecutionAsync(new()
        {
            Namespace = RawWorker.Namespace,
            WorkflowExecution = worker.Execution,
            Request = new() { Meta = new() { UpdateId = "u" }, Input = new() { Name = "now" } },
            WaitPolicy = new() { LifecycleStage = UpdateWorkflowExecutionLifecycleStage.Accepted },
        });
        var task = await worker.PollAsync();
        Assert.Equal("u/request", Assert.Single(task.Messages).Id);
        await worker.TerminateAsync();
        await Assert.ThrowsAnyAsync<RpcException>(() => update);
    }

    [Fact]
    public async Task S11_A_query_that_would_time_out_before_a_start_delay_is_over_is_refused_at_once()
    {
        await worker.StartAsync(r => r.WorkflowStartDelay = RawWorker.Seconds(86_400));
        await RpcAssert.FailsWithAsync<WorkflowNotReadyFailure>(RpcException.StatusCode.FailedPrecondition, () => worker.Service.QueryWorkflowAsync(
            new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Query = new() { QueryType = "state" } }));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S11_Signal_with_start_signals_the_run_it_started_and_then_the_same_run()
    {
        for (var i = 0; i < 2; i++)
        {
            var answer = await worker.Service.SignalWithStartWorkflowExecutionAsync(new()
            {
                Namespace = RawWorker.Namespace,
                WorkflowId = worker.WorkflowId,
                WorkflowType = new() { Name = "raw" },
                TaskQueue = worker.TaskQueue,
                SignalName = $"s{i}",
                RequestId = Guid.NewGuid().ToString(),
            });
            Assert.Equal(i == 0, answer.Started);
        }

        var task = await worker.PollAsync();
        Assert.Equal(["s0", "s1"], task.History.Events.Where(e => e.EventType == EventType.WorkflowExecutionSignaled).Select(e => e.WorkflowExecutionSignaledEventAttributes.SignalName));
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task S11_A_run_ends_at_its_timeout(bool execution)
    {
        await worker.StartAsync(r =>
        {
            r.WorkflowExecutionTimeout = execution ? RawWorker.Seconds(0.5) : null;
            r.WorkflowRunTimeout = execution ? null : RawWorker.Seconds(0.5);
        });
        await Until.TrueAsync(async () => (await worker.EventTypesAsync())[^1] == EventType.WorkflowExecutionTimedOut);
        Assert.Equal(WorkflowExecutionStatus.TimedOut, (await worker.DescribeAsync()).WorkflowExecutionInfo.Status);
    }

    [Fact]
    public async Task S11_The_retry_policy_applies_to_the_run_timeout()
    {
        await worker.StartAsync(r =>
        {
            r.WorkflowRunTimeout = RawWorker.Seconds(0.4);
            r.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1), MaximumAttempts = 2 };
        });
        var first = worker.RunId;
        await Until.TrueAsync(async () => (await worker.EventTypesAsync(first))[^1] == EventType.WorkflowExecutionTimedOut);
        Assert.NotEmpty((await worker.HistoryAsync(first))[^1].WorkflowExecutionTimedOutEventAttributes.NewExecutionRunId);
        await Until.TrueAsync(async () => (await worker.DescribeAsync()).WorkflowExecutionInfo is { Status: WorkflowExecutionStatus.TimedOut } info && info.Execution.RunId != first);
    }

    [Fact]
    public async Task S11_The_execution_timeout_spans_continue_as_new()
    {
        await worker.StartAsync(r => r.WorkflowExecutionTimeout = RawWorker.Seconds(1));
        await worker.CompleteAsync(await worker.PollAsync(), Commands.ContinueAsNew());
        await Until.TrueAsync(async () => (await worker.DescribeAsync()).WorkflowExecutionInfo.Status == WorkflowExecutionStatus.TimedOut);
    }

    [Fact]
    public async Task S11_A_signal_to_a_closed_run_is_not_found()
    {
        await CloseAsync("complete");
        var error = await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.SignalAsync("s"));
        Assert.Equal("workflow execution already completed", error.Message);
    }

    [Fact]
    public async Task S11_Cancelling_twice_or_after_the_close_succeeds()
    {
        await worker.StartAsync();
        await worker.CancelAsync();
        await worker.CancelAsync();
        Assert.Single(await worker.EventTypesAsync(), t => t == EventType.WorkflowExecutionCancelRequested);
        await worker.TerminateAsync();
        await worker.CancelAsync();
    }

    [Fact]
    public async Task S11_An_unknown_workflow_is_not_found()
    {
        var error = await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, worker.CancelAsync);
        Assert.Contains(worker.WorkflowId, error.Message, StringComparison.Ordinal);
        await RpcAssert.FailsWithAsync<NotFoundFailure>(RpcException.StatusCode.NotFound, () => worker.SignalAsync("s"));
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, worker.TerminateAsync);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.DescribeAsync());
    }

    [Fact]
    public async Task S11_Terminating_a_closed_run_is_not_found()
    {
        await CloseAsync("complete");
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, worker.TerminateAsync);
    }

    [Fact]
    public async Task S11_The_first_run_id_pins_the_chain()
    {
        await worker.StartAsync();
        var first = worker.RunId;
        await worker.CompleteAsync(await worker.PollAsync(), Commands.ContinueAsNew());
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => TerminateChainAsync(Guid.NewGuid().ToString()));
        await TerminateChainAsync(first);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await worker.DescribeAsync()).WorkflowExecutionInfo.Status);
    }

    [Theory]
    [InlineData(ParentClosePolicy.Terminate, WorkflowExecutionStatus.Terminated)]
    [InlineData(ParentClosePolicy.Unspecified, WorkflowExecutionStatus.Terminated)]
    [InlineData(ParentClosePolicy.RequestCancel, WorkflowExecutionStatus.Running)]
    [InlineData(ParentClosePolicy.Abandon, WorkflowExecutionStatus.Running)]
    public async Task S11_The_parent_close_policy_is_applied(ParentClosePolicy policy, WorkflowExecutionStatus expected)
    {
        var child = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child, c => c.ParentClosePolicy = policy));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(EventType.ChildWorkflowExecutionStarted));
        await worker.TerminateAsync();
        await Until.TrueAsync(async () =>
        {
            var description = await child.DescribeAsync();
            return description.WorkflowExecutionInfo.Status == expected
                && (policy != ParentClosePolicy.RequestCancel || await HasCancelRequestAsync(child));
        });
        if (expected == WorkflowExecutionStatus.Running)
        {
            await child.TerminateAsync();
        }
    }

    [Fact]
    public async Task S11_A_cron_workflow_runs_again_when_its_time_comes()
    {
        await worker.StartAsync(r => r.CronSchedule = "@every 1s");
        var first = await worker.PollAsync();
        await worker.CompleteAsync(first, Commands.Complete("one"));
        var second = await worker.PollAsync();
        var started = second.History.Events[0].WorkflowExecutionStartedEventAttributes;
        Assert.Equal(ContinueAsNewInitiator.CronSchedule, started.Initiator);
        Assert.Equal(RawWorker.Text("one"), started.LastCompletionResult);
        await worker.CompleteAsync(second, Commands.Fail());
        var third = await worker.PollAsync();
        started = third.History.Events[0].WorkflowExecutionStartedEventAttributes;
        Assert.Equal("workflow broke", started.ContinuedFailure.Message);
        Assert.Equal(RawWorker.Text("one"), started.LastCompletionResult);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S11_A_deleted_workflow_is_gone()
    {
        await CloseAsync("complete");
        await worker.Service.DeleteWorkflowExecutionAsync(new() { Namespace = RawWorker.Namespace, WorkflowExecution = worker.Execution });
        await Until.TrueAsync(async () =>
        {
            try
            {
                await worker.DescribeAsync();
                return false;
            }
            catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
            {
                return true;
            }
        });
    }

    private static async Task<bool> HasCancelRequestAsync(RawWorker child)
    {
        var runId = (await child.DescribeAsync()).WorkflowExecutionInfo.Execution.RunId;
        return (await child.EventTypesAsync(runId)).Contains(EventType.WorkflowExecutionCancelRequested);
    }

    private Task TerminateChainAsync(string firstRunId) => worker.Service.TerminateWorkflowExecutionAsync(new()
    {
        Namespace = RawWorker.Namespace,
        WorkflowExecution = new() { WorkflowId = worker.WorkflowId },
        FirstExecutionRunId = firstRunId,
    });
}
