namespace SnapshotFlow.TemporalDev.Store;

/// <summary>
/// The one way to the store. Transitions are written in the order in which they were enqueued, as many as are waiting in one
/// batch, so that callers share the price of a commit. A caller enqueues while it holds its run's lock and waits after
/// releasing it.
/// </summary>
/// <remarks>
/// The writer is a thread that does nothing else. It sleeps until there is something to write and then in the store's call: no
/// wake-ups of other threads lie between a transition and its commit, and none between the commit and who waits for it. It never sleeps in
/// order to have company; where the processors are busy it lets the others go first, because what they bring costs no commit of its own.
/// </remarks>
internal sealed class CommitQueue : IAsyncDisposable
{
    /// <summary>Larger batches gain nothing and make the first caller of a batch wait for the last.</summary>
    private const int MaximumBatch = 256;

    private readonly IStore store;
    private readonly Action<Exception> failStop;
    private readonly Lock gate = new();
    private readonly AutoResetEvent arrived = new(false);
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Entry> waiting = [];
    private bool hurry;
    private bool idle;
    private bool stopping;

    /// <param name="failStop">Called once when a write failed for good: memory is then ahead of the data and must not be shown to anybody.</param>
    public CommitQueue(IStore store, Action<Exception> failStop)
    {
        this.store = store;
        this.failStop = failStop;
        if (store.IsDurable)
        {
            new Thread(Write) { IsBackground = true, Name = "commits" }.Start();
        }
        else
        {
            ended.SetResult();
        }
    }

    public bool IsDurable => store.IsDurable;

    /// <summary>Completes when the transition is durable.</summary>
    /// <param name="isUrgent">More than its caller is held up by it: it is written at once, with those that wait already.</param>
    public Task Enqueue(Transition transition, bool isUrgent = false)
    {
        var entry = new Entry(transition);
        bool wake;
        lock (gate)
        {
            if (stopping)
            {
                return Task.FromException(new ObjectDisposedException(nameof(CommitQueue), "the server is stopping"));
            }

            waiting.Add(entry);
            hurry |= isUrgent;
            wake = idle;
            idle = false;
        }

        if (wake)
        {
            arrived.Set();
        }

        return entry.Task;
    }

    /// <summary>Writes what is waiting, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        Stop();
        await ended.Task;
        arrived.Dispose();
    }

    private void Stop()
    {
        lock (gate)
        {
            stopping = true;
        }

        arrived.Set();
    }

    private void Write()
    {
        var batch = new List<Entry>();
        try
        {
            while (Gather(batch))
            {
                // This thread has nothing else to do than to wait.
                store.WriteAsync(batch.ConvertAll(e => e.Transition), CancellationToken.None).GetAwaiter().GetResult();
                foreach (var entry in batch)
                {
                    entry.SetResult();
                }
            }
        }
        catch (Exception e)
        {
            // Nobody who waits may be answered: whatever they saw in memory is not in the data.
            Stop();
            failStop(e);
        }
        finally
        {
            ended.SetResult();
        }
    }

    /// <summary>Waits for the next batch. False when there will be none.</summary>
    private bool Gather(List<Entry> batch)
    {
        batch.Clear();
        var seen = 0;
        while (true)
        {
            bool mayGrow;
            lock (gate)
            {
                mayGrow = !hurry && waiting.Count > seen && waiting.Count < MaximumBatch;
                if (waiting.Count > 0 && !mayGrow)
                {
                    var count = Math.Min(waiting.Count, MaximumBatch);
                    batch.AddRange(waiting.Take(count));
                    waiting.RemoveRange(0, count);
                    hurry = false;
                    return true;
                }

                if (waiting.Count == 0 && stopping)
                {
                    return false;
                }

                seen = waiting.Count;
                idle = !mayGrow;
            }

            if (mayGrow)
            {
                // Whoever is ready to run goes first and may bring more, for as long as more comes. On an idle machine nobody is, and nothing is waited for.
                Thread.Yield();
            }
            else
            {
                arrived.WaitOne();
            }
        }
    }

    private sealed class Entry(Transition transition) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Transition Transition { get; } = transition;
    }
}
