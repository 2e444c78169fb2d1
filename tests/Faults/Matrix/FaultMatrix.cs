using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Faults.Matrix;

/// <summary>Which cases there are.</summary>
public static class FaultMatrix
{
    /// <summary>How many pairs of faults are drawn.</summary>
    private const int Pairs = 84;

    private static readonly IReadOnlyList<Scenario> Sampled = [.. Scenario.All.Where(s => s.Sampled)];

    private static readonly FaultKind[] OnProcesses = [FaultKind.Kill, FaultKind.Stop];

    /// <summary>Everything: each process × killed and stopped × each boundary, each fault of a step × each boundary at which it can happen, and pairs drawn by the seed.</summary>
    public static IReadOnlyList<FaultCase> All(int seed) => [.. OfProcesses(), .. OfSteps(Scenario.All), .. Paired(seed)];

    /// <summary>
    /// Some of everything: each process × killed and stopped, the boundaries dealt to them in an order that the seed draws, so that together they have every one; each
    /// fault of a step; some pairs.
    /// </summary>
    public static IReadOnlyList<FaultCase> Sample(int seed)
    {
        const int OfEachProcess = 6, OfEachStepFault = 2, OfPairs = 6;
        var random = new Random(seed);
        var boundaries = Sampled.SelectMany(s => s.Boundaries.Select(b => (s.Name, Boundary: b))).ToArray();
        random.Shuffle(boundaries);
        var processes = OnProcesses.SelectMany(kind => Enum.GetValues<StackPart>().Select(victim => new Fault(kind, victim)))
            .SelectMany((fault, at) => Enumerable.Range(at * OfEachProcess, OfEachProcess).Select(i => boundaries[i % boundaries.Length]).Select(b => new FaultCase(b.Name, b.Boundary, [fault])));
        var steps = OfSteps(Sampled).GroupBy(c => c.FaultText).SelectMany(g => Draw(random, [.. g], OfEachStepFault));
        return [.. processes, .. steps, .. Paired(seed).Take(OfPairs)];
    }

    private static IEnumerable<FaultCase> OfProcesses() =>
        from kind in OnProcesses
        from victim in Enum.GetValues<StackPart>()
        from scenario in Scenario.All
        from boundary in scenario.Boundaries
        select new FaultCase(scenario.Name, boundary, [new(kind, victim)]);

    private static IEnumerable<FaultCase> OfSteps(IReadOnlyList<Scenario> scenarios) =>
        from kind in Enum.GetValues<FaultKind>().Except(OnProcesses)
        from scenario in scenarios
        from boundary in scenario.Boundaries
        where Happens(kind, boundary.Phase)
            && !(kind is FaultKind.Refuse && (scenario.Trips is not null || scenario.IsForwardAt(boundary)))
            // Ends after ten minutes and more; tests of the workflows skip that time.
            && !(kind is FaultKind.Hang && scenario.IsInDriverAt(boundary))
        select new FaultCase(scenario.Name, boundary, [new(kind, null)]);

    /// <summary>Two processes at once, twelve boundaries for each pair that is drawn.</summary>
    private static IEnumerable<FaultCase> Paired(int seed)
    {
        const int OfEachPair = 12;
        var random = new Random(seed);
        var boundaries = Sampled.SelectMany(s => s.Boundaries.Select(b => (s.Name, Boundary: b))).ToList();
        for (var i = 0; i < Pairs / OfEachPair; i++)
        {
            var victims = Draw(random, Enum.GetValues<StackPart>(), 2).Select(v => new Fault(OnProcesses[random.Next(OnProcesses.Length)], v)).ToList();
            foreach (var (scenario, boundary) in Draw(random, boundaries, OfEachPair))
            {
                yield return new(scenario, boundary, victims);
            }
        }
    }

    private static bool Happens(FaultKind kind, Phase phase) => kind switch
    {
        FaultKind.Error or FaultKind.Refuse => phase is Phase.Before or Phase.During,
        FaultKind.Hang => phase is Phase.Before or Phase.During,
        FaultKind.Lose => phase is Phase.After,
        FaultKind.Twice => phase is Phase.Before,
        FaultKind.Slow => phase is Phase.Before or Phase.After,
        FaultKind.Cancel => true,
        _ => false,
    };

    private static List<T> Draw<T>(Random random, IReadOnlyList<T> from, int count)
    {
        var shuffled = from.ToArray();
        random.Shuffle(shuffled);
        return [.. shuffled.Take(count)];
    }
}
