using System.Diagnostics;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>Runs many cases in batches on one stack; on a new one when the old one could not be brought back.</summary>
/// <param name="start">Starts a stack.</param>
/// <param name="stopFor">How long a stopped process stays so.</param>
/// <param name="say">Told how it goes.</param>
public sealed class MatrixRun(Func<CancellationToken, Task<FaultStack>> start, TimeSpan stopFor, Action<string> say)
{
    /// <summary>How many runs are held at the same time.</summary>
    public const int AtOnce = 12;

    private const int Tries = 3;

    private readonly List<CaseResult> results = [];
    private readonly Stopwatch watch = Stopwatch.StartNew();

    /// <summary>Runs the cases; one that missed its boundary is tried again, twice, and then told of as one that could not be run.</summary>
    public async Task<IReadOnlyList<CaseResult>> RunAsync(IReadOnlyList<FaultCase> cases, CancellationToken ct)
    {
        var world = await start(ct);
        say($"{watch.Elapsed:hh\\:mm\\:ss} everything runs");
        try
        {
            var left = cases;
            for (var attempt = 1; left.Count > 0 && attempt <= Tries; attempt++)
            {
                List<FaultCase> missed = [];
                foreach (var together in left.GroupBy(c => c.HitsProcesses ? c.FaultText : "").SelectMany(g => g.Chunk(AtOnce)))
                {
                    if (!await RunBatchAsync(world, together, missed, ct))
                    {
                        await world.DisposeAsync();
                        world = await start(ct);
                    }

                    say($"{watch.Elapsed:hh\\:mm\\:ss} {results.Count} of {cases.Count} done, {results.Count(r => !r.Held)} failed, {missed.Count} to be tried again; last: {(together[0].HitsProcesses ? together[0].FaultText : "faults of steps")}");
                }

                left = missed;
            }

            results.AddRange(left.Select(l => new CaseResult(l.Name, "not run", [$"the run was not at its boundary in the moment of the fault, {Tries} times"], null, 0)));
            return results;
        }
        finally
        {
            await world.DisposeAsync();
        }
    }

    /// <summary>False: the stack is of no use any more.</summary>
    private async Task<bool> RunBatchAsync(FaultStack world, IReadOnlyList<FaultCase> together, List<FaultCase> missed, CancellationToken ct)
    {
        try
        {
            var (done, late) = await new Batch(world, stopFor).RunAsync(together, ct);
            results.AddRange(done);
            missed.AddRange(late.Where(l => done.All(d => d.Name != l.Name)));
            foreach (var failed in done.Where(d => !d.Held))
            {
                say($"FAILED {failed.Name} ({failed.Outcome}): {string.Join("; ", failed.Violations)}");
            }

            return world.Idle >= AtOnce;
        }
        catch (Exception e) when (e is StackException or SnapshotFlowException)
        {
            say($"FAILED {string.Join(", ", together)}: {e.Message}");
            results.AddRange(together.Select(t => new CaseResult(t.Name, "not known", [$"the stack did not come back: {e.Message}"], null, 0)));
            return false;
        }
    }
}
