namespace SnapshotFlow.Store;

/// <summary>Where the records are. Section <c>Store</c>.</summary>
public sealed class StoreOptions
{
    /// <summary>The configuration section.</summary>
    public const string Section = "Store";

    /// <summary>
    /// Npgsql connection string, for example <c>Host=127.0.0.1;Port=5432;Database=snapshotflow;Username=snapshotflow</c>. Holds a secret when it has a
    /// password: set it from the environment (<c>Store__ConnectionString</c>), never in a file that is checked in. No default.
    /// </summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>
    /// Whether the GiB of snapshots are left out of the quota <c>gigabytes</c>; volumes always count. The same for api and workers. Default false. Source: Cinder,
    /// <c>no_snapshot_gb_quota</c>.
    /// </summary>
    public bool NoSnapshotGbQuota { get; set; }

    /// <summary>How long one statement may take before its outcome counts as unknown. Default 8 s, below the 10 s after which
    /// Temporal gives up on a record-keeping step and tries it again. A connection string's own <c>Command Timeout</c> is overruled.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(8);
}
