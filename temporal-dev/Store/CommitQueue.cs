using System.Threading.Channels;

namespace SnapshotFlow.TemporalDev.Store;

/// <summary>
/// The one way to the store. Transitions are written in the order in which they were enqueued, as many as are waiting in one
/// batch, so that callers share the price of a commit. A caller enqueues while it holds its run's lock and waits after
/// releasing it.
/// </summary>
internal sealed class CommitQueue : IAsyncDisposable
{
    /// <summary>Larger batches gain nothing and make the first caller of a batch wait for the last.</summary>
    private const int MaximumBatch = 256;

    private readonly IStore store;
    private readonly Action<Exception> failStop;
    private readonly Channel<Entry> entries = Channel.CreateUnbounded<Entry>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task pump;

    /// <param name="failStop">Called once when a write failed for good: memory is then ahead of the data and must not be shown to anybody.</param>
    public CommitQueue(IStore store, Action<Exception> failStop)
    {
        this.store = store;
        this.failStop = failStop;
        pump = store.IsDurable ? Task.Run(PumpAsync) : Task.CompletedTask;
    }

    public bool IsDurable => store.IsDurable;

    /// <summary>Completes when the transition is durable.</summary>
    public Task Enqueue(Transition transition)
    {
        var entry = new Entry(transition);
        return entries.Writer.TryWrite(entry)
            ? entry.Task
            : Task.FromException(new ObjectDisposedException(nameof(CommitQueue), "the server is stopping"));
    }

    public async ValueTask DisposeAsync()
    {
        entries.Writer.TryComplete();
        await pump;
    }

    private async Task PumpAsync()
    {
        var batch = new List<Entry>();
        while (await entries.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaximumBatch && entries.Reader.TryRead(out var entry))
            {
                batch.Add(entry);
            }

            try
            {
                await store.WriteAsync([.. batch.Select(e => e.Transition)], CancellationToken.None);
            }
            catch (Exception e)
            {
                // Nobody who waits may be answered: whatever they saw in memory is not in the data.
                entries.Writer.TryComplete();
                failStop(e);
                return;
            }

            foreach (var entry in batch)
            {
                entry.TrySetResult();
            }
        }
    }

    private sealed class Entry(Transition transition) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Transition Transition { get; } = transition;
    }
}
