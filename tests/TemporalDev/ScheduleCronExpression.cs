using System.Globalization;
using SnapshotFlow.TemporalDev.Schedules;

namespace SnapshotFlow.Tests.TemporalDev;

public class ScheduleCronExpression
{
    [Theory]
    [InlineData("* * * * *", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z")]
    [InlineData("* * * * *", "2026-03-01T10:00:59.999Z", "2026-03-01T10:01:00Z")]
    [InlineData("*/15 * * * *", "2026-03-01T10:16:00Z", "2026-03-01T10:30:00Z")]
    [InlineData("30/20 * * * *", "2026-03-01T10:31:00Z", "2026-03-01T10:50:00Z")]
    [InlineData("0 12 * * MON", "2026-03-03T00:00:00Z", "2026-03-09T12:00:00Z")]
    [InlineData("0 12 * * mon-fri", "2026-03-06T12:00:00Z", "2026-03-09T12:00:00Z")]
    [InlineData("0 0 * * 7", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z")]
    [InlineData("0 0 * * 5-7", "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z")]
    [InlineData("0 0 1 jan,JULY *", "2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z")]
    [InlineData("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("0 0 31 * *", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z")]
    [InlineData("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z")]
    [InlineData("@hourly", "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")]
    [InlineData("@daily", "2026-02-28T10:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("@midnight", "2026-02-28T10:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("@weekly", "2026-03-02T10:00:00Z", "2026-03-08T00:00:00Z")]
    [InlineData("@monthly", "2026-03-02T10:00:00Z", "2026-04-01T00:00:00Z")]
    [InlineData("@yearly", "2026-03-02T10:00:00Z", "2027-01-01T00:00:00Z")]
    [InlineData("@every 90s", "2026-03-01T10:00:00.7Z", "2026-03-01T10:01:30Z")]
    [InlineData("@every 1h30m", "2026-03-01T10:00:00Z", "2026-03-01T11:30:00Z")]
    [InlineData("CRON_TZ=America/New_York 0 9 * * *", "2026-01-10T15:00:00Z", "2026-01-11T14:00:00Z")]
    [InlineData("TZ=Asia/Kolkata 30 5 * * *", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z")]
    [InlineData("0 5 * * * # every morning", "2026-01-10T06:00:00Z", "2026-01-11T05:00:00Z")]
    public void Next_time_is_the_first_match_strictly_after(string cron, string after, string expected) =>
        Assert.Equal(Time(expected), CronExpression.Parse(cron).Next(Time(after)));

    [Theory] // A day matches when either field does, once both restrict it; a star, even one with a step, does not restrict.
    [InlineData("0 0 13 * FRI", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z")]
    [InlineData("0 0 13 * FRI", "2026-06-12T00:00:00Z", "2026-06-13T00:00:00Z")]
    [InlineData("0 0 */31 * FRI", "2026-03-02T00:00:00Z", "2026-05-01T00:00:00Z")]
    [InlineData("0 0 13 * *", "2026-03-01T00:00:00Z", "2026-03-13T00:00:00Z")]
    public void Day_of_month_and_day_of_week_are_alternatives_when_both_are_restricted(string cron, string after, string expected) =>
        Assert.Equal(Time(expected), CronExpression.Parse(cron).Next(Time(after)));

    [Theory]
    // Berlin 2026-03-29: 02:00 becomes 03:00. A time in the gap does not occur that day.
    [InlineData("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28T02:00:00Z", "2026-03-30T00:30:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin 30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z")]
    // Berlin 2026-10-25: 03:00 becomes 02:00. A time in the repeated hour occurs twice.
    [InlineData("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z")]
    // Santiago sets its clocks forward at midnight: 2026-09-06 begins at 01:00.
    [InlineData("CRON_TZ=America/Santiago 0 0 * * *", "2026-09-05T04:00:00Z", "2026-09-07T03:00:00Z")]
    [InlineData("CRON_TZ=America/Santiago 0 * * * *", "2026-09-06T03:30:00Z", "2026-09-06T04:00:00Z")]
    // … and back at midnight: 2026-04-04 has 23:00 twice.
    [InlineData("CRON_TZ=America/Santiago 30 23 * * *", "2026-04-05T02:30:00Z", "2026-04-05T03:30:00Z")]
    // Lord Howe moves by half an hour: 2026-10-04 02:00 becomes 02:30.
    [InlineData("CRON_TZ=Australia/Lord_Howe 15,45 2 * * *", "2026-10-03T12:00:00Z", "2026-10-03T15:45:00Z")]
    public void Clock_changes_skip_missing_times_and_repeat_doubled_ones(string cron, string after, string expected) =>
        Assert.Equal(Time(expected), CronExpression.Parse(cron).Next(Time(after)));

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("* * * * * *")]
    [InlineData("60 * * * *")]
    [InlineData("* 24 * * *")]
    [InlineData("* * 0 * *")]
    [InlineData("* * * 13 *")]
    [InlineData("* * * * 8")]
    [InlineData("*/0 * * * *")]
    [InlineData("5-1 * * * *")]
    [InlineData("1/2/3 * * * *")]
    [InlineData("a * * * *")]
    [InlineData("@fortnightly")]
    [InlineData("@every")]
    [InlineData("@every soon")]
    [InlineData("@every 1h/5m")]
    [InlineData("TZ=Europe/Berlin")]
    [InlineData("TZ=Nowhere/Town * * * * *")]
    public void Malformed_expressions_are_refused(string cron) => Assert.Throws<FormatException>(() => CronExpression.Parse(cron));

    [Fact]
    public void A_date_that_never_comes_has_no_next_time() => Assert.Null(CronExpression.Parse("0 0 30 2 *").Next(Time("2026-01-01T00:00:00Z")));

    [Theory]
    [InlineData("@every 10s", "2026-01-01T00:00:00.25Z", "2026-01-01T00:00:03Z", 7)]
    [InlineData("@every 10s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z", 0)]
    [InlineData("@every 10s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:33.5Z", 7)]
    [InlineData("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:00:31.2Z", 29)]
    [InlineData("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T02:00:00Z", 0)]
    [InlineData("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T02:00:00.001Z", 60)]
    public void Backoff_runs_from_the_close_to_the_next_time_counted_from_the_start(string cron, string started, string closed, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), CronExpression.Parse(cron).Backoff(Time(started), Time(closed)));

    [Theory] // Against a search that tries every second of the zone's clock.
    [InlineData("Europe/Berlin", "2026-03-28T20:00:00Z")]
    [InlineData("Europe/Berlin", "2026-10-24T20:00:00Z")]
    [InlineData("America/Santiago", "2026-09-05T20:00:00Z")]
    [InlineData("America/Santiago", "2026-04-04T20:00:00Z")]
    [InlineData("Australia/Lord_Howe", "2026-04-04T10:00:00Z")]
    [InlineData("Asia/Kathmandu", "2026-01-01T10:00:00Z")]
    public void Every_next_time_is_the_one_a_search_by_minute_finds(string zone, string from)
    {
        const int hours = 30;
        foreach (var fields in new[] { "0,30 * * * *", "15 0-3 * * *", "45 23 * * *", "0 */2 * * *", "59 1,2 * * *" })
        {
            var cron = CronExpression.Parse($"CRON_TZ={zone} {fields}");
            var expected = new List<DateTimeOffset>();
            var matcher = new CalendarMatcher(CronText.Parse(fields).Calendar!, TimeZoneInfo.FindSystemTimeZoneById(zone));
            for (var minute = 1; minute <= hours * 60; minute++)
            {
                var time = Time(from).AddMinutes(minute);
                if (matcher.Matches(time))
                {
                    expected.Add(time);
                }
            }

            var found = new List<DateTimeOffset>();
            for (var next = cron.Next(Time(from)); next <= Time(from).AddHours(hours); next = cron.Next(next.Value))
            {
                found.Add(next.Value);
            }

            Assert.Equal(expected, found);
        }
    }

    [Theory]
    [InlineData("1h30m", 5400)]
    [InlineData("1.5h", 5400)]
    [InlineData("90s", 90)]
    [InlineData("2d", 172800)]
    [InlineData("-5m", -300)]
    [InlineData("300ms", 0.3)]
    [InlineData("0", 0)]
    public void Durations_are_numbers_with_units(string text, double seconds)
    {
        Assert.True(GoDuration.TryParse(text, out var value));
        Assert.Equal(TimeSpan.FromSeconds(seconds), value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("m")]
    [InlineData("5x")]
    [InlineData("1.2.3s")]
    [InlineData("9999999999999d")]
    public void Other_texts_are_no_durations(string text) => Assert.False(GoDuration.TryParse(text, out _));

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
