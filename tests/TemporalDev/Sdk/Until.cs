using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>Waits for a condition, not for time.</summary>
public static class Until
{
    public static async Task TrueAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition())
        {
            await ticks.WaitForNextTickAsync(deadline.Token);
        }
    }
}

public sealed class TemporalWorkerOptionsReplayer(Action<TemporalWorkerOptions> configure)
{
    public WorkflowReplayer Create()
    {
        var worker = new TemporalWorkerOptions("replay");
        configure(worker);
        var options = new WorkflowReplayerOptions();
        foreach (var workflow in worker.Workflows)
        {
            options.AddWorkflow(workflow);
        }

        return new WorkflowReplayer(options);
    }
}
