namespace SnapshotFlow.TemporalDev.Matching;

/// <summary>A token bucket: at most so many tasks a second from one queue, in bursts of at most one second's worth. Not thread-safe.</summary>
internal sealed class RateLimit(TimeProvider time)
{
    private double tokens;
    private long lastRefill = time.GetTimestamp();

    /// <summary>Tasks per second; null is unlimited, and zero lets nothing through.</summary>
    public double? PerSecond { get; private set; }

    public void Set(double perSecond)
    {
        if (PerSecond == perSecond)
        {
            return;
        }

        PerSecond = perSecond;
        tokens = Math.Max(1, perSecond);
        lastRefill = time.GetTimestamp();
    }

    public TimeSpan TimeUntilNext()
    {
        if (PerSecond is not { } rate)
        {
            return TimeSpan.Zero;
        }

        if (rate <= 0)
        {
            return TimeSpan.FromMinutes(1);
        }

        tokens = Math.Min(Math.Max(1, rate), tokens + time.GetElapsedTime(lastRefill).TotalSeconds * rate);
        lastRefill = time.GetTimestamp();
        // A timer may not wait for less than a millisecond, and a token nearly full is full.
        return tokens >= 0.999 ? TimeSpan.Zero : TimeSpan.FromSeconds(Math.Max(0.001, (1 - tokens) / rate));
    }

    public void Take()
    {
        if (PerSecond is not null)
        {
            tokens -= 1;
        }
    }
}
