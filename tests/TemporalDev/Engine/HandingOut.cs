using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.Tests.TemporalDev.Conformance;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Engine;

/// <summary>A task on its way out while its poller goes.</summary>
public sealed class HandingOut
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_task_for_a_stream_that_has_broken_goes_back_at_once(bool isActivity)
    {
        var store = new GatedStore();
        await using var server = await TemporalDevServer.StartAsync(new ServerOptions { Store = store }, TestContext.Current.CancellationToken);
        var worker = new RawWorker(await TemporalClient.ConnectAsync(new(server.Address)));

        // With timeouts of an hour a lost task would never come again.
        await worker.StartAsync(r => r.WorkflowTaskTimeout = RawWorker.Seconds(3600));
        if (isActivity)
        {
            await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a", a => a.StartToCloseTimeout = RawWorker.Seconds(3600)));
        }

        using var gone = new CancellationTokenSource();
        var rpc = new RpcOptions { CancellationToken = gone.Token };
        var held = store.HoldNext();
        Task poll = isActivity
            ? worker.Service.PollActivityTaskQueueAsync(new() { Namespace = RawWorker.Namespace, TaskQueue = worker.TaskQueue, Identity = "gone" }, rpc)
            : worker.Service.PollWorkflowTaskQueueAsync(new() { Namespace = RawWorker.Namespace, TaskQueue = worker.TaskQueue, Identity = "gone" }, rpc);
        await held.Reached;
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => poll);

        // The next call on the same connection is behind the news that the stream is broken.
        await worker.Service.GetSystemInfoAsync(new());
        held.Release();
        if (isActivity)
        {
            var activity = await worker.PollActivityAsync();
            Assert.Equal(1, activity.Attempt);
            await worker.CompleteActivityAsync(activity);
        }
        else
        {
            await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
            Assert.Equal(WorkflowExecutionStatus.Completed, (await worker.DescribeAsync()).WorkflowExecutionInfo.Status);
        }
    }

    /// <summary>Writes nothing further from a chosen moment on, until it is let go.</summary>
    private sealed class GatedStore : IStore
    {
        private readonly MemoryStore data = new(retain: true);
        private Gate? next;

        public bool IsDurable => true;

        public Gate HoldNext() => next = new Gate();

        public Task<StoredState> LoadAsync(CancellationToken cancellationToken) => data.LoadAsync(cancellationToken);

        public async Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken)
        {
            if (Interlocked.Exchange(ref next, null) is { } gate)
            {
                await gate.PassAsync();
            }

            await data.WriteAsync(batch, cancellationToken);
        }

        public Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken) => data.LoadRunAsync(key, cancellationToken);

        public ValueTask DisposeAsync() => data.DisposeAsync();
    }

    private sealed class Gate
    {
        private readonly TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource open = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => reached.Task;

        public void Release() => open.SetResult();

        public Task PassAsync()
        {
            reached.TrySetResult();
            return open.Task;
        }
    }
}
