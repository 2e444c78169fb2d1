using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using SnapshotFlow.Drivers.File;
using IOFile = System.IO.File;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>What a guard says of itself, ten times a second.</summary>
/// <param name="At">When it said so.</param>
/// <param name="Process">The guard.</param>
/// <param name="Open">How many leases are open.</param>
/// <param name="Overdue">How many guests are past their deadline by more than <see cref="FreezeGuard.Promise"/> without a confirmed thaw.</param>
/// <param name="Unreadable">How many files in <c>open/</c> are no leases.</param>
public sealed record GuardStatus(HostInstant At, ProcessIdentity Process, int Open, int Overdue, int Unreadable);

/// <summary>
/// The guard's sign of life: a file that it rewrites every <see cref="Interval"/>. It is written by the same loop that looks at the leases, so it is fresh only
/// while that loop runs; it needs no space that it does not have already and no flush, since it is worth nothing after a restart.
/// </summary>
public sealed class GuardHeartbeat : IDisposable
{
    /// <summary>Time between two signs of life.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>A sign of life older than this is none.</summary>
    public static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(1);

    // A fixed size, so that each writing replaces the one before as a whole.
    private const int Bytes = 512;

    private readonly SafeFileHandle lockFile;
    private readonly string path;

    private GuardHeartbeat(SafeFileHandle lockFile, string path)
    {
        this.lockFile = lockFile;
        this.path = path;
    }

    /// <summary>
    /// Becomes the one guard of a directory; null while another process is. The kernel lets go when that process dies.
    /// </summary>
    /// <exception cref="IOException">The directory cannot be written to.</exception>
    public static GuardHeartbeat? TryTake(FreezeLeaseDirectory leases)
    {
        var path = Path.Combine(leases.Root, "guard.lock");
        try
        {
            var lockFile = Libc.Open(path, Libc.Create | Libc.ReadWrite, 0x180 /* 0600 */);
            if (Libc.TryLock(lockFile, exclusive: true, path))
            {
                return new(lockFile, PathIn(leases));
            }

            lockFile.Dispose();
            return null;
        }
        catch (ErrnoException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>What the guard said last; null when there is none, or it cannot be read.</summary>
    public static GuardStatus? Read(FreezeLeaseDirectory leases)
    {
        try
        {
            return JsonSerializer.Deserialize<GuardStatus>(IOFile.ReadAllBytes(PathIn(leases)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Why no guest may be frozen here; null when a guard is alive.</summary>
    public static string? Doubt(FreezeLeaseDirectory leases, IHostClock clock)
    {
        const string advice = "start snapshotflow-guard on it";
        if (Read(leases) is not { } last)
        {
            return $"no live guard on this host: there is no '{PathIn(leases)}'; {advice}";
        }

        // After the reading: a sign of life that is given meanwhile is not of the future.
        var now = clock.Now;
        var age = last.At.Until(now);
        return last.At.Boot != now.Boot ? $"no live guard on this host: none has been started since the host was; {advice}"
            : age < TimeSpan.Zero || age > FreshFor ? $"no live guard on this host: its last sign of life is {age.TotalSeconds:0.0} s old; {advice}"
            : null;
    }

    /// <summary>Says that the guard is alive.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public void Beat(GuardStatus status)
    {
        var bytes = new byte[Bytes];
        bytes.AsSpan().Fill((byte)' ');
        JsonSerializer.SerializeToUtf8Bytes(status).CopyTo(bytes.AsSpan());
        bytes[^1] = (byte)'\n';
        try
        {
            // Opened each time: a file that somebody has removed comes back.
            using var file = Libc.Open(path, Libc.Create | Libc.ReadWrite, 0x180 /* 0600 */);
            Libc.Write(file, bytes, 0, path);
        }
        catch (ErrnoException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Takes the sign of life away, so that from now on no guest is frozen; goes on being the one guard.</summary>
    /// <exception cref="IOException">It could not be removed.</exception>
    public void Withdraw() => System.IO.File.Delete(path);

    /// <summary>Lets another process be the guard.</summary>
    public void Dispose() => lockFile.Dispose();

    private static string PathIn(FreezeLeaseDirectory leases) => Path.Combine(leases.Root, "guard.json");
}
