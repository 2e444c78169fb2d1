namespace SnapshotFlow.TemporalDev.Matching;

/// <summary>Who polls: what the queue remembers of it and what it needs to release its polls.</summary>
internal sealed record Poller(string Identity, string WorkerInstanceKey, double? MaxTasksPerSecond = null);

/// <summary>One task queue: tasks without a poller on one side, pollers without a task on the other; never both.</summary>
internal sealed class MatchingQueue(QueueKey key, TimeProvider time) : IDisposable
{
    /// <summary>How long a poller is remembered after its last poll. Source: Temporal, DescribeTaskQueue.</summary>
    private static readonly TimeSpan PollerMemory = TimeSpan.FromMinutes(5);

    private readonly Lock gate = new();
    private readonly PriorityQueue<TaskOffer, (int Priority, long Sequence)> backlog = new();
    private readonly LinkedList<ParkedPoll> parked = [];
    private readonly Dictionary<string, (Poller Poller, DateTimeOffset LastAccess)> pollers = [];
    private readonly RateLimit rateLimit = new(time);
    private ITimer? refill;
    private DateTimeOffset lastPoll;
    private long sequence;

    public QueueKey Key { get; } = key;

    /// <summary>Hands the task to a parked poller, or keeps it. A task given back takes its old place.</summary>
    public void Offer(TaskOffer offer)
    {
        lock (gate)
        {
            if (offer.Sequence == 0)
            {
                offer.Sequence = ++sequence;
                offer.OfferedAt = time.GetUtcNow();
            }

            backlog.Enqueue(offer, (offer.Priority, offer.Sequence));
            Match_NeedsLock();
        }
    }

    /// <summary>The next task, or null when <paramref name="wait"/> has passed or the worker was shut down.</summary>
    public async Task<TaskOffer?> PollAsync(Poller poller, TimeSpan wait, CancellationToken cancellationToken)
    {
        var poll = new ParkedPoll(poller);
        LinkedListNode<ParkedPoll> node;
        lock (gate)
        {
            var now = time.GetUtcNow();
            lastPoll = now;
            pollers[poller.Identity] = (poller, now);
            if (poller.MaxTasksPerSecond is { } limit)
            {
                rateLimit.Set(limit);
            }

            node = parked.AddLast(poll);
            Match_NeedsLock();
        }

        if (!poll.Task.IsCompleted)
        {
            using var timeout = new CancellationTokenSource(wait, time);
            using var onTimeout = timeout.Token.Register(() => Leave(node));
            using var onCancel = cancellationToken.Register(() => Leave(node));
            await poll.Task;
        }

        var offer = await poll.Task;
        if (offer is not null && cancellationToken.IsCancellationRequested)
        {
            // The caller died between the match and here: nobody has seen this task, so the next poller gets it.
            Offer(offer);
            return null;
        }

        return offer;
    }

    /// <summary>Answers every parked poll of one worker with nothing.</summary>
    public void Release(string workerInstanceKey)
    {
        lock (gate)
        {
            for (var node = parked.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.Poller.WorkerInstanceKey == workerInstanceKey)
                {
                    parked.Remove(node);
                    node.Value.TrySetResult(null);
                    pollers.Remove(node.Value.Poller.Identity);
                }

                node = next;
            }
        }
    }

    /// <summary>Takes everything out of the queue, to offer it elsewhere.</summary>
    public IReadOnlyList<TaskOffer> Drain()
    {
        lock (gate)
        {
            var offers = backlog.UnorderedItems.Select(item => item.Element).OrderBy(o => o.Sequence).ToList();
            backlog.Clear();
            return offers;
        }
    }

    /// <summary>Whether somebody is waiting, or has polled within <paramref name="grace"/>.</summary>
    public bool IsPolled(TimeSpan grace)
    {
        lock (gate)
        {
            return parked.Count > 0 || time.GetUtcNow() - lastPoll < grace;
        }
    }

    /// <summary>Gives the queue's pollers time to come back, after a start of the server.</summary>
    public void MarkPolled()
    {
        lock (gate)
        {
            lastPoll = time.GetUtcNow();
        }
    }

    public QueueView View()
    {
        lock (gate)
        {
            var now = time.GetUtcNow();
            var recent = pollers.Values.Where(p => now - p.LastAccess < PollerMemory).ToList();
            var byPriority = backlog.UnorderedItems.GroupBy(i => i.Element.Priority).ToDictionary(g => g.Key, g => g.Count());
            var oldest = backlog.Count == 0 ? TimeSpan.Zero : now - backlog.UnorderedItems.Min(i => i.Element.OfferedAt);
            return new QueueView(recent, backlog.Count, oldest, byPriority, rateLimit.PerSecond);
        }
    }

    public int BacklogCount
    {
        get
        {
            lock (gate)
            {
                return backlog.Count;
            }
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            refill?.Dispose();
            foreach (var poll in parked)
            {
                poll.TrySetResult(null);
            }

            parked.Clear();
        }
    }

    private void Leave(LinkedListNode<ParkedPoll> node)
    {
        lock (gate)
        {
            if (node.List is not null)
            {
                parked.Remove(node);
            }

            node.Value.TrySetResult(null);
        }
    }

    private void Match_NeedsLock()
    {
        while (parked.First is { } waiting && backlog.Count > 0)
        {
            if (rateLimit.TimeUntilNext() is { Ticks: > 0 } pause)
            {
                refill ??= time.CreateTimer(_ => Refill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                refill.Change(pause, Timeout.InfiniteTimeSpan);
                return;
            }

            rateLimit.Take();
            parked.RemoveFirst();
            waiting.Value.TrySetResult(backlog.Dequeue());
        }
    }

    private void Refill()
    {
        lock (gate)
        {
            Match_NeedsLock();
        }
    }

    private sealed class ParkedPoll(Poller poller) : TaskCompletionSource<TaskOffer?>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Poller Poller { get; } = poller;
    }
}

/// <summary>What a queue tells about itself.</summary>
internal sealed record QueueView(
    IReadOnlyList<(Poller Poller, DateTimeOffset LastAccess)> Pollers,
    int Backlog,
    TimeSpan BacklogAge,
    IReadOnlyDictionary<int, int> BacklogByPriority,
    double? RatePerSecond);
