using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.Tests.TemporalDev.Conformance;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Engine;

/// <summary>Closed runs: how long they are kept, and where.</summary>
public sealed class KeepingClosedRuns
{
    private static async Task<RawWorker> CloseAsync(TemporalClient client)
    {
        var worker = new RawWorker(client);
        await worker.StartAsync(r => r.Memo = new() { Fields = { ["colour"] = RawWorker.Text("red").Payloads_[0] } });
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Marker("m"));
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        return worker;
    }

    [Fact]
    public async Task A_closed_run_is_dropped_when_its_retention_is_over_and_not_before()
    {
        var time = new MovedTime();
        await using var server = await TemporalDevServer.StartAsync(
            new ServerOptions { Retention = TimeSpan.FromHours(72), SystemTime = time }, TestContext.Current.CancellationToken);
        var client = await TemporalClient.ConnectAsync(new(server.Address));
        var old = await CloseAsync(client);
        var open = new RawWorker(client);
        await open.StartAsync();
        time.Move(TimeSpan.FromHours(71));
        var young = await CloseAsync(client);
        await server.Engine.DropExpiredAsync();
        Assert.Equal(WorkflowExecutionStatus.Completed, (await old.DescribeAsync()).WorkflowExecutionInfo.Status);
        time.Move(TimeSpan.FromHours(1.5));
        await server.Engine.DropExpiredAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => old.DescribeAsync());
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => old.HistoryAsync());
        Assert.Equal(WorkflowExecutionStatus.Completed, (await young.DescribeAsync()).WorkflowExecutionInfo.Status);
        Assert.Equal(WorkflowExecutionStatus.Running, (await open.DescribeAsync()).WorkflowExecutionInfo.Status);
        Assert.Equal(2, (await client.CountWorkflowsAsync("")).Count);
    }

    [Fact]
    public async Task A_closed_run_leaves_memory_and_answers_from_the_store()
    {
        var store = new MemoryStore(retain: true);
        await using var server = await TemporalDevServer.StartAsync(new ServerOptions { Store = store }, TestContext.Current.CancellationToken);
        var client = await TemporalClient.ConnectAsync(new(server.Address));
        var worker = await CloseAsync(client);
        var history = await worker.HistoryAsync();
        var description = await worker.DescribeAsync();
        var run = Assert.Single(Assert.Single(server.Engine.Chains).Runs.Values);
        Assert.True(run.IsLoaded);
        for (var round = 0; round < 2; round++)
        {
            server.Engine.UnloadClosedRuns(TimeSpan.Zero);
            Assert.False(run.IsLoaded);
            Assert.Empty(run.History);
            Assert.Equal(1, (await client.CountWorkflowsAsync($"WorkflowId = '{worker.WorkflowId}' AND ExecutionStatus = 'Completed'")).Count);
            Assert.False(run.IsLoaded);
            Assert.Equal(history, await worker.HistoryAsync());
            Assert.Equal(description, await worker.DescribeAsync());
            Assert.True(run.IsLoaded);
        }

        server.Engine.UnloadClosedRuns(TimeSpan.Zero);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.SignalAsync("late"));
        server.Engine.UnloadClosedRuns(TimeSpan.Zero);
        var query = worker.Service.QueryWorkflowAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Query = new() { QueryType = "q" } });
        var task = await worker.PollAsync();
        server.Engine.UnloadClosedRuns(TimeSpan.Zero);
        Assert.True(run.IsLoaded, "somebody waits for an answer from it");
        Assert.Equal(history, task.History.Events);
        await worker.Service.RespondQueryTaskCompletedAsync(new()
        {
            Namespace = RawWorker.Namespace,
            TaskToken = task.TaskToken,
            CompletedType = QueryResultType.Answered,
            QueryResult = RawWorker.Text("answer"),
        });
        Assert.Equal(RawWorker.Text("answer"), (await query).QueryResult);
        server.Engine.UnloadClosedRuns(TimeSpan.Zero);
        await worker.StartAsync();
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task A_run_whose_history_grows_beyond_the_limit_is_ended_by_the_server()
    {
        await using var server = await TemporalDevServer.StartAsync(
            new ServerOptions { Engine = new EngineOptions { HistoryCountLimit = 20 } }, TestContext.Current.CancellationToken);
        var worker = new RawWorker(await TemporalClient.ConnectAsync(new(server.Address)));
        await worker.StartAsync();
        for (var i = 0; (await worker.DescribeAsync()).WorkflowExecutionInfo.Status == WorkflowExecutionStatus.Running; i++)
        {
            Assert.True(i < 30);
            await worker.SignalAsync("more");
        }

        var close = (await worker.HistoryAsync())[^1];
        Assert.Equal("Workflow history count exceeds limit.", close.WorkflowExecutionTerminatedEventAttributes.Reason);
    }

    /// <summary>The system's time, and as much more as it is told.</summary>
    private sealed class MovedTime : TimeProvider
    {
        private long moved;

        public void Move(TimeSpan by) => Interlocked.Add(ref moved, by.Ticks);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref moved));
    }
}
