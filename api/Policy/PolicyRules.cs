using SnapshotFlow.Api.Configuration;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SnapshotFlow.Api.Policy;

/// <summary>Rules by name: the defaults, and what a file says instead.</summary>
internal sealed class PolicyRules
{
    private readonly IReadOnlyDictionary<string, PolicyCheck> checks;

    private PolicyRules(IReadOnlyDictionary<string, PolicyCheck> checks, IReadOnlyList<string> unused)
    {
        this.checks = checks;
        Unused = unused;
    }

    /// <summary>What is in force without a file.</summary>
    public static PolicyRules Default { get; } = Of(new YamlField("", new YamlMappingNode()));

    /// <summary>Rules of the file that nothing here asks for: those of other services, or misspelt ones.</summary>
    public IReadOnlyList<string> Unused { get; }

    /// <summary>
    /// Reads a mapping of rule names to checks, as oslo.policy does. A rule that is not in it keeps its default; a name that is none of ours may be used by
    /// other rules.
    /// </summary>
    /// <exception cref="FormatException">A check cannot be read, asks a rule that there is not, or asks itself; the message has path, line and rule.</exception>
    public static PolicyRules Load(string path) => YamlField.ReadFile(path, Of);

    /// <summary>As <see cref="Load"/>, from a text.</summary>
    public static PolicyRules Parse(string yaml) => Of(YamlField.Parse(yaml));

    /// <summary>Whether a rule lets somebody do something.</summary>
    public bool Allows(string rule, ICredentials credentials, PolicyTarget target) => checks[rule].Allows(name => Allows(name, credentials, target), credentials, target);

    private static PolicyRules Of(YamlField document)
    {
        var checks = Policies.Defaults.ToDictionary(p => p.Key, p => PolicyLanguage.Parse(p.Value), StringComparer.Ordinal);
        var given = document.IsEmpty ? new Dictionary<string, YamlField>() : document.Members();
        foreach (var (name, field) in given)
        {
            try
            {
                checks[name] = PolicyLanguage.Parse(field.Node is YamlScalarNode { Value: "", Style: not ScalarStyle.Plain } ? "" : field.Text());
            }
            catch (FormatException e) when (e.Message.StartsWith("column", StringComparison.Ordinal))
            {
                throw field.Wrong(e.Message);
            }
        }

        foreach (var (name, field) in given)
        {
            if (checks[name].Rules.FirstOrDefault(r => !checks.ContainsKey(r)) is { } missing)
            {
                throw field.Wrong($"it asks rule:{missing}, and there is no such rule");
            }

            if (Circle(name, checks) is { } circle)
            {
                throw field.Wrong($"it asks itself: {circle}");
            }
        }

        var asked = checks.Values.SelectMany(c => c.Rules).ToHashSet(StringComparer.Ordinal);
        return new(checks, [.. given.Keys.Where(n => !Policies.Defaults.ContainsKey(n) && !asked.Contains(n)).Order(StringComparer.Ordinal)]);
    }

    /// <summary>How a rule comes back to itself; null when it does not.</summary>
    private static string? Circle(string start, Dictionary<string, PolicyCheck> checks)
    {
        HashSet<string> seen = [];
        return Visit(start, start);

        string? Visit(string name, string way) => !seen.Add(name) ? null : checks[name].Rules
            .Select(next => next == start ? $"{way} → {next}" : Visit(next, $"{way} → {next}"))
            .FirstOrDefault(found => found is not null);
    }
}
