using SnapshotFlow.Tests.Faults;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

[assembly: AssemblyFixture(typeof(RunningWorld))]

namespace SnapshotFlow.Tests.Faults;

/// <summary>The stack that the sample runs on.</summary>
public sealed class RunningWorld : IAsyncLifetime
{
    /// <summary>The processes.</summary>
    public FaultStack World { get; private set; } = null!;

    public async ValueTask InitializeAsync() => World = await FaultStack.StartAsync(MatrixRun.AtOnce, CancellationToken.None);

    public ValueTask DisposeAsync() => World.DisposeAsync();
}

/// <summary>A sample of the matrix: each process killed and stopped, each fault of a step, some pairs; together at every boundary. <c>./snapshotflow faults --all</c> runs the rest.</summary>
public sealed class SurvivingFaults(RunningWorld running)
{
    private const int Seed = 1;
    private const string OfSteps = "faults of steps";

    public static TheoryData<string> Faults => [.. FaultMatrix.Sample(Seed).Select(Group).Distinct()];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Every_promise_holds_at_every_boundary_of_the_sample(string fault)
    {
        var cases = FaultMatrix.Sample(Seed).Where(c => Group(c) == fault).ToList();

        List<CaseResult> results = [];
        foreach (var together in cases.Chunk(MatrixRun.AtOnce))
        {
            var (done, missed) = await new Batch(running.World, Batch.Stop).RunAsync(together, TestContext.Current.CancellationToken);
            results.AddRange(done);
            // Once more for those that a busy machine kept from their boundary.
            results.AddRange(missed.Count == 0 ? [] : (await new Batch(running.World, Batch.Stop).RunAsync(missed, TestContext.Current.CancellationToken)).Results);
        }

        Assert.Equal(cases.Select(c => c.Name).Order(StringComparer.Ordinal), results.Select(r => r.Name).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal([], results.Where(r => !r.Held).Select(r => $"{r.Name} ({r.Outcome}): {string.Join("; ", r.Violations)}"));
    }

    private static string Group(FaultCase @case) => @case.HitsProcesses ? @case.FaultText : OfSteps;
}
