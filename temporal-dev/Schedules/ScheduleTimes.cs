using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <param name="Nominal">The time that matches the spec.</param>
/// <param name="Actual">The same with jitter: when the action is due.</param>
public readonly record struct ActionTime(DateTimeOffset Nominal, DateTimeOffset Actual);

/// <summary>The set of times that a canonical schedule spec describes: the union of its calendars and intervals, without the excluded times.</summary>
public sealed class ScheduleTimes
{
    /// <summary>How many excluded times in a row are tried before giving up; each step leaves a whole excluded minute, hour or day behind if it can.</summary>
    private const int MaxExcluded = 200_000;

    private readonly ScheduleSpec spec;
    private readonly string seed;
    private readonly List<CalendarMatcher> calendars;
    private readonly List<CalendarMatcher> excluded;
    private readonly TimeSpan jitter;
    private readonly DateTimeOffset? start;
    private readonly DateTimeOffset? end;

    /// <param name="canonical">As <see cref="CanonicalSpec.Of"/> returns it.</param>
    /// <param name="seed">Makes the jitter of one schedule differ from another's; the same seed and time always give the same jitter.</param>
    public ScheduleTimes(ScheduleSpec canonical, string seed)
    {
        spec = canonical;
        this.seed = seed;
        var zone = Calendars.Zone(spec.TimezoneName);
        calendars = [.. spec.StructuredCalendar.Select(calendar => new CalendarMatcher(calendar, zone))];
        excluded = [.. spec.ExcludeStructuredCalendar.Select(calendar => new CalendarMatcher(calendar, zone))];
        jitter = spec.Jitter?.ToTimeSpan() ?? TimeSpan.Zero;
        start = spec.StartTime?.ToDateTimeOffset();
        end = spec.EndTime?.ToDateTimeOffset();
    }

    /// <summary>The first time whose action is due strictly after <paramref name="after"/>, or null when there is none.</summary>
    public ActionTime? Next(DateTimeOffset after)
    {
        // A time that has passed may still be due, by its jitter.
        var search = after - jitter;
        if (start > search)
        {
            search = start.Value.AddTicks(-1);
        }

        for (var tries = 0; tries < MaxExcluded; tries++)
        {
            if (NextMatch(search) is not { } nominal || nominal > end)
            {
                return null;
            }

            if (excluded.Find(calendar => calendar.Matches(nominal)) is { } exclusion)
            {
                search = exclusion.EndOfMatch(nominal).AddTicks(-1);
                continue;
            }

            var actual = nominal + Jitter(nominal);
            if (actual > after)
            {
                return new ActionTime(nominal, actual);
            }

            search = nominal;
        }

        return null;
    }

    /// <summary>The times due in (after, until], at most <paramref name="limit"/> of them.</summary>
    public IEnumerable<ActionTime> Between(DateTimeOffset after, DateTimeOffset until, int limit = int.MaxValue)
    {
        for (var next = Next(after); limit-- > 0 && next is { } time && time.Actual <= until; next = Next(time.Actual))
        {
            yield return time;
        }
    }

    /// <summary>The first match of a calendar or interval strictly after the given time, before exclusion and jitter.</summary>
    private DateTimeOffset? NextMatch(DateTimeOffset after)
    {
        DateTimeOffset? earliest = null;
        foreach (var calendar in calendars)
        {
            if (calendar.Next(after) is { } next && !(next >= earliest))
            {
                earliest = next;
            }
        }

        foreach (var interval in spec.Interval)
        {
            var next = NextOf(interval, after);
            if (!(next >= earliest))
            {
                earliest = next;
            }
        }

        return earliest;
    }

    /// <summary>Intervals count from the epoch, in whole seconds.</summary>
    private static DateTimeOffset NextOf(IntervalSpec interval, DateTimeOffset after)
    {
        var every = interval.Interval.Seconds;
        var phase = interval.Phase?.Seconds ?? 0;
        var steps = Math.DivRem(after.ToUnixTimeSeconds() - phase, every, out var rest);
        return DateTimeOffset.FromUnixTimeSeconds((steps + (rest < 0 ? 0 : 1)) * every + phase);
    }

    /// <summary>Between zero and the spec's jitter, but never up to the next match.</summary>
    private TimeSpan Jitter(DateTimeOffset nominal)
    {
        if (jitter == TimeSpan.Zero)
        {
            return jitter;
        }

        var most = NextMatch(nominal) is { } following && following - nominal < jitter ? following - nominal : jitter;
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{nominal.ToUnixTimeSeconds()}"));
        var fraction = BinaryPrimitives.ReadUInt32BigEndian(hash) / (uint.MaxValue + 1.0);
        return TimeSpan.FromMilliseconds(Math.Floor(most.TotalMilliseconds * fraction));
    }
}
