using System.Numerics;
using Temporalio.Api.Schedule.V1;
using Range = Temporalio.Api.Schedule.V1.Range;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// A calendar spec compiled for searching. Clock times are matched literally: a time that a daylight-saving change skips does not occur on that day,
/// one that it repeats occurs twice. Resolution is one second. Source: temporal.api.schedule.v1.ScheduleSpec, timezone_name.
/// </summary>
public sealed class CalendarMatcher
{
    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    private readonly ulong seconds;
    private readonly ulong minutes;
    private readonly ulong hours;
    private readonly ulong daysOfMonth;
    private readonly ulong months;
    private readonly ulong daysOfWeek;
    private readonly HashSet<int>? years;
    private readonly TimeZoneInfo zone;
    private readonly bool eitherDayField;

    /// <param name="calendar">Ranges per field; no year range means every year, no range in another field matches nothing.</param>
    /// <param name="zone">The zone whose clock the fields describe.</param>
    /// <param name="eitherDayField">True: a day matches when day of month <i>or</i> day of week does (cron); false: both must (schedules).</param>
    public CalendarMatcher(StructuredCalendarSpec calendar, TimeZoneInfo zone, bool eitherDayField = false)
    {
        seconds = Bits(calendar.Second);
        minutes = Bits(calendar.Minute);
        hours = Bits(calendar.Hour);
        daysOfMonth = Bits(calendar.DayOfMonth);
        months = Bits(calendar.Month);
        daysOfWeek = Bits(calendar.DayOfWeek);
        years = calendar.Year.Count == 0 ? null : [.. calendar.Year.SelectMany(Values)];
        this.zone = zone;
        this.eitherDayField = eitherDayField;
    }

    /// <summary>Whether the second that contains <paramref name="time"/> matches every field.</summary>
    public bool Matches(DateTimeOffset time)
    {
        var local = Local(time);
        return MatchesDay(DateOnly.FromDateTime(local)) && Has(hours, local.Hour) && Has(minutes, local.Minute) && Has(seconds, local.Second);
    }

    /// <summary>The earliest matching time strictly after <paramref name="after"/>, or null when there is none up to the year 2100.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        // Invariant: every matching time before the cursor is not after the given one. Within a stretch of constant offset the local clock is linear.
        var cursor = DateTimeOffset.FromUnixTimeSeconds(after.ToUnixTimeSeconds()) + OneSecond;
        while (true)
        {
            var offset = zone.GetUtcOffset(cursor);
            var local = Local(cursor);
            var day = DateOnly.FromDateTime(local);
            if (MatchesDay(day) && FirstTimeOfDay(local.TimeOfDay) is { } time)
            {
                var candidate = new DateTimeOffset(day.ToDateTime(TimeOnly.MinValue) + time, offset).ToUniversalTime();
                if (zone.GetUtcOffset(candidate) == offset)
                {
                    return candidate;
                }

                cursor = OffsetChange(cursor, candidate);
                continue;
            }

            var endOfDay = new DateTimeOffset(day.AddDays(1).ToDateTime(TimeOnly.MinValue), offset).ToUniversalTime();
            if (zone.GetUtcOffset(endOfDay) != offset)
            {
                // Clocks change before this day ends: set back, they show times of it once more.
                cursor = OffsetChange(cursor, endOfDay);
                continue;
            }

            if (NextDay(day.AddDays(1)) is not { } next)
            {
                return null;
            }

            cursor = StartOfDay(next, offset);
        }
    }

    /// <summary>
    /// A time up to which everything from the matching <paramref name="time"/> on matches too: the end of its day, hour, minute or second, whichever
    /// is the longest that the fields cover entirely.
    /// </summary>
    public DateTimeOffset EndOfMatch(DateTimeOffset time)
    {
        const ulong AllSixty = (1UL << 60) - 1;
        const ulong AllDay = (1UL << 24) - 1;
        var local = Local(time);
        var left = seconds != AllSixty ? OneSecond
            : minutes != AllSixty ? TimeSpan.FromSeconds(60 - local.Second)
            : hours != AllDay ? TimeSpan.FromSeconds(3600 - (local.Minute * 60) - local.Second)
            : TimeSpan.FromDays(1) - local.TimeOfDay;

        // Where clocks change on the way, the local clock does not tell how long it is: go second by second there.
        return zone.GetUtcOffset(time) == zone.GetUtcOffset(time + left) ? time + left : time + OneSecond;
    }

    /// <summary>
    /// A place to go on searching for <paramref name="day"/>, given the offset in force before it: its first instant, or a little earlier when clocks
    /// were set back in between (the rest of the day before is then searched once more, which is right: its last hour repeats).
    /// </summary>
    private DateTimeOffset StartOfDay(DateOnly day, TimeSpan offsetBefore)
    {
        var midnight = new DateTimeOffset(day.ToDateTime(TimeOnly.MinValue), offsetBefore).ToUniversalTime();
        var offset = zone.GetUtcOffset(midnight);
        if (offset <= offsetBefore)
        {
            return midnight;
        }

        var earlier = midnight - (offset - offsetBefore);
        return zone.GetUtcOffset(earlier) == offset ? earlier : OffsetChange(earlier, midnight);
    }

    /// <summary>The first instant in (from, to] whose offset is not that of <paramref name="from"/>.</summary>
    private DateTimeOffset OffsetChange(DateTimeOffset from, DateTimeOffset to)
    {
        var before = zone.GetUtcOffset(from);
        while (to - from > OneSecond)
        {
            var middle = from + TimeSpan.FromSeconds(Math.Floor((to - from).TotalSeconds / 2));
            if (zone.GetUtcOffset(middle) == before)
            {
                from = middle;
            }
            else
            {
                to = middle;
            }
        }

        return to;
    }

    private bool MatchesDay(DateOnly day)
    {
        if (!Has(months, day.Month) || years?.Contains(day.Year) == false)
        {
            return false;
        }

        var byMonth = Has(daysOfMonth, day.Day);
        var byWeek = Has(daysOfWeek, (int)day.DayOfWeek);
        return eitherDayField ? byMonth || byWeek : byMonth && byWeek;
    }

    private DateOnly? NextDay(DateOnly day)
    {
        while (day.Year <= CalendarField.Year.Max)
        {
            if (years?.Contains(day.Year) == false)
            {
                day = new DateOnly(day.Year + 1, 1, 1);
            }
            else if (!Has(months, day.Month))
            {
                day = new DateOnly(day.Year, day.Month, 1).AddMonths(1);
            }
            else if (MatchesDay(day))
            {
                return day;
            }
            else
            {
                day = day.AddDays(1);
            }
        }

        return null;
    }

    private TimeSpan? FirstTimeOfDay(TimeSpan from)
    {
        for (var hour = NextBit(hours, from.Hours); hour >= 0; hour = NextBit(hours, hour + 1))
        {
            var sameHour = hour == from.Hours;
            for (var minute = NextBit(minutes, sameHour ? from.Minutes : 0); minute >= 0; minute = NextBit(minutes, minute + 1))
            {
                var second = NextBit(seconds, sameHour && minute == from.Minutes ? from.Seconds : 0);
                if (second >= 0)
                {
                    return new TimeSpan(hour, minute, second);
                }
            }
        }

        return null;
    }

    private DateTime Local(DateTimeOffset time) => TimeZoneInfo.ConvertTime(time, zone).DateTime;

    private static bool Has(ulong bits, int value) => (bits >> value & 1) != 0;

    private static int NextBit(ulong bits, int from)
    {
        var rest = from > 63 ? 0 : bits >> from << from;
        return rest == 0 ? -1 : BitOperations.TrailingZeroCount(rest);
    }

    private static ulong Bits(IEnumerable<Range> ranges) => ranges.SelectMany(Values).Aggregate(0UL, (bits, value) => bits | 1UL << value);

    private static IEnumerable<int> Values(Range range)
    {
        for (var value = range.Start; value <= Math.Max(range.Start, range.End); value += Math.Max(1, range.Step))
        {
            yield return value;
        }
    }
}
