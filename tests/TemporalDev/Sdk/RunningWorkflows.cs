using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>What the stock client and worker do every day, on our server.</summary>
[Collection(nameof(DevServer))]
public sealed class RunningWorkflows(DevServer server)
{
    private static readonly Type[] Workflows =
    [
        typeof(EchoWorkflow), typeof(ParallelWorkflow), typeof(RetryingWorkflow), typeof(TimeoutWorkflow), typeof(CancelActivityWorkflow),
        typeof(MailboxWorkflow), typeof(SleepWorkflow), typeof(ParentWorkflow), typeof(FailingWorkflow), typeof(CountdownWorkflow),
        typeof(TaskFailureWorkflow), typeof(LocalActivityWorkflow), typeof(AttributesWorkflow), typeof(AsyncCompletionWorkflow),
        typeof(HeartbeatTimeoutRetryWorkflow), typeof(RetriedWorkflow),
    ];

    private static void Everything(TemporalWorkerOptions options)
    {
        foreach (var type in Workflows)
        {
            options.AddWorkflow(type);
        }

        options.AddAllActivities(typeof(SampleActivities), null);
    }

    private static WorkflowOptions Options(string queue) => new(DevServer.NewId(), queue);

    [Fact]
    public Task An_activity_gives_its_result() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal("hello", await server.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("hello"), Options(queue))));

    [Fact]
    public Task Activities_run_in_parallel() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal(Enumerable.Range(0, 50).Sum(), await server.Client.ExecuteWorkflowAsync((ParallelWorkflow w) => w.RunAsync(50), Options(queue))));

    [Fact]
    public Task The_server_retries_an_activity() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal(4, await server.Client.ExecuteWorkflowAsync((RetryingWorkflow w) => w.RunAsync(4), Options(queue))));

    [Theory]
    [InlineData("StartToClose", "StartToClose MaximumAttemptsReached")]
    [InlineData("ScheduleToClose", "ScheduleToClose Timeout")]
    [InlineData("Heartbeat", "Heartbeat MaximumAttemptsReached")]
    [InlineData("ScheduleToStart", "ScheduleToStart NonRetryableFailure")]
    public Task Each_activity_timeout_is_reported_as_what_it_is(string kind, string expected) => server.WithWorkerAsync(Everything, async queue =>
    {
        var result = await server.Client.ExecuteWorkflowAsync((TimeoutWorkflow w) => w.RunAsync(kind), Options(queue));
        // A schedule-to-close timeout without a start-to-close timeout sets both to the same length, so either may be first.
        Assert.Contains(result, kind == "ScheduleToClose" ? [expected, "StartToClose MaximumAttemptsReached"] : new[] { expected });
    });

    [Fact]
    public Task A_missing_heartbeat_leads_to_the_next_attempt() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal("second attempt", await server.Client.ExecuteWorkflowAsync((HeartbeatTimeoutRetryWorkflow w) => w.RunAsync(), Options(queue))));

    [Fact]
    public Task A_heartbeating_activity_learns_that_it_is_cancelled() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal("saw the cancel request", await server.Client.ExecuteWorkflowAsync((CancelActivityWorkflow w) => w.RunAsync(), Options(queue))));

    [Fact]
    public Task Signals_queries_and_updates_reach_the_workflow() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        await handle.SignalAsync(w => w.PutAsync("a"));
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        Assert.Equal(2, await handle.ExecuteUpdateAsync(w => w.AddAsync("b")));
        Assert.Equal(2, await handle.QueryAsync(w => w.Count()));
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("a,b", await handle.GetResultAsync());
        Assert.Equal(2, await handle.QueryAsync(w => w.Count()));
    });

    [Fact]
    public Task A_failing_query_fails_for_its_caller_only() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        var error = await Assert.ThrowsAsync<WorkflowQueryFailedException>(() => handle.QueryAsync(w => w.Broken()));
        Assert.Contains("no such answer", error.Message, StringComparison.Ordinal);
        Assert.Equal(WorkflowExecutionStatus.Running, (await handle.DescribeAsync()).Status);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task A_rejected_update_fails_with_the_validators_reason() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.AddAsync("")));
        Assert.Equal("Empty", Assert.IsType<ApplicationFailureException>(error.InnerException).ErrorType);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task A_repeated_update_id_is_one_update() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal(1, await handle.ExecuteUpdateAsync(w => w.AddAsync("x"), new() { Id = "same" }));
        Assert.Equal(1, await handle.ExecuteUpdateAsync(w => w.AddAsync("x"), new() { Id = "same" }));
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        await handle.TerminateAsync();
    });

    [Fact]
    public Task An_unfinished_update_fails_when_its_workflow_completes() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
        var update = await handle.StartUpdateAsync(w => w.NeverAsync(), new(WorkflowUpdateStage.Accepted));
        await handle.SignalAsync(w => w.FinishAsync());
        var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => update.GetResultAsync());
        Assert.Equal("AcceptedUpdateCompletedWorkflow", Assert.IsType<ApplicationFailureException>(error.InnerException).ErrorType);
    });

    [Fact]
    public Task Update_with_start_starts_once_and_updates_twice() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        options.IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting;
        for (var i = 1; i <= 2; i++)
        {
            var start = WithStartWorkflowOperation.Create((MailboxWorkflow w) => w.RunAsync(), options);
            Assert.Equal(i, await server.Client.ExecuteUpdateWithStartWorkflowAsync((MailboxWorkflow w) => w.AddAsync("x"), new(start)));
        }

        await server.Client.GetWorkflowHandle(options.Id!).TerminateAsync();
    });

    [Fact]
    public Task Update_with_start_says_that_the_workflow_runs_already() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        var again = Options(queue);
        again.Id = options.Id;
        again.IdConflictPolicy = WorkflowIdConflictPolicy.Fail;
        var start = WithStartWorkflowOperation.Create((MailboxWorkflow w) => w.RunAsync(), again);
        await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() =>
            server.Client.ExecuteUpdateWithStartWorkflowAsync((MailboxWorkflow w) => w.AddAsync("x"), new(start)));
        await handle.TerminateAsync();
    });

    [Fact]
    public Task Cancelling_ends_a_sleeping_workflow() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((SleepWorkflow w) => w.RunAsync(3600), Options(queue));
        await handle.CancelAsync();
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.IsType<CanceledFailureException>(error.InnerException);
        await handle.CancelAsync();
    });

    [Fact]
    public Task Terminating_ends_a_workflow_at_once() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((SleepWorkflow w) => w.RunAsync(3600), Options(queue));
        await handle.TerminateAsync("enough");
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.IsType<TerminatedFailureException>(error.InnerException);
        await Assert.ThrowsAsync<RpcException>(() => handle.TerminateAsync());
    });

    [Theory]
    [InlineData("result", "from the child")]
    [InlineData("failure", "on purpose")]
    [InlineData("duplicate", "from the parent")]
    public Task A_parent_sees_what_becomes_of_its_child(string how, string expected) => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal(expected, await server.Client.ExecuteWorkflowAsync((ParentWorkflow w) => w.RunAsync(how), Options(queue))));

    [Theory]
    [InlineData(ParentClosePolicy.Terminate, WorkflowExecutionStatus.Terminated)]
    [InlineData(ParentClosePolicy.RequestCancel, WorkflowExecutionStatus.Canceled)]
    [InlineData(ParentClosePolicy.Abandon, WorkflowExecutionStatus.Running)]
    public Task The_parent_close_policy_decides_about_the_child(ParentClosePolicy policy, WorkflowExecutionStatus expected) =>
        server.WithWorkerAsync(Everything, async queue =>
        {
            var child = server.Client.GetWorkflowHandle(
                await server.Client.ExecuteWorkflowAsync((ParentWorkflow w) => w.RunAsync(policy.ToString()), Options(queue)));
            if (expected == WorkflowExecutionStatus.Running)
            {
                Assert.Equal(expected, (await child.DescribeAsync()).Status);
                await child.TerminateAsync();
                return;
            }

            await Assert.ThrowsAsync<WorkflowFailedException>(() => child.GetResultAsync());
            Assert.Equal(expected, (await child.DescribeAsync()).Status);
        });

    [Fact]
    public Task A_chain_of_continuations_gives_the_last_runs_result() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((CountdownWorkflow w) => w.RunAsync(3), Options(queue));
        Assert.Equal("continued", await handle.GetResultAsync());
    });

    [Fact]
    public Task A_workflow_retry_policy_starts_another_run() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        options.RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(10) };
        Assert.Equal(3, await server.Client.ExecuteWorkflowAsync((RetriedWorkflow w) => w.RunAsync(3), options));
    });

    [Fact]
    public Task A_workflow_task_that_fails_is_tried_again() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((TaskFailureWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal(3, await handle.GetResultAsync());
        var history = await handle.FetchHistoryAsync();
        Assert.Single(history.Events, e => e.EventType == EventType.WorkflowTaskFailed);
    });

    [Fact]
    public Task Local_activities_and_patches_are_markers() => server.WithWorkerAsync(Everything, async queue =>
        Assert.Equal("True local", await server.Client.ExecuteWorkflowAsync((LocalActivityWorkflow w) => w.RunAsync(), Options(queue))));

    [Fact]
    public Task Memo_and_search_attributes_are_kept_and_changed() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        options.Memo = new Dictionary<string, object> { ["shape"] = "round" };
        options.TypedSearchAttributes = new SearchAttributeCollection.Builder().Set(AttributesWorkflow.Step, "one").Set(AttributesWorkflow.Size, 7).ToSearchAttributeCollection();
        var handle = await server.Client.StartWorkflowAsync((AttributesWorkflow w) => w.RunAsync(), options);
        await handle.GetResultAsync();
        var description = await handle.DescribeAsync();
        Assert.Equal("two", description.TypedSearchAttributes.Get(AttributesWorkflow.Step));
        Assert.False(description.TypedSearchAttributes.ContainsKey(AttributesWorkflow.Size));
        Assert.Equal("red", await description.Memo["colour"].ToValueAsync<string>());
        Assert.DoesNotContain("shape", description.Memo.Keys);
    });

    [Fact]
    public Task An_activity_is_completed_from_outside_by_its_id() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((AsyncCompletionWorkflow w) => w.RunAsync(), Options(queue));
        await Until.TrueAsync(async () =>
        {
            var description = await server.Client.Connection.WorkflowService.DescribeWorkflowExecutionAsync(new()
            {
                Namespace = "default",
                Execution = new() { WorkflowId = handle.Id },
            });
            return description.PendingActivities.Any(a => a.State == PendingActivityState.Started);
        });
        await server.Client.GetAsyncActivityHandle(handle.Id, handle.ResultRunId!, "later").CompleteAsync("done by hand");
        Assert.Equal("done by hand", await handle.GetResultAsync());
    });

    [Fact]
    public Task Downloaded_histories_replay() => server.WithWorkerAsync(Everything, async queue =>
    {
        var handles = new List<WorkflowHandle>
        {
            await server.Client.StartWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), Options(queue)),
            await server.Client.StartWorkflowAsync((ParallelWorkflow w) => w.RunAsync(8), Options(queue)),
            await server.Client.StartWorkflowAsync((CancelActivityWorkflow w) => w.RunAsync(), Options(queue)),
            await server.Client.StartWorkflowAsync((ParentWorkflow w) => w.RunAsync("duplicate"), Options(queue)),
            await server.Client.StartWorkflowAsync((LocalActivityWorkflow w) => w.RunAsync(), Options(queue)),
        };
        var replayer = new TemporalWorkerOptionsReplayer(Everything).Create();
        foreach (var handle in handles)
        {
            await handle.GetResultAsync();
            var history = await handle.FetchHistoryAsync();
            var result = await replayer.ReplayWorkflowAsync(Temporalio.Common.WorkflowHistory.FromJson(handle.Id, history.ToJson()));
            Assert.Null(result.ReplayFailure);
        }
    });

    [Fact]
    public Task Workflow_ids_are_reused_only_as_the_policies_allow() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        var first = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        var already = await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options));
        Assert.Equal(first.ResultRunId, already.RunId);

        var useExisting = new WorkflowOptions(options.Id!, queue) { IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting };
        Assert.Equal(first.ResultRunId, (await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), useExisting)).ResultRunId);

        var terminate = new WorkflowOptions(options.Id!, queue) { IdConflictPolicy = WorkflowIdConflictPolicy.TerminateExisting };
        var second = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), terminate);
        Assert.NotEqual(first.ResultRunId, second.ResultRunId);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await server.Client.GetWorkflowHandle(first.Id, first.ResultRunId).DescribeAsync()).Status);

        await second.SignalAsync(w => w.FinishAsync());
        await second.GetResultAsync();
        var failedOnly = new WorkflowOptions(options.Id!, queue) { IdReusePolicy = WorkflowIdReusePolicy.AllowDuplicateFailedOnly };
        await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), failedOnly));
        var reject = new WorkflowOptions(options.Id!, queue) { IdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate };
        await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), reject));
        var allow = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        await allow.TerminateAsync();
    });

    [Fact]
    public Task Signal_with_start_starts_once() => server.WithWorkerAsync(Everything, async queue =>
    {
        var options = Options(queue);
        options.SignalWithStart((MailboxWorkflow w) => w.PutAsync("one"));
        var first = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        var second = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        Assert.Equal(first.ResultRunId, second.ResultRunId);
        await first.SignalAsync(w => w.FinishAsync());
        Assert.Equal("one,one", await first.GetResultAsync());
    });

    [Fact]
    public async Task A_worker_without_a_cache_replays_every_task()
    {
        await server.WithWorkerAsync(
            options =>
            {
                Everything(options);
                options.MaxCachedWorkflows = 0;
            },
            async queue =>
            {
                var handle = await server.Client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), Options(queue));
                for (var i = 1; i <= 5; i++)
                {
                    Assert.Equal(i, await handle.ExecuteUpdateAsync(w => w.AddAsync("x")));
                    Assert.Equal(i, await handle.QueryAsync(w => w.Count()));
                }

                await handle.SignalAsync(w => w.FinishAsync());
                Assert.Equal("x,x,x,x,x", await handle.GetResultAsync());
            });
    }
}
