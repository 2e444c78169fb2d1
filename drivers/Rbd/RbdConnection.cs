using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>
/// One connection per back end and process, made at the first use and kept: librados itself reconnects to monitors and OSDs that come back. An attempt that failed
/// is not remembered; everybody who waited for it gets its failure.
/// </summary>
internal sealed class RbdConnection(RbdOptions options, string section) : IDisposable
{
    private readonly Lock gate = new();
    private Task<RadosPoolHandle>? connecting;

    /// <summary>The pool, connected.</summary>
    public Task<RadosPoolHandle> PoolAsync(CancellationToken ct)
    {
        lock (gate)
        {
            if (connecting is null or { IsCompleted: true, IsCompletedSuccessfully: false })
            {
                connecting = Task.Factory.StartNew(Connect, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
            }

            return connecting.IsCompletedSuccessfully ? connecting : connecting.WaitAsync(ct);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (connecting is { IsCompletedSuccessfully: true, Result: var pool })
            {
                pool.Dispose();
            }
        }
    }

    private RadosPoolHandle Connect()
    {
        Require(System.IO.File.Exists(options.Conf), nameof(options.Conf), $"{options.Conf} does not exist or may not be read; copy the cluster's ceph.conf there");
        Require(options.Keyring is null || System.IO.File.Exists(options.Keyring), nameof(options.Keyring), $"{options.Keyring} does not exist or may not be read; {MakeUser}");

        RbdErrors.Check(Librados.rados_create(out var cluster, options.User), "rados_create", $"client.{options.User}");
        cluster.MadeFrom(null);
        // The pool holds on to the cluster, which goes with it.
        using var mine = cluster;
        Require(Librados.rados_conf_read_file(cluster, options.Conf) == 0, nameof(options.Conf), $"{options.Conf} is not a Ceph configuration file");
        if (options.Keyring is not null)
        {
            Set(cluster, "keyring", options.Keyring);
        }

        Set(cluster, "client_mount_timeout", options.ConnectTimeout);
        Set(cluster, "rados_osd_op_timeout", options.OperationTimeout);
        Set(cluster, "rados_mon_op_timeout", options.OperationTimeout);
        Connect(cluster);
        return OpenPool(cluster);
    }

    private void Connect(RadosHandle cluster)
    {
        switch (-Librados.rados_connect(cluster))
        {
            case 0:
                return;
            case RbdErrors.ENOENT or RbdErrors.EOPNOTSUPP:
                throw Wrong(nameof(options.Keyring), $"there is no keyring with a key of client.{options.User}; {MakeUser}");
            case RbdErrors.EACCES or RbdErrors.EPERM:
                throw Wrong(nameof(options.User), $"the monitors refuse the key of client.{options.User}; {MakeUser}");
            case RbdErrors.ETIMEDOUT:
                throw new SnapshotFlowException(ErrorKind.BackendUnavailable,
                    $"no monitor of {options.Conf} answered within {options.ConnectTimeout.TotalSeconds:0.#} s; are they running, and can this host reach them?");
            case RbdErrors.EINVAL:
                throw Wrong(nameof(options.Conf), $"{options.Conf} names no monitors ('mon host'), or the keyring of client.{options.User} cannot be understood");
            case var errno:
                throw new RbdException(errno, "rados_connect", options.Conf);
        }
    }

    private RadosPoolHandle OpenPool(RadosHandle cluster)
    {
        var result = Librados.rados_ioctx_create(cluster, options.Pool, out var pool);
        if (result == -RbdErrors.ENOENT)
        {
            throw Wrong(nameof(options.Pool), $"the cluster has no pool '{options.Pool}'; make it: ceph osd pool create {options.Pool}, then rbd pool init {options.Pool}");
        }

        RbdErrors.Check(result, "rados_ioctx_create", options.Pool);
        pool.MadeFrom(cluster);
        try
        {
            if (options.Namespace.Length > 0)
            {
                RbdErrors.Check(Librbd.rbd_namespace_exists(pool, options.Namespace, out var exists), "rbd_namespace_exists", options.Namespace);
                Require(exists != 0, nameof(options.Namespace), $"pool {options.Pool} has no namespace '{options.Namespace}'; make it: rbd namespace create {options.Pool}/{options.Namespace}");
                Librados.rados_ioctx_set_namespace(pool, options.Namespace);
            }

            Librados.rados_set_pool_full_try(pool);
            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    private string MakeUser => $"make the user and its keyring: ceph auth get-or-create client.{options.User} mon 'profile rbd' osd 'profile rbd pool={options.Pool}'";

    private static void Set(RadosHandle cluster, string option, TimeSpan span) => Set(cluster, option, ((long)Math.Ceiling(span.TotalSeconds)).ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static void Set(RadosHandle cluster, string option, string value) => RbdErrors.Check(Librados.rados_conf_set(cluster, option, value), "rados_conf_set", option);

    private void Require(bool holds, string key, string message)
    {
        if (!holds)
        {
            throw Wrong(key, message);
        }
    }

    private SnapshotFlowException Wrong(string key, string message) => new(ErrorKind.InvalidRequest, $"{section}:{key}: {message}");
}
