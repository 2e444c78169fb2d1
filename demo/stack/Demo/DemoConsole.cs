using System.Diagnostics;
using System.Globalization;
using Spectre.Console;

namespace SnapshotFlow.Stack.Demo;

/// <summary>What the demo tells its viewer: one line per thing that happened, when it happened. Colours only on a terminal.</summary>
internal sealed class DemoConsole
{
    private readonly IAnsiConsole console = AnsiConsole.Console;
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private readonly List<string> failed = [];

    public DemoConsole()
    {
        if (!console.Profile.Out.IsTerminal)
        {
            // A pipe has no width: lines are broken by whoever reads them.
            console.Profile.Width = 1000;
        }
    }

    /// <summary>What did not hold, in words.</summary>
    public IReadOnlyList<string> Failed => failed;

    public static string Milliseconds(double ms) => ms.ToString("0.0", CultureInfo.InvariantCulture) + " ms";

    public void Chapter(string title)
    {
        console.WriteLine();
        console.MarkupLineInterpolated($"[bold]{title}[/]");
    }

    public void Say(string text) => console.MarkupLineInterpolated($"[grey]{Clock()}[/]    {text}");

    /// <summary>A step of a run, with its own time.</summary>
    public void Step(bool ok, string name, string detail, double? ms) => console.MarkupLine(
        $"[grey]{Clock()}[/]  {(ok ? "[green]•[/]" : "[red]×[/]")} {Markup.Escape(name),-34}{(ms is { } t ? Milliseconds(t) : ""),12}  [grey]{Markup.Escape(detail)}[/]");

    /// <summary>Something that must hold.</summary>
    public bool Check(bool holds, string what)
    {
        console.MarkupLine($"[grey]{Clock()}[/]  {(holds ? "[green]✓[/]" : "[red]✗[/]")} {Markup.Escape(what)}");
        if (!holds)
        {
            failed.Add(what);
        }
        return holds;
    }

    public void Table(string title, IEnumerable<(string What, string Found)> rows)
    {
        var table = new Table().Border(console.Profile.Out.IsTerminal ? TableBorder.Rounded : TableBorder.Ascii).Title(title).AddColumns("", "this run");
        foreach (var (what, found) in rows)
        {
            table.AddRow(Markup.Escape(what), Markup.Escape(found));
        }
        console.WriteLine();
        console.Write(table);
    }

    private string Clock() => watch.Elapsed.TotalSeconds.ToString("00.000", CultureInfo.InvariantCulture);
}
