using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>A call into Ceph's libraries failed.</summary>
/// <param name="errno">What it returned, made positive.</param>
/// <param name="call">Which call.</param>
/// <param name="subject">What it was about.</param>
internal sealed class RbdException(int errno, string call, string subject) : Exception($"{call} of {subject}: {new System.ComponentModel.Win32Exception(errno).Message} (errno {errno})")
{
    public int Errno { get; } = errno;
}

/// <summary>The one table from what Ceph's libraries return to error kinds.</summary>
internal static class RbdErrors
{
    public const int EPERM = 1, ENOENT = 2, EIO = 5, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EBUSY = 16, EEXIST = 17, EXDEV = 18, EINVAL = 22, ENFILE = 23, EMFILE = 24, EFBIG = 27,
        ENOSPC = 28, EROFS = 30, EMLINK = 31, EDOM = 33, ERANGE = 34, ENOSYS = 38, ENOTEMPTY = 39, EILSEQ = 84, ERESTART = 85, EOPNOTSUPP = 95, ENOTCONN = 107, ESHUTDOWN = 108, ETIMEDOUT = 110,
        ECONNREFUSED = 111, EDQUOT = 122, ECANCELED = 125;

    /// <summary>Names the failure.</summary>
    /// <param name="what">What was tried, with ids.</param>
    /// <param name="e">What came back.</param>
    /// <param name="options">Names user and pool in the advice.</param>
    public static SnapshotFlowException Translate(string what, Exception e, RbdOptions options)
    {
        var (kind, advice) = e switch
        {
            RbdException { Errno: var errno } => Table(errno, options),
            DllNotFoundException => (ErrorKind.InvalidRequest, "Ceph's client libraries are not installed on this host: apt-get install librados2 librbd1"),
            EntryPointNotFoundException => (ErrorKind.InvalidRequest, "Ceph's client libraries on this host are too old; 16.2 or newer is needed: apt-get install librados2 librbd1"),
            _ => (ErrorKind.BackendUnavailable, "look at the host's log"),
        };
        return new(kind, $"{what}: {e.Message}; {advice}", e);
    }

    /// <summary>Passes results on and throws for error numbers.</summary>
    public static int Check(int result, string call, string subject) => result >= 0 ? result : throw new RbdException(-result, call, subject);

    // ENOENT is here what it is not in the driver: where absence is a possible answer, the driver asks for it and never gets this far.
    private static (ErrorKind Kind, string Advice) Table(int errno, RbdOptions options) => errno switch
    {
        EPERM or EACCES => (ErrorKind.BackendRefused, $"give client.{options.User} the capabilities mon 'profile rbd' and osd 'profile rbd pool={options.Pool}'"),
        ENOENT => (ErrorKind.BackendUnavailable, "something of the image was removed meanwhile; call again"),
        EIO or EILSEQ => (ErrorKind.BackendRefused, "the image is damaged; see ceph health detail"),
        EBUSY => (ErrorKind.Busy, "somebody has the image open: a server that is still attached, or a client that died less than 30 s ago (rbd status shows who); try again"),
        ENOTEMPTY => (ErrorKind.Busy, "the image still has snapshots; delete them first"),
        EMLINK => (ErrorKind.Busy, "the image is in an RBD group; remove it from the group (rbd group image rm)"),
        ENOSPC => (ErrorKind.BackendRefused, $"pool {options.Pool} is full; add OSDs, delete something or raise the full ratio (ceph df)"),
        EDQUOT => (ErrorKind.BackendRefused, $"pool {options.Pool} has reached its quota; raise it (ceph osd pool set-quota) or delete something"),
        EROFS => (ErrorKind.BackendRefused, "the image cannot be changed from here: another client holds its lock for good, or it is the copy of a mirror"),
        EFBIG or EDOM => (ErrorKind.InvalidRequest, "larger than an image with an object map can be"),
        EINVAL => (ErrorKind.BackendRefused, "the image lacks a feature that this needs (layering, exclusive-lock), or the cluster is older than 16.2"),
        EOPNOTSUPP or ENOSYS or EXDEV => (ErrorKind.BackendRefused, "the cluster or the image's features do not allow it; see rbd info"),
        ETIMEDOUT => (ErrorKind.BackendUnavailable, $"no answer from the cluster in time ({nameof(RbdOptions.OperationTimeout)} {options.OperationTimeout.TotalSeconds:0.#} s); see ceph health detail"),
        ENOTCONN or ECONNREFUSED => (ErrorKind.BackendUnavailable, $"no monitor of {options.Conf} answers; see ceph health detail"),
        ESHUTDOWN => (ErrorKind.BackendUnavailable, "the cluster has put this client on its blocklist (ceph osd blocklist ls); restart the worker"),
        EAGAIN or ERESTART => (ErrorKind.BackendUnavailable, "the image's lock changed hands meanwhile; call again"),
        EMFILE or ENFILE => (ErrorKind.BackendUnavailable, "too many open files; raise the limit or lower the back end's Concurrency"),
        ENOMEM => (ErrorKind.BackendUnavailable, "the host is out of memory"),
        _ => (ErrorKind.BackendRefused, "see ceph health detail and the OSDs' logs"),
    };
}
