using System.Globalization;
using Range = Temporalio.Api.Schedule.V1.Range;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// One field of a calendar spec: which values it takes, what an empty text means, and how its text becomes ranges. A text is a comma separated list of
/// <c>*</c>, <c>x</c>, <c>x-z</c>, each optionally followed by <c>/step</c>; <c>x/step</c> runs from x to the greatest value.
/// Source: temporal.api.schedule.v1.CalendarSpec.
/// </summary>
public sealed class CalendarField
{
    private const int MinNameLengthOfMonth = 3;
    private const int MinNameLengthOfDay = 2;

    private readonly string whenEmpty;
    private readonly string[] names;
    private readonly int minNameLength;

    private CalendarField(string name, int min, int max, string whenEmpty, string[]? names = null, int minNameLength = 0)
    {
        Name = name;
        Min = min;
        Max = max;
        this.whenEmpty = whenEmpty;
        this.names = names ?? [];
        this.minNameLength = minNameLength;
    }

    public static CalendarField Second { get; } = new("second", 0, 59, "0");

    public static CalendarField Minute { get; } = new("minute", 0, 59, "0");

    public static CalendarField Hour { get; } = new("hour", 0, 23, "0");

    public static CalendarField DayOfMonth { get; } = new("day of month", 1, 31, "*");

    public static CalendarField Month { get; } = new(
        "month", 1, 12, "*",
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"], MinNameLengthOfMonth);

    /// <summary>Years the official server searches: 2000 to 2100. No range at all means every year.</summary>
    public static CalendarField Year { get; } = new("year", 2000, 2100, "*");

    /// <summary>0 is Sunday; text may also say 7 for Sunday.</summary>
    public static CalendarField DayOfWeek { get; } = new(
        "day of week", 0, 6, "*", ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"], MinNameLengthOfDay);

    public string Name { get; }

    public int Min { get; }

    public int Max { get; }

    /// <summary>True for a text that restricts nothing, or only by a step: what cron calls a star.</summary>
    public static bool IsStar(string text) => text.StartsWith('*') || text.StartsWith('?');

    /// <exception cref="FormatException">The text is malformed or a value is out of range.</exception>
    public IReadOnlyList<Range> Parse(string text)
    {
        var effective = string.IsNullOrWhiteSpace(text) ? whenEmpty : text.Trim();
        if (ReferenceEquals(this, Year) && effective == "*")
        {
            return [];
        }

        var ranges = new List<Range>();
        foreach (var part in effective.Split(','))
        {
            AddRange(ranges, part.Trim(), text);
        }

        return ranges;
    }

    /// <summary>Checks ranges a caller gave as numbers and writes out their defaults: an end of 0 is the start, a step of 0 is 1.</summary>
    /// <exception cref="FormatException">A range lies outside the field.</exception>
    public void Normalise(IEnumerable<Range> ranges)
    {
        foreach (var range in ranges)
        {
            if (range.Start < Min || range.Start > Max)
            {
                throw new FormatException($"{Name}: start {range.Start} is not in the range {Min}-{Max}");
            }

            if (range.End != 0 && (range.End < range.Start || range.End > Max))
            {
                throw new FormatException($"{Name}: end {range.End} is before the start or not in the range {Min}-{Max}");
            }

            if (range.Step < 0)
            {
                throw new FormatException($"{Name}: step {range.Step} is negative");
            }

            range.End = Math.Max(range.Start, range.End);
            range.Step = Math.Max(1, range.Step);
        }
    }

    private void AddRange(List<Range> ranges, string part, string text)
    {
        var pieces = part.Split('/');
        var step = 1;
        if (pieces.Length > 2 || (pieces.Length == 2 && (!TryNumber(pieces[1], out step) || step < 1)))
        {
            throw Malformed(text);
        }

        var sundayIsSeven = ReferenceEquals(this, DayOfWeek);
        int start, end;
        if (pieces[0] is "*" or "?")
        {
            (start, end) = (Min, Max);
        }
        else if (pieces[0].Split('-') is [var from, var to])
        {
            start = Value(from, text);
            end = Value(to, text);
            if (end < start)
            {
                throw new FormatException($"{Name} '{text}': the range {part} ends before it starts");
            }
        }
        else
        {
            start = Value(pieces[0], text);
            end = pieces.Length == 2 ? Max : start;
        }

        if (sundayIsSeven && end > Max)
        {
            if (start <= Max)
            {
                ranges.Add(new Range { Start = start, End = Max, Step = step });
            }

            if ((end - start) % step == 0)
            {
                ranges.Add(new Range { Start = 0, End = 0, Step = 1 });
            }

            return;
        }

        ranges.Add(new Range { Start = start, End = end, Step = step });
    }

    private int Value(string word, string text)
    {
        if (word.Length >= minNameLength && minNameLength > 0)
        {
            var index = Array.FindIndex(names, name => name.StartsWith(word, StringComparison.OrdinalIgnoreCase));
            if (index >= 0)
            {
                return index + Min;
            }
        }

        if (!TryNumber(word, out var value))
        {
            throw Malformed(text);
        }

        var max = ReferenceEquals(this, DayOfWeek) ? Max + 1 : Max;
        return value >= Min && value <= max ? value : throw new FormatException($"{Name} '{text}': {value} is not in the range {Min}-{Max}");
    }

    private FormatException Malformed(string text) =>
        new($"{Name} '{text}' is malformed: expected *, a value, a range x-z or a list of these, each optionally with /step");

    private static bool TryNumber(string text, out int value) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
