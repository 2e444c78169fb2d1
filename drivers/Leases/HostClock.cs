using SnapshotFlow.Drivers.File;
using IOFile = System.IO.File;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// A moment on one host that no change of its wall clock moves, comparable between all processes of that host.
/// </summary>
/// <param name="Boot">The run of the kernel that counts. Moments of two boots cannot be compared. Source: Linux, <c>/proc/sys/kernel/random/boot_id</c>.</param>
/// <param name="Milliseconds">Milliseconds since that boot, time asleep included. Source: Linux, <c>CLOCK_BOOTTIME</c>.</param>
public readonly record struct HostInstant(string Boot, long Milliseconds)
{
    /// <summary>This much later on the same boot; a part of a millisecond counts as nothing.</summary>
    public HostInstant Plus(TimeSpan span) => this with { Milliseconds = Milliseconds + (long)span.TotalMilliseconds };

    /// <summary>
    /// How long it is from here to <paramref name="deadline"/>; zero or less when it has passed. A deadline of another boot has passed long ago: what it was for
    /// did not survive the restart.
    /// </summary>
    public TimeSpan Until(HostInstant deadline) =>
        deadline.Boot == Boot ? TimeSpan.FromMilliseconds(deadline.Milliseconds - Milliseconds) : TimeSpan.FromDays(-1);
}

/// <summary>The two clocks of a host: one for decisions, one for people.</summary>
public interface IHostClock
{
    /// <summary>For decisions.</summary>
    HostInstant Now { get; }

    /// <summary>For people: the wall clock, which somebody may set.</summary>
    DateTimeOffset UtcNow { get; }
}

/// <summary>The clocks of this Linux host.</summary>
public sealed class LinuxHostClock(TimeProvider time) : IHostClock
{
    private readonly string boot = IOFile.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <inheritdoc/>
    public HostInstant Now => new(boot, Libc.MillisecondsSinceBoot());

    /// <inheritdoc/>
    public DateTimeOffset UtcNow => time.GetUtcNow();
}
