namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// The cron schedule of a workflow (<c>cron_schedule</c>): five fields (minute, hour, day of month, month, day of week), a shorthand such as
/// <c>@hourly</c>, or <c>@every 90s</c>, optionally after <c>CRON_TZ=zone</c>. Unlike in a schedule, a day matches when either day field does if both
/// are restricted, and <c>@every</c> counts from the previous start, not from the epoch. Source: the standard parser of robfig/cron v3, which the
/// official server uses.
/// </summary>
public sealed class CronExpression
{
    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    private readonly CalendarMatcher? calendar;
    private readonly TimeSpan every;

    private CronExpression(string text, CalendarMatcher? calendar, TimeSpan every)
    {
        Text = text;
        this.calendar = calendar;
        this.every = every;
    }

    /// <summary>The expression as given.</summary>
    public string Text { get; }

    /// <exception cref="FormatException">The text is not a workflow cron schedule; the message says which part is wrong.</exception>
    public static CronExpression Parse(string text)
    {
        var cron = CronText.Parse(text);
        if (cron.Calendar is not null)
        {
            return cron.FieldCount == 5
                ? new CronExpression(text, new CalendarMatcher(cron.Calendar, Calendars.Zone(cron.TimeZone), cron.BothDaysRestricted), default)
                : throw new FormatException(
                    $"cron schedule '{text}' has {cron.FieldCount} fields; a workflow's cron schedule has 5: minute, hour, day of month, month, day of week");
        }

        if (cron.Interval!.Phase is not null)
        {
            throw new FormatException($"cron schedule '{text}': a workflow's @every takes no phase");
        }

        var every = TimeSpan.FromSeconds(Math.Floor(cron.Interval.Interval.ToTimeSpan().TotalSeconds));
        return new CronExpression(text, null, every < OneSecond ? OneSecond : every);
    }

    /// <summary>The first time strictly after <paramref name="after"/>, on a whole second, or null when it never comes.</summary>
    public DateTimeOffset? Next(DateTimeOffset after) =>
        calendar is null ? WholeSecond(after) + every : calendar.Next(after);

    /// <summary>
    /// How long the next run waits: from the close of a run that started at <paramref name="started"/> to the first time of the schedule, counted
    /// from that start, that is not before the close. Rounded up to whole seconds. Null when there is no next time.
    /// </summary>
    public TimeSpan? Backoff(DateTimeOffset started, DateTimeOffset closed)
    {
        if (closed < started)
        {
            closed = started;
        }

        var next = Next(started);
        if (next < closed)
        {
            // The last whole second before the close is the latest start of search that cannot miss a time at the close itself.
            next = calendar is null
                ? next + every * Math.Ceiling((closed - next.Value) / every)
                : calendar.Next(closed - TimeSpan.FromTicks(1));
        }

        return next is null ? null : TimeSpan.FromSeconds(Math.Ceiling((next.Value - closed).TotalSeconds));
    }

    private static DateTimeOffset WholeSecond(DateTimeOffset time) => DateTimeOffset.FromUnixTimeSeconds(time.ToUnixTimeSeconds());
}
