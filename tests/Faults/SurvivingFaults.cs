using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Run;

namespace SnapshotFlow.Tests.Faults;

/// <summary>
/// The sample, run once, on several stacks at the same time: nearly all of a case is waiting for what is stopped, held or due. Its results are judged by the tests below.
/// </summary>
public sealed class SampleRun : IAsyncLifetime
{
    private const int Stacks = 3, AtOnce = 8;

    /// <summary>How every case ended.</summary>
    public IReadOnlyList<CaseResult> Results { get; private set; } = [];

    public async ValueTask InitializeAsync() => Results = await new MatrixRun(new(
        Stacks, AtOnce, Batch.Stop, said => TestContext.Current.SendDiagnosticMessage("{0}", said), _ => { })).RunAsync(FaultMatrix.Sample(SurvivingFaults.Seed), CancellationToken.None);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>A sample of the matrix: each process killed and stopped, each fault of a step, some pairs; together at every boundary. <c>./snapshotflow faults --all</c> runs the rest.</summary>
public sealed class SurvivingFaults(SampleRun run) : IClassFixture<SampleRun>
{
    /// <summary>Draws the sample.</summary>
    public const int Seed = 1;

    private const string OfSteps = "faults of steps";

    public static TheoryData<string> Faults => [.. FaultMatrix.Sample(Seed).Select(Group).Distinct()];

    [Theory]
    [MemberData(nameof(Faults))]
    public void Every_promise_holds_at_every_boundary_of_the_sample(string fault)
    {
        var cases = FaultMatrix.Sample(Seed).Where(c => Group(c) == fault).Select(c => c.Name).ToHashSet();

        var results = run.Results.Where(r => cases.Contains(r.Name)).ToList();

        Assert.Equal(cases.Order(StringComparer.Ordinal), results.Select(r => r.Name).Distinct().Order(StringComparer.Ordinal));
        // Told whole, not the beginning of each as a comparison would.
        Assert.True(results.All(r => r.Held), string.Join('\n', results.Where(r => !r.Held).Select(r => $"{r.Name} ({r.Outcome}): {string.Join("; ", r.Violations)}")));
    }

    private static string Group(FaultCase @case) => @case.HitsProcesses ? @case.FaultText : OfSteps;
}
