using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.Drivers.File;

/// <summary>Gives one file the bytes of another: shared blocks where the file system can, else a copy that leaves holes as holes.</summary>
internal static class FileCopy
{
    // Between two looks at the cancellation token.
    private const long StepBytes = 8 << 20;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Fills the empty file <paramref name="to"/>; returns when its bytes are fixed, not yet durable.</summary>
    public static void Fill(SafeFileHandle from, SafeFileHandle to, string path, IProgress<DriverProgress>? progress, TimeProvider time, CancellationToken ct)
    {
        if (Libc.TryReflink(from, to, path))
        {
            return;
        }

        var size = Libc.Facts(from, path).SizeBytes;
        Libc.Resize(to, size, path);
        var reported = time.GetTimestamp();
        for (long at = 0; Libc.Seek(from, at, Libc.SeekData, path) is { } data && data < size;)
        {
            ct.ThrowIfCancellationRequested();
            at = data;
            var end = Math.Min(size, Libc.Seek(from, data, Libc.SeekHole, path) ?? size);
            while (at < end)
            {
                ct.ThrowIfCancellationRequested();
                at += CopyStep(from, to, at, Math.Min(StepBytes, end - at), path);
                if (time.GetElapsedTime(reported) >= ReportEvery)
                {
                    reported = time.GetTimestamp();
                    progress?.Report(new(at, size));
                }
            }
        }
    }

    private static long CopyStep(SafeFileHandle from, SafeFileHandle to, long offset, long count, string path)
    {
        // Some file systems answer 0 for "cannot" as well as for "end": the plain way tells which.
        if (Libc.CopyRange(from, to, offset, count, path) is { } copied and > 0)
        {
            return copied;
        }

        var buffer = new byte[Math.Min(count, 1 << 20)];
        var read = Libc.Read(from, buffer, offset, path);
        if (read == 0)
        {
            throw new ErrnoException(Libc.EIO, "the source became shorter while it was copied to", path);
        }

        Libc.Write(to, buffer.AsSpan(0, read), offset, path);
        return read;
    }
}
