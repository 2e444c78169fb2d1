using SnapshotFlow.Drivers;

namespace SnapshotFlow.Workers;

/// <summary>What a workers process does. A small site runs all roles but <see cref="Guard"/> in one process.</summary>
public enum Role
{
    /// <summary>Workflows and record-keeping; needs the database.</summary>
    Control,

    /// <summary>Freezes and thaws the guests of this hypervisor.</summary>
    Compute,

    /// <summary>Calls the drivers of storage back ends.</summary>
    Volume,

    /// <summary>
    /// Thaws the guests of this hypervisor whose freeze deadline has passed. Always a process of its own, so that it does not die with what it guards: no
    /// database, no Temporal, no network. Without it no guest of the hypervisor is frozen.
    /// </summary>
    Guard,
}

/// <summary>Configuration section <c>Workers</c>.</summary>
public sealed class WorkersOptions
{
    /// <summary>Comma-separated roles: <c>control</c>, <c>compute</c>, <c>volume</c>; or <c>guard</c> alone. Required.</summary>
    public string Roles { get; set; } = "";

    /// <summary>How long running activities may take to finish when the process is asked to stop. Default 10 s.</summary>
    public TimeSpan GracefulShutdown { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How often the role <see cref="Role.Control"/> has everything looked through for what runs left behind, and the least time between finding and
    /// repairing. At least 1 s. Default 1 min.
    /// </summary>
    public TimeSpan ReconcileInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Absolute path of a unix socket that is asked before, in and after every activity what shall go wrong there, for the fault tests. Refused unless the
    /// environment (<c>DOTNET_ENVIRONMENT</c>) is Development. Null: nothing ever asks.
    /// </summary>
    public string? FailpointSocket { get; set; }
}

/// <summary>Configuration section <c>Compute</c>, of the roles <see cref="Role.Compute"/> and <see cref="Role.Guard"/>.</summary>
public sealed class ComputeOptions
{
    /// <summary>Name of this hypervisor, as servers are recorded with it. It names the task queue. Required for the role compute.</summary>
    public string Host { get; set; } = "";

    /// <summary>Absolute path of the directory that holds the freeze leases of this host, the same for compute worker and guard; created if it is not there. On a local file system that
    /// survives the restart of the processes. Required.</summary>
    public string LeaseDirectory { get; set; } = "";
}

/// <summary>Configuration section <c>Volume</c>, of the role <see cref="Role.Volume"/>.</summary>
public sealed class VolumeOptions
{
    /// <summary>The back ends this process serves; at least one.</summary>
    public IList<VolumeBackendOptions> Backends { get; set; } = [];
}
