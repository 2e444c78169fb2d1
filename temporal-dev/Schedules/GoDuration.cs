using System.Globalization;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// Durations as Temporal's users write them: a sequence of decimal numbers with unit suffixes, such as <c>1h30m</c>, <c>1.5h</c>, <c>300ms</c> or <c>2d</c>.
/// Source: Go's time.ParseDuration, plus the unit <c>d</c> (24 hours) that Temporal adds.
/// </summary>
public static class GoDuration
{
    private static readonly (string Unit, decimal Ticks)[] Units =
    [
        ("ns", 0.01m), ("us", 10m), ("µs", 10m), ("μs", 10m), ("ms", TimeSpan.TicksPerMillisecond), ("s", TimeSpan.TicksPerSecond),
        ("m", TimeSpan.TicksPerMinute), ("h", TimeSpan.TicksPerHour), ("d", TimeSpan.TicksPerDay),
    ];

    /// <summary>Reads a duration; parts below 100 ns are dropped. A number without a unit is only accepted when it is zero.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan value)
    {
        value = default;
        var rest = text.Trim();
        var negative = rest.StartsWith("-");
        if (negative || rest.StartsWith("+"))
        {
            rest = rest[1..];
        }

        if (rest is "0")
        {
            return true;
        }

        var ticks = 0m;
        if (rest.IsEmpty)
        {
            return false;
        }

        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0 || !decimal.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            rest = rest[digits..];
            var letters = rest.IndexOfAny("0123456789.");
            var unit = letters < 0 ? rest : rest[..letters];
            if (!TryUnit(unit, out var factor) || number > long.MaxValue / factor)
            {
                return false;
            }

            ticks += number * factor;
            rest = rest[unit.Length..];
        }

        if (ticks > long.MaxValue)
        {
            return false;
        }

        value = TimeSpan.FromTicks((long)(negative ? -ticks : ticks));
        return true;
    }

    private static bool TryUnit(ReadOnlySpan<char> unit, out decimal factor)
    {
        foreach (var (name, ticks) in Units)
        {
            if (unit.SequenceEqual(name))
            {
                factor = ticks;
                return true;
            }
        }

        factor = 0;
        return false;
    }
}
