using System.Text.RegularExpressions;

namespace SnapshotFlow.Tests.Unit;

/// <summary><c>docs/upstream-failures.md</c> names tests that are there.</summary>
public sealed partial class LearningFromOthers
{
    [Fact]
    public void Every_test_that_is_named_for_a_failure_of_others_is_there()
    {
        var root = FollowingTheRunbook.Root;
        var tests = Directory.EnumerateFiles(Path.Combine(root, "tests"), "*.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText)
            .SelectMany(code => Class().Matches(code).SelectMany(c => Method().Matches(code).Select(m => $"{c.Groups["name"].Value}.{m.Groups["name"].Value}")))
            .ToHashSet();
        var named = Named().Matches(File.ReadAllText(Path.Combine(root, "docs", "upstream-failures.md"))).Select(m => m.Groups["name"].Value).ToList();

        Assert.True(named.Count > 80, $"only {named.Count} tests are named");
        Assert.All(named, name => Assert.Contains(name, tests));
    }

    [GeneratedRegex(@"class (?<name>\w+)")]
    private static partial Regex Class();

    [GeneratedRegex(@"public (?:async )?(?:Task|void) (?<name>[A-Z]\w*_\w+)\(")]
    private static partial Regex Method();

    [GeneratedRegex(@"`(?<name>[A-Z]\w+\.[A-Z]\w*_\w+)`")]
    private static partial Regex Named();
}
