using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>Updates, alone and together with a start.</summary>
[Collection(nameof(DevServer))]
public sealed class UpdatesOfWorkflows(DevServer server)
{
    private static void All(TemporalWorkerOptions options) => options.AddWorkflow<CounterWorkflow>();

    private static WorkflowOptions Options(string queue, WorkflowIdConflictPolicy policy = WorkflowIdConflictPolicy.Unspecified) =>
        new(DevServer.NewId(), queue) { IdConflictPolicy = policy };

    private Task<WorkflowHandle<CounterWorkflow, int>> StartAsync(string queue) => server.Client.StartWorkflowAsync((CounterWorkflow w) => w.RunAsync(), Options(queue));

    [Fact]
    public Task A_rejected_update_leaves_nothing_in_the_history() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await StartAsync(queue);
        Assert.Equal(1, await handle.ExecuteUpdateAsync(w => w.AddAsync(1)));
        var before = (await handle.FetchHistoryAsync()).Events.Count;
        for (var i = 0; i < 3; i++)
        {
            var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.AddAsync(-1)));
            Assert.Equal("negative", error.InnerException!.Message);
        }

        Assert.Equal(before, (await handle.FetchHistoryAsync()).Events.Count);
        Assert.Equal(3, await handle.ExecuteUpdateAsync(w => w.AddAsync(2)));
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal(3, await handle.GetResultAsync());
        await new WorkflowReplayer(new WorkflowReplayerOptions().AddWorkflow<CounterWorkflow>()).ReplayWorkflowAsync(await handle.FetchHistoryAsync());
    });

    [Fact]
    public Task A_rejection_after_events_that_its_task_brought_along_loses_none_of_them() => server.WithWorkerAsync(
        o =>
        {
            All(o);
            o.MaxCachedWorkflows = 0;
        },
        async queue =>
        {
            var handle = await StartAsync(queue);
            for (var i = 1; i <= 3; i++)
            {
                await handle.SignalAsync(w => w.BumpAsync());
                await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.AddAsync(-1)));
                Assert.Equal(i, await handle.QueryAsync(w => w.Total()));
            }

            await handle.SignalAsync(w => w.FinishAsync());
            Assert.Equal(3, await handle.GetResultAsync());
        });

    [Fact]
    public Task A_started_update_is_waited_for_by_its_handle() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await StartAsync(queue);
        var update = await handle.StartUpdateAsync(w => w.AddWhenBumpedAsync(5), new(WorkflowUpdateStage.Accepted) { Id = "mine" });
        Assert.Equal("mine", update.Id);
        Assert.Equal(handle.Id, update.WorkflowId);
        await handle.SignalAsync(w => w.BumpAsync());
        Assert.Equal(6, await update.GetResultAsync());
        Assert.Equal(6, await handle.GetUpdateHandle<int>("mine").GetResultAsync());
        await handle.TerminateAsync();
        Assert.Equal(6, await handle.GetUpdateHandle<int>("mine").GetResultAsync());
    });

    [Fact]
    public Task A_failing_handler_fails_its_update_and_not_the_workflow() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await StartAsync(queue);
        var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.FailAsync()));
        Assert.Equal("on purpose", Assert.IsType<ApplicationFailureException>(error.InnerException).Message);
        var unknown = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync("NoSuchUpdate", []));
        Assert.Contains("NoSuchUpdate", unknown.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal(WorkflowExecutionStatus.Running, (await handle.DescribeAsync()).Status);
        await handle.TerminateAsync();
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => handle.ExecuteUpdateAsync(w => w.AddAsync(1)))).Code);
    });

    [Fact]
    public Task Many_updates_at_once_are_all_done() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await StartAsync(queue);
        var totals = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => handle.ExecuteUpdateAsync(w => w.AddAsync(1))));
        Assert.Equal(8, totals.Max());
        Assert.Equal(8, await handle.QueryAsync(w => w.Total()));
        await handle.TerminateAsync();
    });

    [Fact]
    public async Task An_update_waits_for_the_first_worker()
    {
        var queue = DevServer.NewQueue();
        var handle = await StartAsync(queue);
        var update = handle.ExecuteUpdateAsync(w => w.AddAsync(4));
        using var worker = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue).AddWorkflow<CounterWorkflow>());
        await worker.ExecuteAsync(async () => Assert.Equal(4, await update.WaitAsync(TimeSpan.FromSeconds(30))), TestContext.Current.CancellationToken);
        await handle.TerminateAsync();
    }

    [Fact]
    public async Task An_update_without_a_worker_ends_with_its_deadline()
    {
        var handle = await StartAsync(DevServer.NewQueue());
        await Assert.ThrowsAsync<WorkflowUpdateRpcTimeoutOrCanceledException>(() =>
            handle.ExecuteUpdateAsync(w => w.AddAsync(4), new() { Rpc = new() { Timeout = TimeSpan.FromSeconds(1) } }));
        await handle.TerminateAsync();
    }

    [Fact]
    public Task An_update_goes_to_the_run_that_continues() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await StartAsync(queue);
        var first = handle.ResultRunId;
        await handle.SignalAsync(w => w.ContinueAsync());
        await Until.TrueAsync(async () => (await server.Client.GetWorkflowHandle(handle.Id).DescribeAsync()).RunId != first);
        Assert.Equal(102, await server.Client.GetWorkflowHandle<CounterWorkflow>(handle.Id).ExecuteUpdateAsync(w => w.AddAsync(2)));
        await server.Client.GetWorkflowHandle(handle.Id).TerminateAsync();
    });

    [Fact]
    public Task Update_with_start_gives_both_handles() => server.WithWorkerAsync(All, async queue =>
    {
        var start = WithStartWorkflowOperation.Create((CounterWorkflow w) => w.RunAsync(), Options(queue, WorkflowIdConflictPolicy.Fail));
        var update = await server.Client.StartUpdateWithStartWorkflowAsync((CounterWorkflow w) => w.AddAsync(3), new(start, WorkflowUpdateStage.Accepted));
        var handle = await start.GetHandleAsync();
        Assert.Equal(3, await update.GetResultAsync());
        Assert.Equal(handle.ResultRunId, (await handle.DescribeAsync()).RunId);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task Update_with_start_fails_as_its_update_does_and_the_workflow_runs() => server.WithWorkerAsync(All, async queue =>
    {
        var start = WithStartWorkflowOperation.Create((CounterWorkflow w) => w.RunAsync(), Options(queue, WorkflowIdConflictPolicy.Fail));
        await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => server.Client.ExecuteUpdateWithStartWorkflowAsync((CounterWorkflow w) => w.AddAsync(-1), new(start)));
        var handle = await start.GetHandleAsync();
        Assert.Equal(WorkflowExecutionStatus.Running, (await handle.DescribeAsync()).Status);
        await handle.TerminateAsync();
    });

    [Fact]
    public Task Update_with_start_that_cannot_start_fails_both_with_the_reason() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue, WorkflowIdConflictPolicy.Fail);
        var handle = await server.Client.StartWorkflowAsync((CounterWorkflow w) => w.RunAsync(), options);
        var start = WithStartWorkflowOperation.Create((CounterWorkflow w) => w.RunAsync(), options);
        var error = await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() =>
            server.Client.ExecuteUpdateWithStartWorkflowAsync((CounterWorkflow w) => w.AddAsync(1), new(start)));
        Assert.Equal(handle.ResultRunId, error.RunId);
        await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => start.GetHandleAsync());
        await handle.TerminateAsync();
    });

    [Fact]
    public Task Update_with_start_repeated_after_the_end_finds_its_outcome() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue, WorkflowIdConflictPolicy.UseExisting);
        var start = WithStartWorkflowOperation.Create((CounterWorkflow w) => w.RunAsync(), options);
        Assert.Equal(7, await server.Client.ExecuteUpdateWithStartWorkflowAsync((CounterWorkflow w) => w.AddAsync(7), new(start) { Id = "once" }));
        var handle = await start.GetHandleAsync();
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal(7, await handle.GetResultAsync());
        var again = WithStartWorkflowOperation.Create((CounterWorkflow w) => w.RunAsync(), options);
        Assert.Equal(7, await server.Client.ExecuteUpdateWithStartWorkflowAsync((CounterWorkflow w) => w.AddAsync(7), new(again) { Id = "once" }));
    });

    [Workflow]
    public sealed class CounterWorkflow
    {
        private int total;
        private bool bumped;
        private bool continued;
        private bool done;

        [WorkflowInit]
        public CounterWorkflow()
        {
            total = Workflow.Info.ContinuedRunId is null ? 0 : 100;
        }

        [WorkflowRun]
        public async Task<int> RunAsync()
        {
            await Workflow.WaitConditionAsync(() => done || continued);
            return continued ? throw Workflow.CreateContinueAsNewException((CounterWorkflow w) => w.RunAsync()) : total;
        }

        [WorkflowSignal]
        public Task BumpAsync()
        {
            bumped = true;
            total++;
            return Task.CompletedTask;
        }

        [WorkflowSignal]
        public Task ContinueAsync()
        {
            continued = true;
            return Task.CompletedTask;
        }

        [WorkflowSignal]
        public Task FinishAsync()
        {
            done = true;
            return Task.CompletedTask;
        }

        [WorkflowQuery]
        public int Total() => total;

        [WorkflowUpdate]
        public Task<int> AddAsync(int number) => Task.FromResult(total += number);

        [WorkflowUpdateValidator(nameof(AddAsync))]
        public void ValidateAdd(int number)
        {
            if (number < 0)
            {
                throw new ApplicationFailureException("negative");
            }
        }

        [WorkflowUpdate]
        public async Task<int> AddWhenBumpedAsync(int number)
        {
            await Workflow.WaitConditionAsync(() => bumped);
            return total += number;
        }

        [WorkflowUpdate]
        public Task FailAsync() => throw new ApplicationFailureException("on purpose");
    }
}
