using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// The form in which a schedule spec is kept and described: texts (calendars, cron strings) become structured calendars or intervals, ranges have
/// their defaults written out, a zone named in a cron string becomes the spec's.
/// </summary>
public static class CanonicalSpec
{
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(1);

    /// <returns>A new spec; the given one is not changed.</returns>
    /// <exception cref="FormatException">A part is malformed, contradictory or not supported.</exception>
    public static ScheduleSpec Of(ScheduleSpec? given)
    {
        var spec = given?.Clone() ?? new ScheduleSpec();
        if (!spec.TimezoneData.IsEmpty)
        {
            throw new FormatException("timezone_data is not supported; give timezone_name");
        }

        spec.StructuredCalendar.AddRange(spec.Calendar.Select(Calendars.FromText));
        spec.Calendar.Clear();
#pragma warning disable CS0612 // Clients still send the old field; it means the new one.
        spec.ExcludeStructuredCalendar.AddRange(spec.ExcludeCalendar.Select(Calendars.FromText));
        spec.ExcludeCalendar.Clear();
#pragma warning restore CS0612
        AddCronStrings(spec);

        foreach (var calendar in spec.StructuredCalendar.Concat(spec.ExcludeStructuredCalendar))
        {
            Calendars.Normalise(calendar);
        }

        foreach (var interval in spec.Interval)
        {
            Check(interval);
        }

        if (spec.Jitter?.ToTimeSpan() < TimeSpan.Zero)
        {
            throw new FormatException("jitter is negative");
        }

        Calendars.Zone(spec.TimezoneName);
        return spec;
    }

    private static void AddCronStrings(ScheduleSpec spec)
    {
        var zones = new HashSet<string>(StringComparer.Ordinal);
        foreach (var cron in spec.CronString.Select(CronText.Parse))
        {
            if (cron.Calendar is not null)
            {
                spec.StructuredCalendar.Add(cron.Calendar);
                zones.Add(cron.TimeZone);
            }
            else
            {
                spec.Interval.Add(cron.Interval);
            }
        }

        spec.CronString.Clear();
        if (zones.Count > 1)
        {
            throw new FormatException($"conflicting time zones in cron strings: {string.Join(", ", zones.Select(zone => zone.Length == 0 ? "none" : zone))}");
        }

        if (zones.SingleOrDefault() is { Length: > 0 } named)
        {
            spec.TimezoneName = spec.TimezoneName.Length == 0 || spec.TimezoneName == named
                ? named
                : throw new FormatException($"conflicting time zones: the cron string says {named}, the spec says {spec.TimezoneName}");
        }
    }

    private static void Check(IntervalSpec interval)
    {
        var every = interval.Interval?.ToTimeSpan() ?? TimeSpan.Zero;
        var phase = interval.Phase?.ToTimeSpan() ?? TimeSpan.Zero;
        if (every < MinInterval)
        {
            throw new FormatException($"interval {every} is too small; the least is {MinInterval}");
        }

        if (phase < TimeSpan.Zero || phase >= every)
        {
            throw new FormatException($"phase {phase} must not be negative and must be less than the interval {every}");
        }
    }
}
