using System.Globalization;
using System.Text;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>What was run, as a page of the documentation.</summary>
public static class MatrixReport
{
    /// <summary>The page.</summary>
    /// <param name="results">Every case that was run.</param>
    /// <param name="command">What ran them.</param>
    /// <param name="stop">How long a stopped process stayed so.</param>
    /// <param name="took">How long.</param>
    /// <param name="now">When.</param>
    public static string Markdown(IReadOnlyList<CaseResult> results, string command, TimeSpan stop, TimeSpan took, DateTimeOffset now)
    {
        var text = new StringBuilder();
        var cases = results.Select(r => (Result: r, Case: FaultCase.Parse(r.Name))).ToList();
        text.Append(CultureInfo.InvariantCulture, $"""
            # The fault matrix

            Real processes, killed, stopped and made to fail at every boundary of every step. `{command}` wrote this page on {now:yyyy-MM-dd HH:mm} UTC:
            **{results.Count} cases, {results.Count(r => !r.Held)} of them with a broken invariant**, in {took.TotalMinutes:0} minutes. `./snapshotflow faults --case NAME` runs one of them alone.

            A run is held exactly at its boundary (workers ask the test before, in the middle of and after every activity how to go on), then the fault happens, then the run goes on. *kill* is
            SIGKILL and a start as by the service units; *stop* is SIGSTOP for {stop.TotalSeconds:0} s, longer than any attempt of a step, then SIGCONT. After each case these hold, or it is a failure:
            no freeze went more than {Invariants.Grace.TotalMilliseconds:0} ms over its deadline, by the guest's own journal; the guest is thawed and its lease closed; a run that did not complete left nothing, or
            exactly what it lists; a completed one has one available snapshot per volume and an image that names exactly those; the same idempotency key gives the same answer; quota usage is what is there;
            `application` is claimed only where every cut lies in one freeze and the guest's own numbers agree; the run ended at most {Invariants.EndsWithin.TotalSeconds:0} s after the fault; another project sees
            nothing; the history replays.

            ## By fault

            | Fault | Cases | Ended as | Broken | Worst freeze against its deadline | Longest from the end of the fault to the end of the run |
            |---|---|---|---|---|---|

            """);
        foreach (var group in cases.GroupBy(c => c.Case.Faults.Count > 1 ? "pairs" : c.Case.FaultText).OrderBy(g => g.First().Case.Faults.Count).ThenBy(g => g.First().Case.Faults[0].Kind).ThenBy(g => g.First().Case.Faults[0].Victim))
        {
            text.AppendLine(Row(group.Key, [.. group.Select(c => c.Result)]));
        }

        text.AppendLine(Row("**all**", results)).AppendLine();
        foreach (var scenario in Scenario.All)
        {
            AppendScenario(text, scenario, [.. cases.Where(c => c.Case.Scenario == scenario.Name && c.Case is { HitsProcesses: true, Faults.Count: 1 })]);
        }

        AppendList(text, "Faults of steps", [.. cases.Where(c => !c.Case.HitsProcesses)], c => $"{c.Scenario}/{c.Boundary}", c => c.FaultText);
        AppendList(text, "Pairs", [.. cases.Where(c => c.Case.Faults.Count > 1)], c => c.FaultText, c => $"{c.Scenario}/{c.Boundary}");
        var broken = results.Where(r => !r.Held).ToList();
        if (broken.Count > 0)
        {
            text.AppendLine("## Broken").AppendLine();
            broken.ForEach(b => text.AppendLine(CultureInfo.InvariantCulture, $"- `{b.Name}` ({b.Outcome}): {string.Join("; ", b.Violations)}"));
        }

        return text.ToString().TrimEnd() + "\n";
    }

    private static string Row(string name, IReadOnlyList<CaseResult> results)
    {
        var over = results.Max(r => r.OverDeadlineMs);
        var ended = string.Join(", ", results.GroupBy(r => r.Outcome).OrderByDescending(g => g.Count()).Select(g => $"{g.Count()} {g.Key}"));
        return string.Create(CultureInfo.InvariantCulture,
            $"| {name} | {results.Count} | {ended} | {results.Count(r => !r.Held)} | {(over is null ? "no freeze" : $"{over:+0;-0;0} ms")} | {results.Max(r => r.SettledMs) / 1000:0.0} s |");
    }

    private static void AppendScenario(StringBuilder text, Scenario scenario, IReadOnlyList<(CaseResult Result, FaultCase Case)> cases)
    {
        if (cases.Count == 0)
        {
            return;
        }

        var parts = Enum.GetValues<StackPart>();
        text.AppendLine(CultureInfo.InvariantCulture, $"## {scenario.Name}: each process killed / stopped").AppendLine()
            .AppendLine($"| Boundary | {string.Join(" | ", parts.Select(Fault.Kebab))} |")
            .AppendLine($"|---|{string.Concat(parts.Select(_ => "---|"))}");
        foreach (var boundary in scenario.Boundaries)
        {
            string Cell(StackPart part, FaultKind kind) =>
                cases.Where(c => c.Case.Boundary == boundary && c.Case.Faults[0] == new Fault(kind, part)).Select(c => Word(c.Result)).FirstOrDefault() ?? "–";
            text.AppendLine($"| {boundary} | {string.Join(" | ", parts.Select(p => $"{Cell(p, FaultKind.Kill)} / {Cell(p, FaultKind.Stop)}"))} |");
        }

        text.AppendLine();
    }

    private static void AppendList(
        StringBuilder text, string title, IReadOnlyList<(CaseResult Result, FaultCase Case)> cases, Func<FaultCase, string> row, Func<FaultCase, string> entry)
    {
        if (cases.Count == 0)
        {
            return;
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"## {title}").AppendLine().AppendLine("| | |").AppendLine("|---|---|");
        foreach (var group in cases.GroupBy(c => row(c.Case)))
        {
            text.AppendLine($"| {group.Key} | {string.Join(", ", group.Select(c => $"{entry(c.Case)}: {Word(c.Result)}"))} |");
        }

        text.AppendLine();
    }

    private static string Word(CaseResult result) => result.Held ? result.Outcome : $"**{result.Outcome}: broken**";
}
