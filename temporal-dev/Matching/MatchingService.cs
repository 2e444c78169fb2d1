using System.Collections.Concurrent;
using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Matching;

/// <summary>All task queues of the server. Polls wait in real time, also where virtual time stands still or jumps.</summary>
internal sealed class MatchingService(TimeProvider realTime) : IDisposable
{
    /// <summary>A sticky queue that nobody has polled for this long has lost its worker. Source: Temporal, stickiness.</summary>
    public static readonly TimeSpan StickyGrace = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan IdleMemory = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan ShutdownMemory = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<QueueKey, MatchingQueue> queues = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> shutDown = new();
    private volatile bool closed;

    public MatchingQueue Queue(QueueKey key) => queues.GetOrAdd(key, static (k, time) => new MatchingQueue(k, time), realTime);

    public void Offer(TaskOffer offer) => Queue(offer.Queue).Offer(offer);

    public async Task<Match?> PollAsync(
        QueueKey key, Poller poller, Func<UnitOfWork, TaskOffer, object?> start, TimeSpan wait, CancellationToken cancellationToken)
    {
        if (closed || (poller.WorkerInstanceKey.Length > 0 && shutDown.ContainsKey(poller.WorkerInstanceKey)))
        {
            return null;
        }

        return await Queue(key).PollAsync(poller, start, wait, cancellationToken);
    }

    /// <summary>Whether offering to this sticky queue makes sense, or its worker is gone.</summary>
    public bool IsStickyAlive(QueueKey key) => queues.TryGetValue(key, out var queue) && queue.IsPolled(StickyGrace);

    /// <summary>A worker leaves: its parked polls end, later polls of the same worker end at once, its sticky queue is given up.</summary>
    /// <returns>The tasks that were waiting in the sticky queue.</returns>
    public IReadOnlyList<TaskOffer> ShutDownWorker(string workerInstanceKey, QueueKey? stickyQueue)
    {
        if (workerInstanceKey.Length > 0)
        {
            var now = realTime.GetUtcNow();
            shutDown[workerInstanceKey] = now;
            foreach (var (worker, since) in shutDown)
            {
                if (now - since > ShutdownMemory)
                {
                    shutDown.TryRemove(worker, out _);
                }
            }

            foreach (var queue in queues.Values)
            {
                queue.Release(workerInstanceKey);
            }
        }

        if (stickyQueue is { } key && queues.TryRemove(key, out var sticky))
        {
            var left = sticky.Drain();
            sticky.Dispose();
            return left;
        }

        return [];
    }

    /// <summary>Forgets queues that nobody polls and nothing waits in: workers make up a new sticky queue at every start.</summary>
    public void DropIdle()
    {
        foreach (var (key, queue) in queues)
        {
            if (queue.BacklogCount == 0 && !queue.IsPolled(IdleMemory))
            {
                queues.TryRemove(key, out _);
            }
        }
    }

    /// <summary>Ends every parked poll; later ones end at once.</summary>
    public void Dispose()
    {
        closed = true;
        foreach (var queue in queues.Values)
        {
            queue.Dispose();
        }
    }
}
