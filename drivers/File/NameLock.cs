using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.Drivers.File;

/// <summary>
/// Exclusive use of one name in the back end, across threads and processes. The kernel lets go when the holder dies, so there is no stale lock.
/// </summary>
internal sealed class NameLock : IDisposable
{
    // flock has no wait that can be cancelled, so a taken lock is asked for again; two calls for one name at the same time are rare.
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(5);

    private readonly SafeFileHandle file;
    private readonly string path;

    private NameLock(SafeFileHandle file, string path)
    {
        this.file = file;
        this.path = path;
    }

    /// <summary>Waits until the name is free.</summary>
    public static NameLock Take(FileLayout layout, string name, CancellationToken ct)
    {
        var path = Path.Join(layout.Locks, name);
        while (true)
        {
            ct.ThrowIfCancellationRequested();
            var file = Libc.Open(path, Libc.Create | Libc.ReadWrite, 0x180 /* 0600 */);
            if (Libc.TryLock(file, exclusive: true, path))
            {
                // The holder before us removes the file while it still has the lock: then this lock is on a file that nobody else will find.
                if (Libc.Find(path) is { } named && named.IsSameFile(Libc.Facts(file, path)))
                {
                    return new(file, path);
                }

                file.Dispose();
            }
            else
            {
                file.Dispose();
                Wait(ct);
            }
        }
    }

    /// <summary>Waits before asking again for a lock that somebody else has.</summary>
    public static void Wait(CancellationToken ct)
    {
        ct.WaitHandle.WaitOne(AskAgain);
        ct.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        Libc.Remove(path);
        file.Dispose();
    }
}
