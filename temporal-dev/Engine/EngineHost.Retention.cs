using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Drops closed runs when their namespace's retention has passed. A server that skips time drops nothing: its days are seconds.</summary>
internal sealed partial class EngineHost
{
    private static readonly TimeSpan RetentionSweep = TimeSpan.FromMinutes(1);

    private readonly CancellationTokenSource stopping = new();

    /// <summary>Begins what the server does by itself from time to time.</summary>
    public void KeepHouse()
    {
        if (!Clock.CanSkip)
        {
            InBackground(SweepAsync);
        }

        if (Commits.IsDurable)
        {
            InBackground(UnloadIdleAsync);
        }
    }

    /// <summary>Drops what is over its time now.</summary>
    public async Task DropExpiredAsync()
    {
        var now = Clock.GetUtcNow();
        foreach (var space in Namespaces.All)
        {
            var retention = ProtoTime.Span(space.Config.WorkflowExecutionRetentionTtl);
            foreach (var chain in Chains.Where(c => c.Namespace == space.NamespaceInfo.Name))
            {
                List<Run> expired;
                lock (chain.Gate)
                {
                    expired = [.. chain.Runs.Values.Where(r => r.CloseTime is { } closed && ProtoTime.Later(closed, retention) <= now && r.Outbox.Count == 0)];
                }

                foreach (var run in expired)
                {
                    await DeleteAsync(run);
                }
            }
        }
    }

    private async Task SweepAsync()
    {
        using var timer = new PeriodicTimer(RetentionSweep, RealTime);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                await DropExpiredAsync();
                Matching.DropIdle();
            }
        }
        catch (OperationCanceledException)
        {
            // The server is stopping.
        }
    }
}
