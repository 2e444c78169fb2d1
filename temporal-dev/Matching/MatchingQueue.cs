using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Matching;

/// <summary>Who polls: what the queue remembers of it and what it needs to release its polls.</summary>
internal sealed record Poller(string Identity, string WorkerInstanceKey, double? MaxTasksPerSecond = null);

/// <summary>What a poll gets.</summary>
/// <param name="Started">The poll's answer, if the task was started in the transition that offered it; otherwise the poller has to start it.</param>
internal sealed record Match(TaskOffer Offer, object? Started = null);

/// <summary>A poll that waits.</summary>
/// <param name="start">Starts a task for this poll, in a transition of the task's run. Null when the task is not there any more.</param>
internal sealed class ParkedPoll(Poller poller, Func<UnitOfWork, TaskOffer, object?> start) : TaskCompletionSource<Match?>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public Poller Poller { get; } = poller;

    public object? Start(UnitOfWork work, TaskOffer offer) => start(work, offer);
}

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

    /// <summary>
    /// The poll that would get the next offer, taken out of the queue for whoever makes that offer: the task can then be started in the same
    /// transition, and needs no second one. Null when nobody waits, or others wait before it, or the queue's rate is used up. The
    /// poll waits for its result, whatever happens to its caller meanwhile.
    /// </summary>
    public ParkedPoll? Reserve()
    {
        lock (gate)
        {
            if (backlog.Count > 0 || parked.First is not { } first || rateLimit.TimeUntilNext() > TimeSpan.Zero)
            {
                return null;
            }

            rateLimit.Take();
            parked.RemoveFirst();
            return first.Value;
        }
    }

    /// <summary>The next task, or null when <paramref name="wait"/> has passed or the worker was shut down.</summary>
    /// <param name="start">See <see cref="ParkedPoll"/>.</param>
    public async Task<Match?> PollAsync(Poller poller, Func<UnitOfWork, TaskOffer, object?> start, TimeSpan wait, CancellationToken cancellationToken)
    {
        var poll = new ParkedPoll(poller, start);
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

        var match = await poll.Task;
        if (match is { Started: null } && cancellationToken.IsCancellationRequested)
        {
            // The caller died between the match and here: nobody has seen this task, so the next poller gets it.
            Offer(match.Offer);
            return null;
        }

        return match;
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
            // One that is not in the list any more has a task, or will have it.
            if (node.List is not null)
            {
                parked.Remove(node);
                node.Value.TrySetResult(null);
            }
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
            waiting.Value.TrySetResult(new Match(backlog.Dequeue()));
        }
    }

    private void Refill()
    {
        lock (gate)
        {
            Match_NeedsLock();
        }
    }
}

/// <summary>What a queue tells about itself.</summary>
internal sealed record QueueView(
    IReadOnlyList<(Poller Poller, DateTimeOffset LastAccess)> Pollers,
    int Backlog,
    TimeSpan BacklogAge,
    IReadOnlyDictionary<int, int> BacklogByPriority,
    double? RatePerSecond);
