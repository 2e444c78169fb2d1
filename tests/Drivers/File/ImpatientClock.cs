namespace SnapshotFlow.Tests.Drivers.File;

/// <summary>The right time of day, but a second passes between any two looks at the stopwatch, so that progress is reported at every step.</summary>
internal sealed class ImpatientClock : TimeProvider
{
    private long now;

    public override long TimestampFrequency => 1;

    public override long GetTimestamp() => Interlocked.Increment(ref now);
}
