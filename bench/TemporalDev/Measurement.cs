using System.Collections.Concurrent;
using System.Diagnostics;
using Temporalio.Client;

namespace SnapshotFlow.Bench.TemporalDev;

/// <param name="PerSecond">Workflows that ended per second.</param>
/// <param name="Median">From start to result, as the client sees it.</param>
/// <param name="Processors">Processor time per workflow.</param>
internal sealed record Measurement(double PerSecond, TimeSpan Median, TimeSpan Percentile99, ProcessorTimes Processors)
{
    public static Task WarmUpAsync(ServerUnderTest server, int workflows) => AtOnceAsync(
        32, workflows, () => server.Client.ExecuteWorkflowAsync((FanOut f) => f.RunAsync(1), new WorkflowOptions($"warm-up-{Guid.NewGuid():N}", WorkerRole.Queue)));

    /// <summary>A number of callers, each of which starts a workflow, waits for its result and begins again.</summary>
    public static async Task<Measurement> TakeAsync(ServerUnderTest server, int callers, int activities, TimeSpan length)
    {
        var latencies = new ConcurrentBag<TimeSpan>();
        var before = server.ProcessorTimes();
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
        {
            while (Stopwatch.GetElapsedTime(began) < length)
            {
                var started = Stopwatch.GetTimestamp();
                await server.Client.ExecuteWorkflowAsync((FanOut f) => f.RunAsync(activities), new WorkflowOptions($"bench-{Guid.NewGuid():N}", WorkerRole.Queue));
                latencies.Add(Stopwatch.GetElapsedTime(started));
            }
        }));
        var elapsed = Stopwatch.GetElapsedTime(began);
        var sorted = latencies.Order().ToArray();
        return new Measurement(
            sorted.Length / elapsed.TotalSeconds,
            sorted[sorted.Length / 2],
            sorted[(int)(sorted.Length * 0.99)],
            (server.ProcessorTimes() - before) / sorted.Length);
    }

    /// <summary>Starts runs that stay open, and waits until each has its timer.</summary>
    public static Task OpenAsync(ServerUnderTest server, int count) => AtOnceAsync(64, count, async () =>
    {
        var handle = await server.Client.StartWorkflowAsync((Parked p) => p.RunAsync(), new WorkflowOptions($"parked-{Guid.NewGuid():N}", WorkerRole.Queue));

        // Answered by the worker, and only after the task that starts the timer.
        await handle.QueryAsync(p => p.IsParked());
    });

    private static Task AtOnceAsync(int callers, int count, Func<Task> once)
    {
        var next = 0;
        return Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) <= count)
            {
                await once();
            }
        }));
    }
}
