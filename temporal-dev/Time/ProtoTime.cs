namespace SnapshotFlow.TemporalDev.Time;

/// <summary>Conversions between the wire's time messages and .NET times.</summary>
internal static class ProtoTime
{
    public static Timestamp Stamp(DateTimeOffset time) => Timestamp.FromDateTimeOffset(time);

    public static Timestamp? StampOrNull(DateTimeOffset? time) => time is { } t ? Timestamp.FromDateTimeOffset(t) : null;

    public static DateTimeOffset Instant(Timestamp time) => time.ToDateTimeOffset();

    public static DateTimeOffset? InstantOrNull(Timestamp? time) => time?.ToDateTimeOffset();

    public static Duration Length(TimeSpan span) => Duration.FromTimeSpan(span);

    /// <summary>The length of an optional duration; an absent one is zero, which the protocol reads as "not set".</summary>
    public static TimeSpan Span(Duration? duration) => duration?.ToTimeSpan() ?? TimeSpan.Zero;

    public static bool IsSet(Duration? duration) => duration is not null && (duration.Seconds > 0 || duration.Nanos > 0);

    /// <summary>Adds without overflowing: a timeout of thousands of years simply never comes.</summary>
    public static DateTimeOffset Later(DateTimeOffset from, TimeSpan span) =>
        span > DateTimeOffset.MaxValue - from ? DateTimeOffset.MaxValue : from + span;
}
