using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.File;

/// <summary>The one table from what the operating system says to error kinds.</summary>
internal static class FileErrors
{
    /// <summary>Names the failure.</summary>
    /// <param name="what">What was tried, with ids.</param>
    /// <param name="e">What came back.</param>
    public static SnapshotFlowException Translate(string what, Exception e)
    {
        var (kind, advice) = e switch
        {
            ErrnoException { Errno: var errno } => Table(errno),
            UnauthorizedAccessException => Table(Libc.EACCES),
            DirectoryNotFoundException => Table(Libc.ENOENT),
            _ => (ErrorKind.BackendUnavailable, "look at the host's log"),
        };
        return new(kind, $"{what}: {e.Message}; {advice}", e);
    }

    // ENOENT is here what it is not in the driver: where absence is a possible answer, the driver asks for it and never gets this far.
    private static (ErrorKind Kind, string Advice) Table(int errno) => errno switch
    {
        Libc.ENOSPC => (ErrorKind.BackendRefused, "free space on this file system or enlarge it"),
        Libc.EDQUOT => (ErrorKind.BackendRefused, "the file system's quota for this user is used up; raise it or delete something"),
        Libc.EACCES or Libc.EPERM => (ErrorKind.BackendRefused, "give the worker's user read and write permission for this path"),
        Libc.EROFS => (ErrorKind.BackendRefused, "the file system is mounted read-only; look at the host's log and mount it writable"),
        Libc.ELOOP => (ErrorKind.BackendRefused, "a symbolic link is never followed here; replace it by what it points to"),
        Libc.EIO => (ErrorKind.BackendRefused, "the device failed; look at the host's log"),
        Libc.EFBIG => (ErrorKind.InvalidRequest, "larger than this file system allows"),
        Libc.ENOENT => (ErrorKind.BackendUnavailable, "a directory of the back end is gone; is its file system mounted?"),
        Libc.ESTALE or Libc.ETIMEDOUT or Libc.EHOSTDOWN => (ErrorKind.BackendUnavailable, "the file server does not answer"),
        Libc.EMFILE or Libc.ENFILE => (ErrorKind.BackendUnavailable, "too many open files; raise the limit or lower the back end's Concurrency"),
        Libc.ENOMEM => (ErrorKind.BackendUnavailable, "the host is out of memory"),
        _ => (ErrorKind.BackendRefused, "look at the host's log"),
    };
}
