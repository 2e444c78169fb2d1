using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Schedules;
using Temporalio.Api.Schedule.V1;
using Range = Temporalio.Api.Schedule.V1.Range;

namespace SnapshotFlow.Tests.TemporalDev;

public class ScheduleSpecTimes
{
    [Theory]
    [InlineData("""{"interval":[{"interval":"3600s"}]}""", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z 2026-01-01T02:00:00Z")]
    [InlineData("""{"interval":[{"interval":"3600s","phase":"1140s"}]}""", "2026-01-01T00:19:00Z", "2026-01-01T01:19:00Z 2026-01-01T02:19:00Z")]
    [InlineData("""{"interval":[{"interval":"2419200s","phase":"278580s"}]}""", "2022-02-17T00:00:00Z", "2022-02-20T05:23:00Z")] // the protocol's own example
    [InlineData("""{"interval":[{"interval":"60s"},{"interval":"90s"}]}""", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z 2026-01-01T00:01:30Z 2026-01-01T00:02:00Z 2026-01-01T00:03:00Z")]
    [InlineData("""{"cronString":["0 12 * * MON"]}""", "2026-01-01T00:00:00Z", "2026-01-05T12:00:00Z 2026-01-12T12:00:00Z")]
    [InlineData("""{"cronString":["30 0 12 * * MON 2027"]}""", "2026-01-01T00:00:00Z", "2027-01-04T12:00:30Z")]
    [InlineData("""{"cronString":["0 12 29 2 * 2028"]}""", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z -")]
    [InlineData("""{"cronString":["0 0 13 * FRI"]}""", "2026-01-01T00:00:00Z", "2026-02-13T00:00:00Z 2026-03-13T00:00:00Z 2026-11-13T00:00:00Z")] // both day fields must match
    [InlineData("""{"cronString":["@every 2h/15m"]}""", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z 2026-01-01T02:15:00Z")]
    [InlineData("""{"cronString":["@daily"],"timezoneName":"Asia/Tokyo"}""", "2026-01-01T00:00:00Z", "2026-01-01T15:00:00Z 2026-01-02T15:00:00Z")]
    [InlineData("""{"cronString":["CRON_TZ=Asia/Tokyo @daily"]}""", "2026-01-01T00:00:00Z", "2026-01-01T15:00:00Z")]
    [InlineData("""{"calendar":[{"hour":"5,17","dayOfWeek":"tue-thu"}]}""", "2026-01-01T12:00:00Z", "2026-01-01T17:00:00Z 2026-01-06T05:00:00Z")]
    [InlineData("""{"calendar":[{"second":"*/20","minute":"59","hour":"23","month":"dec","dayOfMonth":"31"}]}""", "2026-12-31T23:59:10Z", "2026-12-31T23:59:20Z 2026-12-31T23:59:40Z 2027-12-31T23:59:00Z")]
    [InlineData("""{"calendar":[{"hour":"12"}],"excludeCalendar":[{"hour":"*","dayOfWeek":"sat,sun"}]}""", "2026-01-02T00:00:00Z", "2026-01-02T12:00:00Z 2026-01-05T12:00:00Z")]
    [InlineData("""{"interval":[{"interval":"1s"}],"excludeCalendar":[{"second":"*","minute":"*","hour":"*","year":"2050"}]}""", "2049-12-31T23:59:58Z", "2049-12-31T23:59:59Z 2051-01-01T00:00:00Z")]
    [InlineData("""{"interval":[{"interval":"1s"}],"excludeCalendar":[{"second":"*","minute":"*","hour":"*"}]}""", "2026-01-01T00:00:00Z", "-")]
    [InlineData("""{"interval":[{"interval":"60s"}],"startTime":"2026-03-01T00:00:00Z","endTime":"2026-03-01T00:01:00Z"}""", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z 2026-03-01T00:01:00Z -")]
    [InlineData("""{"calendar":[{}]}""", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z")]
    [InlineData("{}", "2026-01-01T00:00:00Z", "-")]
    public void Times_are_the_union_of_calendars_and_intervals_without_the_excluded_ones(string json, string after, string expected)
    {
        var times = new ScheduleTimes(Canonical(json), "seed");
        var time = Time(after);
        foreach (var text in expected.Split(' '))
        {
            var next = times.Next(time);
            Assert.Equal(text == "-" ? null : Time(text), next?.Nominal);
            Assert.Equal(next?.Nominal, next?.Actual);
            time = next?.Nominal ?? time;
        }
    }

    [Fact]
    public void Structured_calendars_take_ranges_with_steps()
    {
        var spec = new ScheduleSpec
        {
            StructuredCalendar =
            {
                new StructuredCalendarSpec
                {
                    Second = { new Range() },
                    Minute = { new Range { Start = 10, End = 30, Step = 10 } },
                    Hour = { new Range { Start = 8 }, new Range { Start = 20 } },
                    DayOfMonth = { new Range { Start = 1, End = 31 } },
                    Month = { new Range { Start = 1, End = 12, Step = 6 } },
                    DayOfWeek = { new Range { Start = 0, End = 6 } },
                },
            },
        };
        var times = new ScheduleTimes(CanonicalSpec.Of(spec), "seed").Between(Time("2026-01-31T20:10:00Z"), Time("2026-07-01T08:20:00Z"));
        Assert.Equal(
            ["2026-01-31T20:20", "2026-01-31T20:30", "2026-07-01T08:10", "2026-07-01T08:20"],
            times.Select(time => time.Nominal.ToString("yyyy-MM-dd'T'HH:mm", CultureInfo.InvariantCulture)));
    }

    [Fact]
    public void The_canonical_form_has_structured_calendars_and_intervals_only()
    {
        var spec = Canonical("""{"cronString":["CRON_TZ=Europe/Berlin 0 12 * * MON # lunch","@every 1h/5m"],"calendar":[{"year":"2030-2032/2","comment":"c"}]}""");

        Assert.Empty(spec.CronString);
        Assert.Empty(spec.Calendar);
        Assert.Equal("Europe/Berlin", spec.TimezoneName);
        Assert.Equal(Duration.FromTimeSpan(TimeSpan.FromMinutes(5)), Assert.Single(spec.Interval).Phase);
        Assert.Equal(2, spec.StructuredCalendar.Count);
        Assert.Equal([new Range { Start = 2030, End = 2032, Step = 2 }], spec.StructuredCalendar[0].Year);
        var cron = spec.StructuredCalendar[1];
        Assert.Equal("lunch", cron.Comment);
        Assert.Equal([new Range { Start = 0, End = 0, Step = 1 }], cron.Second);
        Assert.Equal([new Range { Start = 1, End = 31, Step = 1 }], cron.DayOfMonth);
        Assert.Equal([new Range { Start = 1, End = 1, Step = 1 }], cron.DayOfWeek);
        Assert.Empty(cron.Year);
        Assert.Equal(spec, CanonicalSpec.Of(spec));
    }

    [Theory]
    [InlineData("""{"interval":[{"interval":"0.5s"}]}""", "too small")]
    [InlineData("""{"interval":[{}]}""", "too small")]
    [InlineData("""{"interval":[{"interval":"10s","phase":"10s"}]}""", "phase")]
    [InlineData("""{"interval":[{"interval":"10s","phase":"-1s"}]}""", "phase")]
    [InlineData("""{"structuredCalendar":[{"hour":[{"start":24}]}]}""", "hour")]
    [InlineData("""{"structuredCalendar":[{"hour":[{"start":5,"end":3}]}]}""", "hour")]
    [InlineData("""{"structuredCalendar":[{"dayOfMonth":[{}]}]}""", "day of month")]
    [InlineData("""{"structuredCalendar":[{"year":[{"start":1999}]}]}""", "year")]
    [InlineData("""{"structuredCalendar":[{"minute":[{"step":-1}]}]}""", "step")]
    [InlineData("""{"cronString":["never"]}""", "fields")]
    [InlineData("""{"cronString":["TZ=Asia/Tokyo @daily"],"timezoneName":"Europe/Berlin"}""", "conflicting time zones")]
    [InlineData("""{"cronString":["TZ=Asia/Tokyo @daily","@hourly"]}""", "conflicting time zones")]
    [InlineData("""{"timezoneName":"Moon/Base"}""", "unknown time zone")]
    [InlineData("""{"timezoneData":"AAAA"}""", "timezone_data")]
    [InlineData("""{"jitter":"-1s"}""", "jitter")]
    public void A_spec_that_makes_no_sense_is_refused(string json, string says) =>
        Assert.Contains(says, Assert.Throws<FormatException>(() => Canonical(json)).Message, StringComparison.Ordinal);

    [Fact]
    public void Jitter_delays_each_time_by_the_same_amount_every_time_and_never_past_the_next()
    {
        var spec = Canonical("""{"interval":[{"interval":"60s"}],"jitter":"3600s"}""");
        var start = Time("2026-01-01T00:00:00Z");
        var times = new ScheduleTimes(spec, "a").Between(start, start.AddDays(1)).ToList();

        Assert.Equal(times, new ScheduleTimes(spec, "a").Between(start, start.AddDays(1)));
        Assert.NotEqual(times, new ScheduleTimes(spec, "b").Between(start, start.AddDays(1)));
        Assert.InRange(times.Count, 1439, 1440);
        Assert.All(times, time => Assert.InRange(time.Actual - time.Nominal, TimeSpan.Zero, TimeSpan.FromSeconds(60)));
        Assert.Contains(times, time => time.Actual - time.Nominal > TimeSpan.FromSeconds(30));
        Assert.Equal(times.OrderBy(time => time.Actual), times);
    }

    [Fact]
    public void A_time_whose_jitter_has_not_passed_is_still_to_come()
    {
        var times = new ScheduleTimes(Canonical("""{"interval":[{"interval":"3600s"}],"jitter":"1800s"}"""), "seed");
        var first = times.Next(Time("2026-01-01T00:00:00Z"))!.Value;
        Assert.True(first.Actual > first.Nominal);
        Assert.Equal(first, times.Next(first.Nominal));
        Assert.Equal(first, times.Next(first.Actual.AddTicks(-1)));
        Assert.True(times.Next(first.Actual)!.Value.Nominal > first.Nominal);
    }

    private static ScheduleSpec Canonical(string json) => CanonicalSpec.Of(JsonParser.Default.Parse<ScheduleSpec>(json));

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
