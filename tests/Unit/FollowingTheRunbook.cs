using System.Text.RegularExpressions;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary><c>docs/runbook.md</c> has an entry for everything that an operator can meet, and every entry says how to see it, what it means and what to do.</summary>
public sealed partial class FollowingTheRunbook
{
    internal static readonly string Root = FindRoot();
    private static readonly Dictionary<string, Dictionary<string, string>> Sections = Read();

    [Fact]
    public void Every_error_kind_has_its_entry_and_no_other() =>
        Assert.Equal(Enum.GetNames<ErrorKind>().Order(), Sections["Error kinds"].Keys.Order());

    [Fact]
    public void Every_kind_of_finding_has_its_entry_and_no_other() =>
        Assert.Equal(Enum.GetValues<FindingKind>().Select(k => k.ToText()).Order(), Sections["Findings"].Keys.Order());

    [Fact]
    public void Every_undo_that_can_fail_has_its_entry()
    {
        var code = string.Join('\n', new[] { "workflows", "activities" }
            .SelectMany(d => Directory.EnumerateFiles(Path.Combine(Root, d), "*.cs", SearchOption.AllDirectories)).Select(File.ReadAllText));
        var kinds = Undo().Matches(code).Select(m => m.Groups["kind"].Value).ToHashSet();

        Assert.Superset(new HashSet<string> { "Unquiesce", "DeleteVolumeSnapshot", "RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun" }, kinds);
        Assert.All(kinds, kind => Assert.Contains(kind, Sections["Leftovers"].Keys));
    }

    [Fact]
    public void Every_entry_says_how_to_see_it_what_it_means_and_what_to_do() => Assert.All(
        Sections.Where(s => s.Key != "Alerts").SelectMany(s => s.Value),
        entry => Assert.All(new[] { "- **See**", "- **Means**", "- **Do**" }, word => Assert.Contains(word, entry.Value, StringComparison.Ordinal)));

    [Fact]
    public void Every_reference_within_the_runbook_leads_to_an_entry()
    {
        var text = File.ReadAllText(Path.Combine(Root, "docs", "runbook.md"));
        var anchors = text.Split('\n').Where(l => l.StartsWith('#')).Select(l => l.TrimStart('#', ' ').ToLowerInvariant().Replace(' ', '-')).ToHashSet();

        Assert.All(Reference().Matches(text).Select(m => m.Groups["anchor"].Value), a => Assert.Contains(a, anchors));
    }

    [Fact]
    public void Every_alert_has_its_entry_and_no_other()
    {
        var file = Path.Combine(Root, "ops", "prometheus", "alerts.yaml");
        Assert.SkipUnless(File.Exists(file), "there are no alerts yet");
        var alerts = Alert().Matches(File.ReadAllText(file)).Select(m => m.Groups["name"].Value);

        Assert.Equal(alerts.Order(), Sections["Alerts"].Keys.Order());
    }

    private static Dictionary<string, Dictionary<string, string>> Read()
    {
        var sections = new Dictionary<string, Dictionary<string, string>>();
        foreach (var section in File.ReadAllText(Path.Combine(Root, "docs", "runbook.md")).Split("\n## ").Skip(1))
        {
            var entries = section.Split("\n### ");
            sections[entries[0].Split('\n')[0]] = entries.Skip(1).ToDictionary(e => e.Split('\n')[0], e => e);
        }

        return sections;
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "SnapshotFlow.sln")))
        {
            directory = directory.Parent ?? throw new DirectoryNotFoundException("SnapshotFlow.sln is in no directory above the tests");
        }

        return directory.FullName;
    }

    [GeneratedRegex("""(?:\.Push|Leftovers\.Add\(new|new Leftover)\("(?<kind>\w+)",""")]
    private static partial Regex Undo();

    [GeneratedRegex(@"\]\(#(?<anchor>[^)]+)\)")]
    private static partial Regex Reference();

    [GeneratedRegex(@"- alert: (?<name>\w+)")]
    private static partial Regex Alert();
}
