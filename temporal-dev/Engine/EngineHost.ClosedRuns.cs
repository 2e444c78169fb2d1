using System.Collections.Concurrent;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// Closed runs leave memory when nobody has asked for them for a while: the durable store has them, and what lists and starts need stays in
/// their headers. A server that keeps nothing keeps them here until their retention is over.
/// </summary>
internal sealed partial class EngineHost
{
    private static readonly TimeSpan ClosedRunSweep = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ClosedRunMemory = TimeSpan.FromSeconds(30);

    private readonly ConcurrentQueue<Run> closedInMemory = new();

    /// <summary>The run is closed and has its whole history in memory.</summary>
    public void NoteClosed(Run run)
    {
        if (Commits.IsDurable)
        {
            closedInMemory.Enqueue(run);
        }
    }

    /// <summary>Unloads the closed runs that nobody has used for <paramref name="idle"/>.</summary>
    public void UnloadClosedRuns(TimeSpan idle)
    {
        for (var left = closedInMemory.Count; left > 0 && closedInMemory.TryDequeue(out var run); left--)
        {
            lock (run.Chain.Gate)
            {
                if (RealTime.GetElapsedTime(run.LastUsed) < idle || !run.Chain.LastCommit.IsCompletedSuccessfully || !run.TryUnload())
                {
                    closedInMemory.Enqueue(run);
                }
            }
        }
    }

    private async Task UnloadIdleAsync()
    {
        using var timer = new PeriodicTimer(ClosedRunSweep, RealTime);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                UnloadClosedRuns(ClosedRunMemory);
            }
        }
        catch (OperationCanceledException)
        {
            // The server is stopping.
        }
    }
}
