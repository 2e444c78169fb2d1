using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;

namespace SnapshotFlow.Tests.Faults;

/// <summary>A case is found by its name, and a seed always draws the same.</summary>
public sealed class NamingCases
{
    [Fact]
    public void Every_case_is_found_by_its_name_and_has_it_alone()
    {
        var all = FaultMatrix.All(7);

        Assert.All(all, c => Assert.Equal(c.Name, FaultCase.Parse(c.Name).Name));
        Assert.Equal(all.Count, all.Select(c => c.Name).Distinct().Count());
    }

    [Theory]
    [InlineData("create/Quiesce.during")]
    [InlineData("create/Quiesce.meanwhile/kill:guard")]
    [InlineData("create/Sleep.before/kill:guard")]
    [InlineData("create/Quiesce.before/kill:dog")]
    public void What_is_no_case_is_refused(string name) => Assert.Throws<FormatException>(() => FaultCase.Parse(name));

    [Fact]
    public void Each_process_is_killed_and_stopped_at_each_boundary()
    {
        var names = FaultMatrix.All(1).Select(c => c.Name).ToHashSet();

        Assert.True(names.Count >= 500);
        Assert.All(
            from scenario in Scenario.All from boundary in scenario.Boundaries from part in Enum.GetValues<StackPart>() from kind in (FaultKind[])[FaultKind.Kill, FaultKind.Stop] select (scenario, boundary, part, kind),
            c => Assert.Contains(new FaultCase(c.scenario.Name, c.boundary, [new(c.kind, c.part)]).Name, names));
    }

    [Fact]
    public void The_sample_has_each_process_both_kinds_and_every_boundary()
    {
        var sample = FaultMatrix.Sample(1);

        Assert.Equal(Scenario.All.Where(s => s.Sampled).Sum(s => s.Boundaries.Count()), sample.Where(c => c.HitsProcesses).Select(c => (c.Scenario, c.Boundary)).Distinct().Count());
        Assert.Equal(2 * Enum.GetValues<StackPart>().Length, sample.Where(c => c is { HitsProcesses: true, Faults.Count: 1 }).Select(c => c.FaultText).Distinct().Count());
        Assert.Equal(sample.Select(c => c.Name), FaultMatrix.Sample(1).Select(c => c.Name));
        Assert.NotEqual(sample.Select(c => c.Name), FaultMatrix.Sample(2).Select(c => c.Name));
    }
}
