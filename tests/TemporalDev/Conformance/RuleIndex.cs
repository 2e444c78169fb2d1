using System.Reflection;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>The index of the protocol's rules (<c>rules.txt</c>) against the tests: a rule without a test, or a test without a rule, is noticed.</summary>
public sealed class RuleIndex
{
    private static readonly List<(string Number, string[] Tests)> Rules = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "rules.txt"))
        .Where(line => line.Length > 0 && line[0] != '#')
        .Select(line => line.Split('|'))
        .Select(parts => (parts[0].Trim(), parts[2].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))];

    private static readonly HashSet<string> Tests = [.. typeof(RuleIndex).Assembly.GetTypes()
        .SelectMany(type => type.GetMethods())
        .Where(method => method.GetCustomAttribute<FactAttribute>() is { Skip: null })
        .Select(method => method.Name)];

    [Fact]
    public void Every_rule_has_a_number_of_its_own_and_tests_that_exist()
    {
        Assert.Equal(Rules.Select(rule => rule.Number).Distinct(), Rules.Select(rule => rule.Number));
        Assert.All(Rules, rule => Assert.NotEmpty(rule.Tests));
        Assert.DoesNotContain(Rules.SelectMany(rule => rule.Tests), test => !Tests.Contains(test));
    }

    [Fact]
    public void Every_section_that_has_rules_is_there() => Assert.Equal(
        ["5.1", "5.2", "6", "6.1", "7.1", "7.2", "7.3", "8", "9", "10.1", "10.2", "10.3", "10.4", "10.5", "10", "11", "12", "13", "14", "15.1", "15.2", "15.3", "15.4"],
        Rules.Select(rule => rule.Number.Split('/')[0]).Distinct());

    [Fact]
    public void Every_numbered_test_belongs_to_a_rule()
    {
        var indexed = Rules.SelectMany(rule => rule.Tests).ToHashSet();
        Assert.DoesNotContain(Tests, test => IsNumbered(test) && !indexed.Contains(test));
    }

    /// <summary>Tests of sections 5 to 15 begin with their section.</summary>
    private static bool IsNumbered(string test) => test.Length > 3 && test[0] == 'S' && int.TryParse(test.AsSpan(1, 2), out var section) && section is >= 5 and <= 15;
}
