using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.Drivers.File;

/// <summary>A system call failed.</summary>
internal sealed class ErrnoException(int errno, string call, string path) : Exception($"{call} {path}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})")
{
    public int Errno { get; } = errno;

    public string Path { get; } = path;
}

/// <summary>
/// The system calls that the file driver and the freeze leases need and .NET does not offer: reflink, sparse copying, locks across processes, fsync of a
/// directory, the time since boot, SIGKILL.
/// Failures are <see cref="ErrnoException"/>s; interrupted calls are repeated. Source of numbers and layouts: Linux UAPI headers
/// (fcntl.h, fs.h, stat.h), which are stable across kernels.
/// </summary>
internal static partial class Libc
{
    public const int EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, ENXIO = 6, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EXDEV = 18, EINVAL = 22, ENFILE = 23, EMFILE = 24,
        ENOTTY = 25, EFBIG = 27, ENOSPC = 28, EROFS = 30, ENOSYS = 38, ELOOP = 40, EOPNOTSUPP = 95, ETIMEDOUT = 110, EHOSTDOWN = 112, ESTALE = 116, EDQUOT = 122;

    public const int ReadOnly = 0, ReadWrite = 2, Create = 0x40, Exclusive = 0x80;
    public const int SeekData = 3, SeekHole = 4;

    private const int NonBlock = 0x800, CloseOnExec = 0x80000;
    private const int LockShared = 1, LockExclusive = 2, LockNonBlock = 4;
    private const nuint FiClone = 0x40049409;

    // The only open flags in use that differ between the architectures .NET runs on.
    private static readonly bool Arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    private static readonly int NoFollow = Arm ? 0x8000 : 0x20000;
    private static readonly int Directory = Arm ? 0x4000 : 0x10000;

    /// <summary>Opens a file itself, never what a symbolic link points to, and never waits for the other end of a pipe.</summary>
    public static SafeFileHandle Open(string path, int flags, int mode = 0) =>
        TryOpen(path, flags, out var errno, mode) ?? throw new ErrnoException(errno, "open", path);

    /// <summary>As <see cref="Open"/>; null with the reason in <paramref name="errno"/> when it fails.</summary>
    public static SafeFileHandle? TryOpen(string path, int flags, out int errno, int mode = 0)
    {
        while (true)
        {
            var handle = open(path, flags | NoFollow | NonBlock | CloseOnExec, mode);
            errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
            if (!handle.IsInvalid)
            {
                return handle;
            }

            handle.Dispose();
            if (errno != EINTR)
            {
                return null;
            }
        }
    }

    /// <summary>What a name stands for (no link followed); null when there is nothing of that name.</summary>
    public static FileFacts? Find(string path)
    {
        const int symlinkNoFollow = 0x100;
        if (statx(CurrentDirectory, path, symlinkNoFollow, BasicStats, out var facts) == 0)
        {
            return new(facts);
        }

        var errno = Marshal.GetLastPInvokeError();
        return errno == ENOENT ? null : throw new ErrnoException(errno, "stat", path);
    }

    /// <summary>What an open file is.</summary>
    public static FileFacts Facts(SafeFileHandle file, string path)
    {
        const int emptyPath = 0x1000;
        Check(statxOf(file, "", emptyPath, BasicStats, out var facts), "stat", path);
        return new(facts);
    }

    /// <summary>Locks an open file against other processes and other opens in this one; false when somebody holds a conflicting lock.</summary>
    public static bool TryLock(SafeFileHandle file, bool exclusive, string path)
    {
        while (flock(file, (exclusive ? LockExclusive : LockShared) | LockNonBlock) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (errno == EAGAIN)
            {
                return false;
            }

            if (errno != EINTR)
            {
                throw new ErrnoException(errno, "lock", path);
            }
        }

        return true;
    }

    /// <summary>Makes <paramref name="to"/> share all blocks of <paramref name="from"/> at one instant; false when the file system cannot.</summary>
    public static bool TryReflink(SafeFileHandle from, SafeFileHandle to, string path)
    {
        while (true)
        {
            if (ioctl(to, FiClone, from) == 0)
            {
                return true;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case EINTR:
                    continue;
                case EOPNOTSUPP or ENOTTY or ENOSYS or EXDEV or EINVAL:
                    return false;
                case var errno:
                    throw new ErrnoException(errno, "reflink", path);
            }
        }
    }

    /// <summary>Where the next data or hole begins; null when there is no more data.</summary>
    public static long? Seek(SafeFileHandle file, long from, int whence, string path)
    {
        var at = lseek(file, from, whence);
        if (at >= 0)
        {
            return at;
        }

        var errno = Marshal.GetLastPInvokeError();
        return errno == ENXIO ? null : throw new ErrnoException(errno, "seek", path);
    }

    /// <summary>Copies inside the kernel; the number of bytes copied, 0 at the end of the source, or null when these files cannot be copied so.</summary>
    public static long? CopyRange(SafeFileHandle from, SafeFileHandle to, long offset, long count, string path)
    {
        while (true)
        {
            long read = offset, written = offset;
            var copied = copy_file_range(from, ref read, to, ref written, (nuint)count, 0);
            if (copied >= 0)
            {
                return copied;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case EINTR:
                    continue;
                case EXDEV or ENOSYS or EOPNOTSUPP or EINVAL:
                    return null;
                case var errno:
                    throw new ErrnoException(errno, "copy to", path);
            }
        }
    }

    /// <summary>Reads at an offset; 0 at the end of the file.</summary>
    public static int Read(SafeFileHandle file, Span<byte> bytes, long offset, string path)
    {
        while (true)
        {
            var count = pread(file, bytes, (nuint)bytes.Length, offset);
            if (count >= 0)
            {
                return (int)count;
            }

            if (Marshal.GetLastPInvokeError() is var errno && errno != EINTR)
            {
                throw new ErrnoException(errno, "read", path);
            }
        }
    }

    /// <summary>Writes all bytes at an offset.</summary>
    public static void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset, string path)
    {
        while (bytes.Length > 0)
        {
            var count = (int)pwrite(file, bytes, (nuint)bytes.Length, offset);
            if (count >= 0)
            {
                bytes = bytes[count..];
                offset += count;
            }
            else if (Marshal.GetLastPInvokeError() is var errno && errno != EINTR)
            {
                throw new ErrnoException(errno, "write", path);
            }
        }
    }

    /// <summary>Sets the size; what is added reads as zero.</summary>
    public static void Resize(SafeFileHandle file, long size, string path) => Check(ftruncate(file, size), "resize", path);

    /// <summary>Sets the permission bits.</summary>
    public static void Protect(SafeFileHandle file, int mode, string path) => Check(fchmod(file, mode), "chmod", path);

    /// <summary>Returns when everything written to the file is on stable storage.</summary>
    public static void Sync(SafeFileHandle file, string path) => Check(fsync(file), "fsync", path);

    /// <summary>Returns when the names in a directory are on stable storage.</summary>
    public static void SyncDirectory(string path)
    {
        using var directory = Open(path, ReadOnly | Directory);
        Sync(directory, path);
    }

    /// <summary>Renames within a file system, atomically, over whatever is there.</summary>
    public static void Rename(string from, string to) => Check(rename(from, to), "rename to", to);

    /// <summary>Removes a name; false when there was none.</summary>
    public static bool Remove(string path)
    {
        if (unlink(path) == 0)
        {
            return true;
        }

        var errno = Marshal.GetLastPInvokeError();
        return errno == ENOENT ? false : throw new ErrnoException(errno, "remove", path);
    }

    /// <summary>Milliseconds since the machine was started, time asleep included; never set, never slewed back.</summary>
    public static long MillisecondsSinceBoot()
    {
        const int bootTime = 7;
        Check(clock_gettime(bootTime, out var now), "clock_gettime", "CLOCK_BOOTTIME");
        return (now.Seconds * 1000) + (now.Nanoseconds / 1_000_000);
    }

    /// <summary>Ends a process by SIGKILL; false when there is none of that id.</summary>
    public static bool Kill(int process)
    {
        const int sigkill = 9, ESRCH = 3;
        if (kill(process, sigkill) == 0)
        {
            return true;
        }

        var errno = Marshal.GetLastPInvokeError();
        return errno == ESRCH ? false : throw new ErrnoException(errno, "kill", $"process {process}");
    }

    private static void Check(int result, string call, string path)
    {
        if (result != 0)
        {
            throw new ErrnoException(Marshal.GetLastPInvokeError(), call, path);
        }
    }

    private const int CurrentDirectory = -100;
    private const uint BasicStats = 0x7ff;

    /// <summary>Source: struct statx, 256 bytes, the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct Statx
    {
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(40)] public ulong Size;
        [FieldOffset(136)] public uint DeviceMajor;
        [FieldOffset(140)] public uint DeviceMinor;
    }

    /// <summary>Source: struct timespec on 64-bit machines.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int clock_gettime(int clock, out Timespec now);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int process, int signal);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, out Statx facts);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statxOf(SafeFileHandle file, string path, int flags, uint mask, out Statx facts);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle file, int operation);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(SafeFileHandle file, nuint request, SafeFileHandle argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial long lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint copy_file_range(SafeFileHandle from, ref long fromOffset, SafeFileHandle to, ref long toOffset, nuint count, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pread(SafeFileHandle file, Span<byte> bytes, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pwrite(SafeFileHandle file, ReadOnlySpan<byte> bytes, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(SafeFileHandle file, long size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(SafeFileHandle file, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rename(string from, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);
}

/// <summary>What a file is.</summary>
internal readonly struct FileFacts(Libc.Statx facts)
{
    private const int TypeMask = 0xF000, Regular = 0x8000, Link = 0xA000, DirectoryType = 0x4000, Socket = 0xC000;

    public long SizeBytes => (long)facts.Size;

    public bool IsRegular => (facts.Mode & TypeMask) == Regular;

    public bool IsLink => (facts.Mode & TypeMask) == Link;

    public bool IsSocket => (facts.Mode & TypeMask) == Socket;

    public bool IsDirectory => (facts.Mode & TypeMask) == DirectoryType;

    public bool IsSameFile(FileFacts other) => Identity == other.Identity;

    private (uint, uint, ulong) Identity => (facts.DeviceMajor, facts.DeviceMinor, facts.Inode);
}
