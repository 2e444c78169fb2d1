using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>Brings calendar specs into their structured, checked form.</summary>
public static class Calendars
{
    /// <summary>Longest comment of a calendar, in characters. Source: Temporal server, schedule spec limits.</summary>
    private const int MaxCommentLength = 200;

    /// <exception cref="FormatException">A field is malformed.</exception>
    public static StructuredCalendarSpec FromText(CalendarSpec text)
    {
        var calendar = new StructuredCalendarSpec { Comment = text.Comment };
        calendar.Second.AddRange(CalendarField.Second.Parse(text.Second));
        calendar.Minute.AddRange(CalendarField.Minute.Parse(text.Minute));
        calendar.Hour.AddRange(CalendarField.Hour.Parse(text.Hour));
        calendar.DayOfMonth.AddRange(CalendarField.DayOfMonth.Parse(text.DayOfMonth));
        calendar.Month.AddRange(CalendarField.Month.Parse(text.Month));
        calendar.Year.AddRange(CalendarField.Year.Parse(text.Year));
        calendar.DayOfWeek.AddRange(CalendarField.DayOfWeek.Parse(text.DayOfWeek));
        return calendar;
    }

    /// <summary>Checks every range and writes out its defaults, in place.</summary>
    /// <exception cref="FormatException">A range lies outside its field, or the comment is too long.</exception>
    public static void Normalise(StructuredCalendarSpec calendar)
    {
        CalendarField.Second.Normalise(calendar.Second);
        CalendarField.Minute.Normalise(calendar.Minute);
        CalendarField.Hour.Normalise(calendar.Hour);
        CalendarField.DayOfMonth.Normalise(calendar.DayOfMonth);
        CalendarField.Month.Normalise(calendar.Month);
        CalendarField.Year.Normalise(calendar.Year);
        CalendarField.DayOfWeek.Normalise(calendar.DayOfWeek);
        if (calendar.Comment.Length > MaxCommentLength)
        {
            throw new FormatException($"a calendar comment may have {MaxCommentLength} characters, this one has {calendar.Comment.Length}");
        }
    }

    /// <exception cref="FormatException">The machine's time zone database has no such zone.</exception>
    public static TimeZoneInfo Zone(string name)
    {
        if (name is "" or "UTC")
        {
            return TimeZoneInfo.Utc;
        }

        return TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone)
            ? zone
            : throw new FormatException($"unknown time zone '{name}'; use a name of the IANA time zone database, such as Europe/Berlin");
    }
}
