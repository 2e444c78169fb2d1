using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>The worker process: the stock worker with its default options, but for a cache that holds every open run and the number of its polls.</summary>
internal static class WorkerRole
{
    public const string Argument = "worker";
    public const string Queue = "bench";
    public const string Ready = "ready";

    /// <summary>
    /// The default is 10,000. With as many open runs the worker would drop one of them for each that begins, which costs it more than
    /// the run does, and the benchmark would measure that.
    /// </summary>
    private const int CachedRuns = 50_000;

    public static async Task RunAsync(string address, int pollers)
    {
        var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(address));
        var options = new TemporalWorkerOptions(Queue) { MaxCachedWorkflows = CachedRuns, MaxConcurrentWorkflowTaskPolls = pollers, MaxConcurrentActivityTaskPolls = pollers }
            .AddWorkflow<FanOut>().AddWorkflow<Parked>().AddAllActivities(new BenchActivities());
        using var worker = new TemporalWorker(client, options);
        await worker.ExecuteAsync(
            async () =>
            {
                Console.WriteLine(Ready);
                await Task.Delay(Timeout.InfiniteTimeSpan);
            },
            CancellationToken.None);
    }
}
