using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>Says what was found: to a person as a table with the worst on top and what to do below, to a program as JSON.</summary>
internal static class DoctorReport
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Write(IReadOnlyList<Diagnosis> found, bool asJson)
    {
        var worst = found.Max(d => d.Severity);
        if (asJson)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { severity = worst, findings = found }, Format));
            return;
        }

        if (Console.IsOutputRedirected)
        {
            // Nobody's window says how wide a line may be.
            AnsiConsole.Profile.Width = 200;
        }

        var table = new Table().Border(TableBorder.Simple).AddColumns("", "check", "what", "found");
        foreach (var d in found.OrderByDescending(d => d.Severity))
        {
            table.AddRow(new Markup(Mark(d.Severity)), new Text(d.Check), new Text(d.Subject), new Text(d.Found));
        }

        AnsiConsole.Write(table);
        foreach (var d in found.Where(d => d.Advice is not null).OrderByDescending(d => d.Severity))
        {
            AnsiConsole.MarkupLineInterpolated($"{d.Check} {d.Subject}: [bold]{d.Advice!}[/]");
        }

        AnsiConsole.WriteLine(worst is Severity.Ok
            ? $"well: {found.Count} checks"
            : $"{found.Count(d => d.Severity is Severity.Error)} errors, {found.Count(d => d.Severity is Severity.Warning)} warnings in {found.Count} checks");
    }

    private static string Mark(Severity severity) => severity switch
    {
        Severity.Ok => "[green]ok[/]",
        Severity.Warning => "[yellow]warning[/]",
        _ => "[red]ERROR[/]",
    };
}
