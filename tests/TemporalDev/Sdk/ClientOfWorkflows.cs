using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Converters;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>A client starts workflows, looks at them, waits for them and ends them.</summary>
[Collection(nameof(DevServer))]
public sealed class ClientOfWorkflows(DevServer server)
{
    private static void All(TemporalWorkerOptions options) => options.AddWorkflow<MailboxWorkflow>().AddWorkflow<CountdownWorkflow>().AddWorkflow<RetriedWorkflow>()
        .AddWorkflow<SleepWorkflow>().AddWorkflow<FailingWorkflow>().AddWorkflow<EchoWorkflow>().AddWorkflow<LastRunWorkflow>().AddWorkflow<StubbornWorkflow>()
        .AddAllActivities(typeof(SampleActivities), null);

    private static WorkflowOptions Options(string queue) => new(DevServer.NewId(), queue);

    [Fact]
    public Task A_second_start_says_which_run_has_the_id() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        var error = await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options));
        Assert.Equal(handle.ResultRunId, error.RunId);
        Assert.Equal(options.Id, error.WorkflowId);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task The_conflict_policy_decides_about_an_open_run() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var first = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        options.IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting;
        Assert.Equal(first.ResultRunId, (await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options)).ResultRunId);
        options.IdConflictPolicy = WorkflowIdConflictPolicy.TerminateExisting;
        var second = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        Assert.NotEqual(first.ResultRunId, second.ResultRunId);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await server.Client.GetWorkflowHandle(options.Id!, first.ResultRunId).DescribeAsync()).Status);
        await second.TerminateAsync();
    });

    [Fact]
    public async Task Policies_that_contradict_each_other_are_refused()
    {
        var options = Options(DevServer.NewQueue());
        options.IdReusePolicy = WorkflowIdReusePolicy.TerminateIfRunning;
        options.IdConflictPolicy = WorkflowIdConflictPolicy.Fail;
        await RefusedAsync(options);
        options.IdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate;
        options.IdConflictPolicy = WorkflowIdConflictPolicy.TerminateExisting;
        await RefusedAsync(options);
    }

    private async Task RefusedAsync(WorkflowOptions options)
    {
        var error = await Assert.ThrowsAsync<RpcException>(() => server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options));
        Assert.Equal(RpcException.StatusCode.InvalidArgument, error.Code);
    }

    [Fact]
    public Task A_description_says_everything_about_a_closed_run() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.Memo = new Dictionary<string, object> { ["colour"] = "green" };
        options.StaticSummary = "short";
        options.StaticDetails = "long\nstory";
        options.RunTimeout = TimeSpan.FromHours(1);
        options.Priority = new(priorityKey: 2, fairnessKey: "tenant", fairnessWeight: 1.5f);
        var handle = await server.Client.StartWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), options);
        await handle.GetResultAsync();
        var description = await handle.DescribeAsync();
        Assert.Equal(options.Id, description.Id);
        Assert.Equal(handle.ResultRunId, description.RunId);
        Assert.Equal("EchoWorkflow", description.WorkflowType);
        Assert.Equal(queue, description.TaskQueue);
        Assert.Equal(WorkflowExecutionStatus.Completed, description.Status);
        Assert.Equal((await handle.FetchHistoryAsync()).Events.Count, description.HistoryLength);
        Assert.NotNull(description.ExecutionTime);
        Assert.InRange(description.CloseTime!.Value, description.StartTime, description.StartTime.AddMinutes(5));
        Assert.Equal("green", await description.Memo["colour"].ToValueAsync<string>());
        Assert.Null(description.ParentId);
        Assert.Null(description.ParentRunId);
        Assert.Equal("short", await description.GetStaticSummaryAsync());
        Assert.Equal("long\nstory", await description.GetStaticDetailsAsync());
        var raw = (await server.DescribeRawAsync(options.Id!)).WorkflowExecutionInfo;
        Assert.Equal(2, raw.Priority.PriorityKey);
        Assert.Equal("tenant", raw.Priority.FairnessKey);
        Assert.Equal(options.Id, raw.RootExecution.WorkflowId);
    });

    [Fact]
    public Task Without_following_a_continuation_is_an_error() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((CountdownWorkflow w) => w.RunAsync(2), Options(queue));
        await Assert.ThrowsAsync<WorkflowContinuedAsNewException>(() => handle.GetResultAsync(followRuns: false));
        Assert.Equal("continued", await handle.GetResultAsync());
        Assert.Equal("continued", await server.Client.GetWorkflowHandle<CountdownWorkflow, string>(handle.Id).GetResultAsync(followRuns: false));
    });

    [Fact]
    public Task Without_following_a_retried_run_fails() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(1), MaximumAttempts = 2 };
        var handle = await server.Client.StartWorkflowAsync((RetriedWorkflow w) => w.RunAsync(5), options);
        var first = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync(followRuns: false));
        Assert.Equal("attempt 1", first.InnerException!.Message);
        var last = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.Equal("attempt 2", last.InnerException!.Message);
    });

    [Fact]
    public Task A_timed_out_run_is_a_timeout_failure() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.ExecutionTimeout = TimeSpan.FromMilliseconds(200);
        var handle = await server.Client.StartWorkflowAsync((SleepWorkflow w) => w.RunAsync(100), options);
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.Equal(TimeoutType.StartToClose, Assert.IsType<TimeoutFailureException>(error.InnerException).TimeoutType);
        Assert.Equal(WorkflowExecutionStatus.TimedOut, (await handle.DescribeAsync()).Status);
    });

    [Fact]
    public Task A_termination_carries_its_reason_and_details() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        await handle.TerminateAsync("because", new() { Details = ["one", 2] });
        var error = Assert.IsType<TerminatedFailureException>((await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync())).InnerException);
        Assert.Equal("because", error.Message);
        Assert.Equal("one", error.Details!.ElementAt<string>(0));
        Assert.Equal(2, error.Details!.ElementAt<int>(1));
        var again = await Assert.ThrowsAsync<RpcException>(() => handle.TerminateAsync());
        Assert.Equal(RpcException.StatusCode.NotFound, again.Code);
        Assert.Equal("workflow execution already completed", again.Message);
    });

    [Fact]
    public Task A_workflow_may_ignore_its_cancellation() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((StubbornWorkflow w) => w.RunAsync(), Options(queue));
        await handle.CancelAsync();
        Assert.Equal("went on", await handle.GetResultAsync());
    });

    [Fact]
    public Task A_handle_of_another_chain_does_not_reach_the_workflow() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        var other = server.Client.GetWorkflowHandle(handle.Id, firstExecutionRunId: Guid.NewGuid().ToString());
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => other.CancelAsync())).Code);
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => other.TerminateAsync())).Code);
        await handle.TerminateAsync();
    });

    [Fact]
    public async Task Nobody_knows_an_unknown_workflow()
    {
        var handle = server.Client.GetWorkflowHandle<MailboxWorkflow>(DevServer.NewId());
        foreach (var call in new Func<Task>[]
        {
            () => handle.DescribeAsync(), () => handle.CancelAsync(), () => handle.TerminateAsync(), () => handle.SignalAsync(w => w.FinishAsync()),
            () => handle.QueryAsync(w => w.Count()), () => handle.ExecuteUpdateAsync(w => w.AddAsync("x")), () => handle.GetResultAsync(), () => handle.FetchHistoryAsync(),
        })
        {
            var error = await Assert.ThrowsAsync<RpcException>(call);
            Assert.Equal(RpcException.StatusCode.NotFound, error.Code);
            Assert.Contains(handle.Id, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public Task A_start_delay_is_in_the_history_and_in_the_execution_time() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.StartDelay = TimeSpan.FromMinutes(45);
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        var started = (await handle.FetchHistoryAsync()).Events.Single().WorkflowExecutionStartedEventAttributes;
        Assert.Equal(TimeSpan.FromMinutes(45), started.FirstWorkflowTaskBackoff.ToTimeSpan());
        var description = await handle.DescribeAsync();
        Assert.Equal(TimeSpan.FromMinutes(45), description.ExecutionTime!.Value - description.StartTime);
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal(2, (await handle.DescribeAsync()).HistoryLength);
        options.StartDelay = null;
        options.SignalWithStart((MailboxWorkflow w) => w.PutAsync("now"));
        await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        Assert.Equal("now", await handle.GetResultAsync());
    });

    [Fact]
    public Task Reject_conditions_spare_the_worker_a_query() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal(0, await handle.QueryAsync(w => w.Count(), new() { RejectCondition = QueryRejectCondition.NotOpen }));
        await handle.SignalAsync(w => w.FinishAsync());
        await handle.GetResultAsync();
        var error = await Assert.ThrowsAsync<WorkflowQueryRejectedException>(() => handle.QueryAsync(w => w.Count(), new() { RejectCondition = QueryRejectCondition.NotOpen }));
        Assert.Equal(WorkflowExecutionStatus.Completed, error.WorkflowStatus);
        Assert.Equal(0, await handle.QueryAsync(w => w.Count(), new() { RejectCondition = QueryRejectCondition.NotCompletedCleanly }));
        var unknown = await Assert.ThrowsAsync<WorkflowQueryFailedException>(() => handle.QueryAsync<int>("NoSuchQuery", []));
        Assert.Contains("NoSuchQuery", unknown.Message, StringComparison.Ordinal);
    });

    [Fact]
    public async Task A_query_without_a_worker_ends_with_its_deadline()
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(DevServer.NewQueue()));
        var error = await Assert.ThrowsAsync<RpcException>(() => handle.QueryAsync(w => w.Count(), new() { Rpc = new() { Timeout = TimeSpan.FromSeconds(1) } }));
        Assert.Contains(error.Code, new[] { RpcException.StatusCode.DeadlineExceeded, RpcException.StatusCode.Cancelled });
        await handle.TerminateAsync();
    }

    [Fact]
    public Task A_query_of_a_workflow_whose_tasks_fail_says_so_at_once() => server.WithWorkerAsync(o => o.AddWorkflow<BrokenWorkflow>(), async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((BrokenWorkflow w) => w.RunAsync(), Options(queue));
        await handle.SignalAsync(w => w.BreakAsync());
        await Until.TrueAsync(async () => (await server.DescribeRawAsync(handle.Id)).PendingWorkflowTask is { Attempt: >= 3 });
        var error = await Assert.ThrowsAsync<RpcException>(() => handle.QueryAsync(w => w.Answer()));
        Assert.Equal(RpcException.StatusCode.FailedPrecondition, error.Code);
        Assert.Contains("Workflow Task in failed state", error.Message, StringComparison.Ordinal);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task History_can_be_followed_while_it_grows() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        var seen = new List<EventType>();
        await foreach (var e in handle.FetchHistoryEventsAsync(new() { WaitNewEvent = true }))
        {
            seen.Add(e.EventType);
            if (e.EventType == EventType.WorkflowTaskCompleted && seen.Count(t => t == e.EventType) == 1)
            {
                await handle.SignalAsync(w => w.FinishAsync());
            }
        }

        Assert.Equal(EventType.WorkflowExecutionCompleted, seen[^1]);
        var close = new List<EventType>();
        await foreach (var e in handle.FetchHistoryEventsAsync(new() { EventFilterType = HistoryEventFilterType.CloseEvent }))
        {
            close.Add(e.EventType);
        }

        Assert.Equal([EventType.WorkflowExecutionCompleted], close);
    });

    [Fact]
    public Task Lists_and_counts_find_what_was_started() => server.WithWorkerAsync(All, async queue =>
    {
        for (var i = 0; i < 5; i++)
        {
            await server.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync($"{i}"), Options(queue));
        }

        await Assert.ThrowsAsync<WorkflowFailedException>(() => server.Client.ExecuteWorkflowAsync((FailingWorkflow w) => w.RunAsync(), Options(queue)));
        var query = $"TaskQueue = '{queue}'";
        await Until.TrueAsync(async () => (await server.Client.CountWorkflowsAsync(query)).Count == 6);
        var listed = new List<WorkflowExecution>();
        await foreach (var run in server.Client.ListWorkflowsAsync(query))
        {
            listed.Add(run);
        }

        Assert.Equal(6, listed.Count);
        Assert.Equal("FailingWorkflow", listed[0].WorkflowType);
        var groups = (await server.Client.CountWorkflowsAsync($"{query} GROUP BY ExecutionStatus")).Groups;
        Assert.Equal([("Completed", 5), ("Failed", 1)], groups.Select(g => ((string)g.GroupValues.Single(), (int)g.Count)).Order());
        var limited = 0;
        await foreach (var _ in server.Client.ListWorkflowsAsync(query, new() { Limit = 3 }))
        {
            limited++;
        }

        Assert.Equal(3, limited);
    });

    [Fact]
    public Task A_cron_run_knows_the_last_result() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.CronSchedule = "@every 1s";
        var handle = await server.Client.StartWorkflowAsync((LastRunWorkflow w) => w.RunAsync(), options);
        var failed = $"WorkflowId = '{handle.Id}' AND ExecutionStatus = 'Failed'";
        await Until.TrueAsync(async () => (await server.Client.CountWorkflowsAsync(failed)).Count > 0);
        await server.Client.GetWorkflowHandle(handle.Id).TerminateAsync();
        await foreach (var run in server.Client.ListWorkflowsAsync(failed, new() { Limit = 1 }))
        {
            var history = (await server.Client.GetWorkflowHandle(run.Id, run.RunId).FetchHistoryAsync()).Events;
            Assert.Contains(" after 2, which failed: ", history.Last().WorkflowExecutionFailedEventAttributes.Failure.Message, StringComparison.Ordinal);
        }
    });

    [Fact]
    public Task A_failure_keeps_its_type_details_and_causes() => server.WithWorkerAsync(o => o.AddWorkflow<DetailedFailureWorkflow>(), async queue =>
    {
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => server.Client.ExecuteWorkflowAsync((DetailedFailureWorkflow w) => w.RunAsync(), Options(queue)));
        var outer = Assert.IsType<ApplicationFailureException>(error.InnerException);
        Assert.Equal("Outer", outer.ErrorType);
        Assert.True(outer.NonRetryable);
        Assert.Equal("detail", outer.Details.ElementAt<string>(0));
        Assert.Equal("inner", Assert.IsType<ApplicationFailureException>(outer.InnerException).Message);
        Assert.Equal(ApplicationErrorCategory.Benign, outer.Category);
    });

    [Workflow]
    public sealed class LastRunWorkflow
    {
        [WorkflowRun]
        public Task<int> RunAsync()
        {
            var last = Workflow.Info.LastResult is { Count: > 0 } ? Workflow.PayloadConverter.ToValue<int>(Workflow.Info.LastResult.Single()) : 0;
            return last < 2 ? Task.FromResult(last + 1)
                : throw new ApplicationFailureException($"run {last + 1} after {last}, which failed: {Workflow.Info.LastFailure is not null}");
        }
    }

    [Workflow]
    public sealed class StubbornWorkflow
    {
        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            try
            {
                await Workflow.DelayAsync(TimeSpan.FromHours(1));
            }
            catch (OperationCanceledException)
            {
                return "went on";
            }

            return "slept";
        }
    }

    [Workflow]
    public sealed class BrokenWorkflow
    {
        private bool broken;

        [WorkflowRun]
        public async Task RunAsync()
        {
            await Workflow.WaitConditionAsync(() => broken);
            throw new InvalidOperationException("a bug");
        }

        [WorkflowSignal]
        public Task BreakAsync()
        {
            broken = true;
            return Task.CompletedTask;
        }

        [WorkflowQuery]
        public int Answer() => 42;
    }

    [Workflow]
    public sealed class DetailedFailureWorkflow
    {
        [WorkflowRun]
        public Task RunAsync() => throw new ApplicationFailureException(
            "outer",
            new ApplicationFailureException("inner"),
            errorType: "Outer",
            nonRetryable: true,
            details: ["detail"],
            category: ApplicationErrorCategory.Benign);
    }
}
