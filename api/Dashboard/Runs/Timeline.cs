using System.Globalization;
using SnapshotFlow.Api.Dashboard.Live;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Dashboard.Runs;

/// <summary>A stretch of a scale, in per cent of its width.</summary>
public readonly record struct Stretch(double From, double Width)
{
    /// <summary>As SVG has it.</summary>
    public string X => Percent(From);

    /// <summary>As SVG has it; never so narrow that nothing is seen.</summary>
    public string W => Percent(Math.Max(Width, 0.15));

    /// <summary>A number of per cent as SVG has it.</summary>
    public static string Percent(double number) => number.ToString("0.###", CultureInfo.InvariantCulture) + "%";
}

/// <summary>A line of a timeline.</summary>
/// <param name="Label">What it shows.</param>
/// <param name="Detail">Of what: a device, or words for a person.</param>
/// <param name="Bar">Where its bar is.</param>
/// <param name="Cut">The instant inside it at which the contents of a volume were fixed; null when it is no cut.</param>
/// <param name="Look">How it is drawn: <c>done</c>, <c>open</c>, <c>failed</c>, <c>cut</c>, <c>freeze</c>.</param>
/// <param name="After">From the beginning of the scale to its beginning.</param>
/// <param name="Took">How long; null while it goes on.</param>
/// <param name="Error">Why it failed.</param>
/// <param name="Attempts">How often it was tried, if that is known.</param>
public sealed record TimelineRow(string Label, string? Detail, Stretch Bar, double? Cut, string Look, TimeSpan After, TimeSpan? Took, string? Error, int? Attempts = null);

/// <summary>A mark on a scale.</summary>
public sealed record Tick(double At, string Text);

/// <summary>What happened when, drawn to one scale.</summary>
/// <param name="From">Where the scale begins.</param>
/// <param name="To">Where it ends.</param>
/// <param name="Rows">From top to bottom.</param>
/// <param name="Freeze">While the guest stood still; null when it did not.</param>
/// <param name="Deadline">The freeze's deadline while it lasts; null otherwise.</param>
public sealed record Timeline(DateTimeOffset From, DateTimeOffset To, IReadOnlyList<TimelineRow> Rows, Stretch? Freeze, double? Deadline = null)
{
    private static readonly double[] Steps = [1, 2, 5];

    /// <summary>About five marks at round times.</summary>
    public IReadOnlyList<Tick> Ticks
    {
        get
        {
            var length = (To - From).TotalMilliseconds;
            var magnitude = Math.Pow(10, Math.Floor(Math.Log10(length / 4)));
            var step = Steps.Select(s => s * magnitude).Append(10 * magnitude).First(s => length / s <= 6);
            return [.. Enumerable.Range(0, (int)(length / step) + 1).Select(i => new Tick(i * step / length * 100, Said(TimeSpan.FromMilliseconds(i * step), step)))];
        }
    }

    /// <summary>All steps of a run, by the clock of the process; what its hosts observed of the freeze, by theirs.</summary>
    public static Timeline OfSteps(RunDetail detail)
    {
        var run = detail.Run;
        var from = run.Steps.Select(s => s.StartedAt).Append(run.Record.StartedAt).Min();
        var to = Later(from, run.Record.EndedAt ?? (run.Status is RunStatus.Running ? detail.At : from));
        to = run.Steps.Aggregate(to, (latest, s) => s.EndedAt > latest ? s.EndedAt.Value : latest);
        var cuts = run.Evidence?.Cuts.ToDictionary(c => c.Volume) ?? [];
        var attempts = AttemptsByStep(run.Steps, detail.Activities);
        var rows = run.Steps.Select((s, i) =>
        {
            var end = s.EndedAt ?? Later(s.StartedAt, run.Status is RunStatus.Running ? detail.At : to);
            return new TimelineRow(
                s.Step.ToString(), s.Detail, Of(s.StartedAt, end, from, to), s.Step is Step.CreateVolumeSnapshot && s.Volume is { } v && cuts.TryGetValue(v, out var cut) ? At(cut.CutAt, from, to) : null,
                s.Error is not null ? "failed" : s.EndedAt is null ? "open" : s.Step is Step.CreateVolumeSnapshot ? "cut" : "done",
                s.StartedAt - from, s.EndedAt - s.StartedAt, s.Error, attempts[i]);
        }).ToList();
        return new(from, to, rows, FrozenIn(run, detail.At) is { } frozen ? Of(frozen.From, frozen.To, from, to) : null, run.FrozenUntil is { } deadline && deadline < to ? At(deadline, from, to) : null);
    }

    /// <summary>The freeze and the cuts alone, by the clocks of their hosts; null when no volume was cut.</summary>
    public static Timeline? OfCuts(RunNow run)
    {
        if (run.Evidence is not { Cuts: [_, ..] } evidence)
        {
            return null;
        }

        var first = evidence.Cuts.Min(c => c.StartedAt);
        var last = evidence.Cuts.Max(c => c.EndedAt);
        var begins = evidence.FrozenAt is { } f && f < first ? f : first;
        var ends = evidence.ThawedAt is { } t && t > last ? t : last;
        var margin = TimeSpan.FromMilliseconds(Math.Max(2, (ends - begins).TotalMilliseconds * 0.06));
        var (from, to) = (begins - margin, ends + margin);
        Stretch? freeze = evidence is { FrozenAt: { } frozenAt, ThawedAt: { } thawedAt } ? Of(frozenAt, thawedAt, from, to) : null;
        List<TimelineRow> rows = freeze is { } band ? [new("Guest frozen", null, band, null, "freeze", evidence.FrozenAt!.Value - from, evidence.Freeze, null)] : [];
        rows.AddRange(evidence.Cuts.Select(c => new TimelineRow(
            $"Cut {run.DeviceOf(c.Volume)}", null, Of(c.StartedAt, c.EndedAt, from, to), At(c.CutAt, from, to), "cut", c.StartedAt - from, c.EndedAt - c.StartedAt, null)));
        return new(from, to, rows, freeze);
    }

    /// <summary>While the guest stood still: as its host observed it, or else by the steps, which saw it a little later.</summary>
    private static (DateTimeOffset From, DateTimeOffset To)? FrozenIn(RunNow run, DateTimeOffset now)
    {
        if (run.Evidence is { FrozenAt: { } frozen, ThawedAt: { } thawed })
        {
            return (frozen, thawed);
        }

        return run.Steps.FirstOrDefault(s => s is { Step: Step.Quiesce, EndedAt: not null, Error: null }) is { EndedAt: { } from }
            ? (from, Later(from, run.Steps.FirstOrDefault(s => s is { Step: Step.Unquiesce, EndedAt: not null })?.EndedAt ?? run.Record.EndedAt ?? now))
            : null;
    }

    /// <summary>The attempts of the activity that a step is: each kind of activity is asked for in the order of its steps.</summary>
    private static int?[] AttemptsByStep(IReadOnlyList<RunStep> steps, IReadOnlyList<ActivityAttempts>? activities)
    {
        var byName = (activities ?? []).GroupBy(a => a.Name).ToDictionary(g => g.Key, g => new Queue<ActivityAttempts>(g));
        return [.. steps.Select(s => byName.TryGetValue(s.Step.ToString(), out var queue) && queue.TryDequeue(out var activity) ? activity.Attempts : (int?)null)];
    }

    private static Stretch Of(DateTimeOffset begin, DateTimeOffset end, DateTimeOffset from, DateTimeOffset to) => At(begin, from, to) is var x ? new(x, At(end, from, to) - x) : default;

    private static double At(DateTimeOffset time, DateTimeOffset from, DateTimeOffset to) => Math.Clamp((time - from) / (to - from), 0, 1) * 100;

    /// <summary>A scale has a length.</summary>
    private static DateTimeOffset Later(DateTimeOffset from, DateTimeOffset to) => to - from < TimeSpan.FromMilliseconds(1) ? from + TimeSpan.FromMilliseconds(1) : to;

    private static string Said(TimeSpan time, double stepInMilliseconds) => stepInMilliseconds switch
    {
        < 1000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.###} ms"),
        < 60_000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:0.#} min"),
    };
}
