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

    /// <summary>
    /// A number of callers, each of which starts a workflow, waits for its result and begins again. The servers take turns, a slice of time each, until each has had the
    /// whole length: what else the machine does meanwhile falls on all of them.
    /// </summary>
    public static async Task<IReadOnlyList<Measurement>> TakeAsync(IReadOnlyList<ServerUnderTest> servers, int callers, int activities, TimeSpan length)
    {
        var taken = servers.Select(_ => new Slices()).ToList();
        while (taken[^1].Elapsed < length)
        {
            foreach (var (server, slices) in servers.Zip(taken))
            {
                await slices.AddAsync(server, callers, activities);
            }
        }

        return taken.ConvertAll(slices => slices.ToMeasurement());
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

    /// <summary>What one server did in its turns.</summary>
    private sealed class Slices
    {
        /// <summary>Long against a workflow, short against what changes on a machine.</summary>
        private static readonly TimeSpan Slice = TimeSpan.FromSeconds(2);

        private readonly ConcurrentBag<TimeSpan> latencies = [];
        private ProcessorTimes? processors;

        public TimeSpan Elapsed { get; private set; }

        public async Task AddAsync(ServerUnderTest server, int callers, int activities)
        {
            var before = server.ProcessorTimes();
            var began = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
            {
                while (Stopwatch.GetElapsedTime(began) < Slice)
                {
                    var started = Stopwatch.GetTimestamp();
                    await server.Client.ExecuteWorkflowAsync((FanOut f) => f.RunAsync(activities), new WorkflowOptions($"bench-{Guid.NewGuid():N}", WorkerRole.Queue));
                    latencies.Add(Stopwatch.GetElapsedTime(started));
                }
            }));
            Elapsed += Stopwatch.GetElapsedTime(began);
            var used = server.ProcessorTimes() - before;
            processors = processors is null ? used : processors + used;
        }

        public Measurement ToMeasurement()
        {
            var sorted = latencies.Order().ToArray();
            return new(sorted.Length / Elapsed.TotalSeconds, sorted[sorted.Length / 2], sorted[(int)(sorted.Length * 0.99)], processors! / sorted.Length);
        }
    }
}
