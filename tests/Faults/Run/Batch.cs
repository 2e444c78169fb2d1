using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.World;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>
/// Cases with the same process faults, at the same time on servers of their own: each run is held at its own boundary, then the process is killed or stopped once for all
/// of them. What is held goes on only after the fault.
/// </summary>
/// <param name="world">The stack.</param>
/// <param name="stopFor">How long a stopped process stays so.</param>
public sealed class Batch(FaultStack world, TimeSpan stopFor)
{
    /// <summary>Longer than every attempt of a step, the wait of a caller, the first thaw and every sign of life may take.</summary>
    public static readonly TimeSpan Stop = TimeSpan.FromSeconds(22);

    // Held steps come to their time-outs: whoever is not there soon after the others is tried again another time.
    private static readonly TimeSpan ToTheFirst = TimeSpan.FromSeconds(45), AfterTheFirst = TimeSpan.FromSeconds(10), WhileFrozen = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan UntilReady = TimeSpan.FromMinutes(2);

    // What a process needs to be there again.
    private static readonly TimeSpan ForARestart = TimeSpan.FromSeconds(4);

    private readonly Invariants invariants = new(world);

    /// <summary>Runs them and judges each. Cases that were not at their boundary in the moment of the fault are in the second list, and prove nothing.</summary>
    public async Task<(IReadOnlyList<CaseResult> Results, IReadOnlyList<FaultCase> Missed)> RunAsync(IReadOnlyList<FaultCase> cases, CancellationToken ct)
    {
        await ReadyAsync(ct);
        var runs = cases.Select(c => new RunningCase(world, c, world.Rent(), stopFor)).ToList();
        // What a case is about was made by an undisturbed run.
        await Task.WhenAll(runs.Select(r => r.PrepareAsync(ct)));
        var running = Task.WhenAll(runs.Select(r => r.RunAsync(ct)));
        List<FaultCase> missed = [];
        TimeSpan? healedAt = null;
        if (cases[0].HitsProcesses)
        {
            await InTimeAsync(Task.WhenAny(runs.Select(r => r.Staged)), ToTheFirst, ct);
            await InTimeAsync(Task.WhenAll(runs.Select(r => r.Staged)), AfterTheFirst, ct);
            runs.ForEach(r => r.PassStage());
            await InTimeAsync(Task.WhenAll(runs.Select(r => r.Reached)), WhileFrozen, ct);
            missed = [.. runs.Where(r => !r.IsHeld).Select(r => r.Case)];
            await StrikeAsync(cases[0].Faults, () => runs.ForEach(r => r.Release()), ct);
            healedAt = FreezeRecorder.Now;
        }

        await running;
        await ReadyAsync(ct);
        List<CaseResult> results = [];
        var quota = runs.Any(r => r.Unended is not null) ? [] : await invariants.JudgeQuotaAsync(ct);
        foreach (var run in runs)
        {
            if (run.Unended is { } problem)
            {
                // Its server stays busy, and is not used again.
                results.Add(new(run.Case.Name, "running", [$"ended: {problem}"], null, (FreezeRecorder.Now - run.ReachedAt).TotalMilliseconds));
                continue;
            }

            if (!cases[0].HitsProcesses && !run.WasReached)
            {
                missed.Add(run.Case);
            }

            var settled = run.EndedAt - (healedAt ?? (run.WasReached ? run.ReachedAt : run.Since));
            var result = await invariants.JudgeAsync(run, Unguarded(run.Case), settled, ct);
            results.Add(result with { Violations = [.. result.Violations, .. quota] });
            world.Return(run.Server);
        }

        return ([.. results.Where(r => !r.Held || !missed.Any(m => m.Name == r.Name))], missed);
    }

    private static async Task InTimeAsync(Task all, TimeSpan time, CancellationToken ct)
    {
        try
        {
            await all.WaitAsync(time, ct);
        }
        catch (TimeoutException)
        {
            // Whoever is not there by now is counted as missed.
        }
    }

    private async Task StrikeAsync(IReadOnlyList<Fault> faults, Action release, CancellationToken ct)
    {
        var victims = faults.Select(f => (f.Kind, Process: world.Stack.Part(f.Victim!.Value))).ToList();
        await Task.WhenAll(victims.Where(v => v.Kind is FaultKind.Kill).Select(v => v.Process.KillTreeAsync(ct)));
        var stopped = victims.Where(v => v.Kind is FaultKind.Stop).Select(v => v.Process).ToList();
        stopped.ForEach(p => p.StopTree());
        try
        {
            release();
            if (stopped.Count > 0)
            {
                await Task.Delay(stopFor, ct);
            }
        }
        finally
        {
            stopped.ForEach(p => p.ContinueTree());
        }
    }

    /// <summary>With guard and compute worker out of action at once nobody can thaw until one of them is back.</summary>
    private TimeSpan Unguarded(FaultCase @case)
    {
        var hosts = @case.Faults.Where(f => f.Victim is StackPart.Guard or StackPart.ComputeWorker).ToList();
        return hosts.Count < 2 ? TimeSpan.Zero : hosts.All(f => f.Kind is FaultKind.Stop) ? stopFor + ForARestart : ForARestart;
    }

    private Task ReadyAsync(CancellationToken ct) => Wait.UntilAsync("every process to serve again", UntilReady, async token =>
    {
        world.Supervisor.ThrowIfFailed();
        try
        {
            return !world.Stack.Processes.Any(p => p.HasExited) && await world.Stack.ServesAsync(token);
        }
        catch (RpcException)
        {
            return false;
        }
    }, ct);
}
