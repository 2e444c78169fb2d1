using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// A cron string read into its parts: five fields (minute, hour, day of month, month, day of week), six (+ year) or seven (second first, year last),
/// a shorthand such as <c>@daily</c>, or <c>@every interval[/phase]</c>; optionally <c>TZ=zone</c> or <c>CRON_TZ=zone</c> in front and a <c>#
/// comment</c> behind. Source: temporal.api.schedule.v1.ScheduleSpec, cron_string.
/// </summary>
/// <param name="Calendar">The calendar it means, or null for <c>@every</c>.</param>
/// <param name="Interval">The interval it means, or null for a calendar.</param>
/// <param name="TimeZone">The zone in front, or empty.</param>
/// <param name="FieldCount">How many fields the expression has; 5 for shorthands, 0 for <c>@every</c>.</param>
/// <param name="BothDaysRestricted">Whether neither day of month nor day of week is a star.</param>
public sealed record CronText(StructuredCalendarSpec? Calendar, IntervalSpec? Interval, string TimeZone, int FieldCount, bool BothDaysRestricted)
{
    private const string Every = "@every";

    private static readonly Dictionary<string, string> Shorthands = new(StringComparer.Ordinal)
    {
        ["@yearly"] = "0 0 1 1 *",
        ["@annually"] = "0 0 1 1 *",
        ["@monthly"] = "0 0 1 * *",
        ["@weekly"] = "0 0 * * 0",
        ["@daily"] = "0 0 * * *",
        ["@midnight"] = "0 0 * * *",
        ["@hourly"] = "0 * * * *",
    };

    /// <exception cref="FormatException">The text is no cron string; the message says which part is wrong.</exception>
    public static CronText Parse(string text)
    {
        var hash = text.IndexOf('#', StringComparison.Ordinal);
        var comment = hash < 0 ? "" : text[(hash + 1)..].Trim();
        var rest = (hash < 0 ? text : text[..hash]).Trim();

        var zone = "";
        if (rest.StartsWith("TZ=", StringComparison.Ordinal) || rest.StartsWith("CRON_TZ=", StringComparison.Ordinal))
        {
            var space = rest.IndexOf(' ', StringComparison.Ordinal);
            if (space < 0)
            {
                throw new FormatException($"cron string '{text}' has a time zone but no fields");
            }

            zone = rest[(rest.IndexOf('=', StringComparison.Ordinal) + 1)..space];
            rest = rest[space..].Trim();
        }

        if (rest.StartsWith(Every, StringComparison.Ordinal))
        {
            return new CronText(null, ParseEvery(rest[Every.Length..], text), zone, 0, false);
        }

        var fields = Shorthands.GetValueOrDefault(rest, rest).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length is < 5 or > 7)
        {
            throw new FormatException(
                $"cron string '{text}' has {fields.Length} fields; expected 5, 6 (with year), 7 (with second and year), or a shorthand such as @daily");
        }

        var first = fields.Length == 7 ? 1 : 0;
        var calendar = Calendars.FromText(new CalendarSpec
        {
            Second = fields.Length == 7 ? fields[0] : "0",
            Minute = fields[first],
            Hour = fields[first + 1],
            DayOfMonth = fields[first + 2],
            Month = fields[first + 3],
            DayOfWeek = fields[first + 4],
            Year = fields.Length > 5 ? fields[^1] : "*",
            Comment = comment,
        });
        var bothDays = !CalendarField.IsStar(fields[first + 2]) && !CalendarField.IsStar(fields[first + 4]);
        return new CronText(calendar, null, zone, fields.Length, bothDays);
    }

    private static IntervalSpec ParseEvery(string text, string whole)
    {
        var parts = text.Split('/');
        if (parts.Length > 2 || !GoDuration.TryParse(parts[0], out var interval))
        {
            throw new FormatException($"cron string '{whole}': expected @every <interval>[/<phase>], for example @every 1h30m");
        }

        var phase = TimeSpan.Zero;
        if (parts.Length == 2 && !GoDuration.TryParse(parts[1], out phase))
        {
            throw new FormatException($"cron string '{whole}': '{parts[1]}' is not a phase such as 15m");
        }

        return new IntervalSpec { Interval = interval.ToDuration(), Phase = phase == TimeSpan.Zero ? null : phase.ToDuration() };
    }
}
