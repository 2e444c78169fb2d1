using System.Collections.Concurrent;
using System.Diagnostics;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>How a matrix is run.</summary>
/// <param name="Stacks">How many stacks at the same time: while the processes of one are stopped, another works.</param>
/// <param name="AtOnce">How many runs are held at the same time on one stack.</param>
/// <param name="StopFor">How long a stopped process stays so.</param>
/// <param name="Say">Told how it goes.</param>
/// <param name="Done">Given all results so far, after each batch.</param>
public sealed record MatrixRunOptions(int Stacks, int AtOnce, TimeSpan StopFor, Action<string> Say, Action<IReadOnlyList<CaseResult>> Done);

/// <summary>Runs many cases in batches, each stack one after the other; on a new stack when an old one could not be brought back.</summary>
public sealed class MatrixRun(MatrixRunOptions options)
{
    private const int Tries = 3;

    private readonly Lock gate = new();
    private readonly List<CaseResult> results = [];
    private readonly Stopwatch watch = Stopwatch.StartNew();

    /// <summary>Runs the cases; one that missed its boundary is tried again, twice, and then told of as one that could not be run.</summary>
    public async Task<IReadOnlyList<CaseResult>> RunAsync(IReadOnlyList<FaultCase> cases, CancellationToken ct)
    {
        var left = cases;
        for (var attempt = 1; left.Count > 0 && attempt <= Tries; attempt++)
        {
            var batches = left.GroupBy(c => c.HitsProcesses ? c.FaultText : "").SelectMany(g => g.Chunk(options.AtOnce)).ToArray();
            // In no order, so that a run that is broken off has seen something of everything.
            new Random(attempt).Shuffle(batches);
            var queue = new ConcurrentQueue<IReadOnlyList<FaultCase>>(batches);
            var missed = new ConcurrentBag<FaultCase>();
            await Task.WhenAll(Enumerable.Range(0, Math.Min(options.Stacks, batches.Length)).Select(_ => WorkAsync(queue, missed, cases.Count, ct)));
            left = [.. missed];
        }

        Add(left.Select(l => new CaseResult(l.Name, "not run", [$"the run was not at its boundary in the moment of the fault, {Tries} times"], null, 0)));
        return results;
    }

    private async Task WorkAsync(ConcurrentQueue<IReadOnlyList<FaultCase>> queue, ConcurrentBag<FaultCase> missed, int all, CancellationToken ct)
    {
        var world = await FaultStack.StartAsync(options.AtOnce, ct);
        try
        {
            options.Say($"{watch.Elapsed:hh\\:mm\\:ss} everything runs");
            while (queue.TryDequeue(out var together))
            {
                if (!await RunBatchAsync(world, together, missed, ct))
                {
                    await world.DisposeAsync();
                    world = await FaultStack.StartAsync(options.AtOnce, ct);
                }

                options.Say(
                    $"{watch.Elapsed:hh\\:mm\\:ss} {results.Count} of {all} done, {results.Count(r => !r.Held)} failed, {missed.Count} to be tried again; "
                    + $"last: {(together[0].HitsProcesses ? together[0].FaultText : "faults of steps")}");
            }
        }
        finally
        {
            await world.DisposeAsync();
        }
    }

    /// <summary>False: the stack is of no use any more.</summary>
    private async Task<bool> RunBatchAsync(FaultStack world, IReadOnlyList<FaultCase> together, ConcurrentBag<FaultCase> missed, CancellationToken ct)
    {
        try
        {
            var (done, late) = await new Batch(world, options.StopFor).RunAsync(together, ct);
            Add(done);
            late.Where(l => done.All(d => d.Name != l.Name)).ToList().ForEach(missed.Add);
            return world.Idle >= options.AtOnce;
        }
        catch (Exception e) when (e is StackException or SnapshotFlowException)
        {
            Add(together.Select(t => new CaseResult(t.Name, "not known", [$"the stack did not come back: {e.Message}"], null, 0)));
            return false;
        }
    }

    private void Add(IEnumerable<CaseResult> more)
    {
        lock (gate)
        {
            foreach (var result in more)
            {
                results.Add(result);
                if (!result.Held)
                {
                    options.Say($"FAILED {result.Name} ({result.Outcome}): {string.Join("; ", result.Violations)}");
                }
            }

            options.Done(results);
        }
    }
}
