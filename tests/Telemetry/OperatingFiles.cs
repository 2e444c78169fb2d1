using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Serialization;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>The files in <c>ops/</c> speak of metrics that exist, and do what they say.</summary>
public sealed partial class OperatingFiles
{
    private static readonly string Root = FindRoot();
    private static readonly string Alerts = Path.Combine(Root, "ops", "prometheus", "alerts.yaml");
    private static readonly string AlertTests = Path.Combine(Root, "ops", "prometheus", "alerts.test.yaml");

    [Fact]
    public void Every_alert_fires_when_it_should_and_stays_quiet_when_not()
    {
        var promtool = FindPromtool();
        Assert.SkipWhen(promtool is null, "promtool is not on PATH and not in .tools: ./snapshotflow test brings it");

        var (code, said) = Run(promtool!, "test", "rules", AlertTests);

        Assert.True(code == 0, said);
        var tested = Tests();
        var alerts = Rules().Select(r => r.Name).ToList();
        Assert.True(alerts.Count >= 12, $"there are {alerts.Count} alerts");
        Assert.Equal(alerts.Order(), tested.Where(t => t.Fires).Select(t => t.Alert).Distinct().Order());
        Assert.Equal(alerts.Order(), tested.Where(t => !t.Fires).Select(t => t.Alert).Distinct().Order());
    }

    [Fact]
    public void Every_alert_leads_to_its_entry_in_the_runbook()
    {
        var headings = File.ReadLines(Path.Combine(Root, "docs", "runbook.md")).Where(l => l.StartsWith('#')).Select(l => l.TrimStart('#', ' ').Trim('`').ToLowerInvariant()).ToList();

        Assert.All(Rules(), rule =>
        {
            Assert.Equal($"docs/runbook.md#{rule.Name.ToLowerInvariant()}", rule.Runbook);
            Assert.Contains(rule.Name.ToLowerInvariant(), headings);
        });
    }

    [Fact]
    public void Alerts_and_dashboard_use_only_metrics_that_are_documented()
    {
        var documented = DocumentedMetrics().SelectMany(PrometheusNames).ToHashSet();
        var used = Rules().Select(r => r.Expression).Concat(DashboardExpressions()).SelectMany(e => MetricName().Matches(e).Select(m => m.Value)).Distinct().ToList();

        Assert.NotEmpty(used);
        Assert.Empty(used.Except(documented));
    }

    [Fact]
    public void Every_metric_that_the_documentation_promises_is_made_somewhere_in_the_code()
    {
        var code = string.Join('\n', new[] { "workflows", "workers", "drivers", "activities", "api" }
            .SelectMany(d => Directory.EnumerateFiles(Path.Combine(Root, d), "*.cs", SearchOption.AllDirectories)).Select(File.ReadAllText).Where(t => t.Contains("Meter", StringComparison.Ordinal)));
        var made = QuotedName().Matches(code).Select(m => m.Groups[1].Value).ToHashSet();

        Assert.Equal(DocumentedMetrics().Order(), made.Order());
    }

    /// <summary>The names in the first column of the table.</summary>
    internal static List<string> DocumentedMetrics() =>
        [.. File.ReadLines(Path.Combine(Root, "docs", "metrics.md")).Select(l => Row().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];

    /// <summary>Source: OpenTelemetry specification, Prometheus compatibility.</summary>
    private static IEnumerable<string> PrometheusNames(string name)
    {
        var row = File.ReadLines(Path.Combine(Root, "docs", "metrics.md")).First(l => l.StartsWith($"| `{name}` ", StringComparison.Ordinal)).Split('|', StringSplitOptions.TrimEntries);
        var plain = name.Replace('.', '_') + (row[3] == "s" ? "_seconds" : "");
        return row[2] switch
        {
            "counter" => [$"{plain}_total"],
            "histogram" => [$"{plain}_bucket", $"{plain}_sum", $"{plain}_count"],
            _ => [plain],
        };
    }

    private static List<(string Name, string Expression, string Runbook)> Rules()
    {
        var file = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(File.ReadAllText(Alerts));
        return [.. List(file["groups"]).SelectMany(g => List(Map(g)["rules"])).Select(Map)
            .Select(r => ((string)r["alert"], (string)r["expr"], (string)Map(r["annotations"])["runbook"]))];
    }

    private static List<(string Alert, bool Fires)> Tests()
    {
        var file = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(File.ReadAllText(AlertTests));
        return [.. List(file["tests"]).SelectMany(t => List(Map(t)["alert_rule_test"])).Select(Map).Select(t => ((string)t["alertname"], List(t["exp_alerts"]).Count > 0))];
    }

    private static List<string> DashboardExpressions()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "ops", "grafana", "snapshotflow.json")));
        return [.. dashboard.RootElement.GetProperty("panels").EnumerateArray().Where(p => p.TryGetProperty("targets", out _))
            .SelectMany(p => p.GetProperty("targets").EnumerateArray()).Select(t => t.GetProperty("expr").GetString()!)];
    }

    private static List<object> List(object value) => (List<object>)value;

    private static Dictionary<string, object> Map(object value) => value switch
    {
        Dictionary<string, object> map => map,
        Dictionary<object, object> map => map.ToDictionary(p => (string)p.Key, p => p.Value),
        _ => throw new InvalidDataException($"{value} is no mapping"),
    };

    private static string? FindPromtool() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Append(Path.Combine(Root, ".tools", "usr", "bin")).Select(d => Path.Combine(d, "promtool")).FirstOrDefault(File.Exists);

    private static (int Code, string Said) Run(string program, params string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, said + errors.GetAwaiter().GetResult());
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

    [GeneratedRegex(@"^\| `(snapshotflow\.[a-z_.]+)` \|")]
    private static partial Regex Row();

    [GeneratedRegex("""(?:const string \w+ = |Create\w+(?:<\w+>)?\(\s*)"(snapshotflow\.[a-z_.]+)[\x22]""")]
    private static partial Regex QuotedName();

    [GeneratedRegex("snapshotflow_[a-z_]+")]
    private static partial Regex MetricName();
}
