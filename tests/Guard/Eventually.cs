using System.Diagnostics;

namespace SnapshotFlow.Tests.Guard;

/// <summary>Waiting for a condition, with a deadline.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    public static async Task IsAsync(string what, Func<bool> condition, CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(Interval);
        while (!condition())
        {
            Assert.True(watch.Elapsed < Deadline, $"waited {Deadline.TotalSeconds:0} s in vain until {what}");
            await timer.WaitForNextTickAsync(ct);
        }
    }

    /// <summary>Waits until the host's clock has passed an instant; nothing else can be waited for when nothing shall happen.</summary>
    public static Task PassedAsync(SnapshotFlow.Drivers.Leases.HostInstant instant, SnapshotFlow.Drivers.Leases.IHostClock clock, CancellationToken ct) =>
        IsAsync($"the clock passed {instant}", () => clock.Now.Until(instant) <= TimeSpan.Zero, ct);
}
