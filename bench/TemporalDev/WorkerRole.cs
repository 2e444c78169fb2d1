using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>The worker process: the stock worker with its default options.</summary>
internal static class WorkerRole
{
    public const string Argument = "worker";
    public const string Queue = "bench";
    public const string Ready = "ready";

    public static async Task RunAsync(string address)
    {
        var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(address));
        var options = new TemporalWorkerOptions(Queue).AddWorkflow<FanOut>().AddWorkflow<Parked>().AddAllActivities(new BenchActivities());
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
