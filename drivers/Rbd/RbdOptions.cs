namespace SnapshotFlow.Drivers.Rbd;

/// <summary>Configuration of a back end with the driver <c>rbd</c>, section <c>Rbd</c> of <see cref="VolumeBackendOptions"/>.</summary>
public sealed class RbdOptions
{
    /// <summary>Name of the Ceph pool that holds the volumes. Required.</summary>
    public string Pool { get; set; } = "";

    /// <summary>RBD namespace in the pool. Empty, the default: the pool itself. It must exist (<c>rbd namespace create</c>).</summary>
    public string Namespace { get; set; } = "";

    /// <summary>Ceph user without <c>client.</c>. It needs the capabilities <c>mon 'profile rbd'</c> and <c>osd 'profile rbd pool=POOL'</c>. Default <c>cinder</c>.</summary>
    public string User { get; set; } = "cinder";

    /// <summary>Absolute path of the cluster's configuration file. Default <c>/etc/ceph/ceph.conf</c>.</summary>
    public string Conf { get; set; } = "/etc/ceph/ceph.conf";

    /// <summary>Absolute path of the user's keyring. Null, the default: where the configuration file says, or Ceph's usual places.</summary>
    public string? Keyring { get; set; }

    /// <summary>Longest wait for a monitor when connecting (<c>client_mount_timeout</c>), 1 s to 5 min. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Longest wait for one operation on an OSD or a monitor (<c>rados_osd_op_timeout</c>, <c>rados_mon_op_timeout</c>), 1 s to 5 min; Ceph's own default is for
    /// ever. Default 10 s.
    /// </summary>
    public TimeSpan OperationTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Longest wait for one call of the driver that copies no data, at least <see cref="OperationTimeout"/> and at most 10 min: a cut that a hung
    /// hypervisor must carry out, because it holds the image's lock, ends here. The call's outcome is unknown then. Default 1 min.
    /// </summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Everything that is wrong, one message per key, each beginning with the key's path; empty when it can work.</summary>
    /// <param name="section">Configuration path of these options, without the trailing colon.</param>
    public IReadOnlyList<string> Validate(string section)
    {
        var wrong = new List<string>();
        Require(Pool.Length > 0 && !Pool.Contains('/', StringComparison.Ordinal), nameof(Pool), $"'{Pool}' is not the name of a pool");
        Require(!Namespace.Contains('/', StringComparison.Ordinal), nameof(Namespace), $"'{Namespace}' is not the name of a namespace");
        Require(User.Length > 0 && !User.StartsWith("client.", StringComparison.Ordinal), nameof(User), $"'{User}' is not a Ceph user; write it without 'client.'");
        Require(Path.IsPathFullyQualified(Conf), nameof(Conf), $"'{Conf}' is not an absolute path");
        Require(Keyring is null || Path.IsPathFullyQualified(Keyring), nameof(Keyring), $"'{Keyring}' is not an absolute path");
        Require(IsPossible(ConnectTimeout), nameof(ConnectTimeout), $"'{ConnectTimeout}' is not 00:00:01 to 00:05:00");
        Require(IsPossible(OperationTimeout), nameof(OperationTimeout), $"'{OperationTimeout}' is not 00:00:01 to 00:05:00");
        Require(CallTimeout >= OperationTimeout && CallTimeout <= TimeSpan.FromMinutes(10), nameof(CallTimeout), $"'{CallTimeout}' is not between OperationTimeout and 00:10:00");
        return wrong;

        static bool IsPossible(TimeSpan span) => span >= TimeSpan.FromSeconds(1) && span <= TimeSpan.FromMinutes(5);

        void Require(bool holds, string key, string message)
        {
            if (!holds)
            {
                wrong.Add($"{section}:{key}: {message}");
            }
        }
    }
}
