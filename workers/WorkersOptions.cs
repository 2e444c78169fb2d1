using SnapshotFlow.Drivers;

namespace SnapshotFlow.Workers;

/// <summary>What a workers process does. A small site runs all roles in one process.</summary>
public enum Role
{
    /// <summary>Workflows and record-keeping; needs the database.</summary>
    Control,

    /// <summary>Freezes and thaws the guests of this hypervisor.</summary>
    Compute,

    /// <summary>Calls the drivers of storage back ends.</summary>
    Volume,
}

/// <summary>Configuration section <c>Workers</c>.</summary>
public sealed class WorkersOptions
{
    /// <summary>Comma-separated roles: <c>control</c>, <c>compute</c>, <c>volume</c>. Required.</summary>
    public string Roles { get; set; } = "";

    /// <summary>How long running activities may take to finish when the process is asked to stop. Default 10 s.</summary>
    public TimeSpan GracefulShutdown { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>Configuration section <c>Compute</c>, of the role <see cref="Role.Compute"/>.</summary>
public sealed class ComputeOptions
{
    /// <summary>Name of this hypervisor, as servers are recorded with it. It names the task queue. Required.</summary>
    public string Host { get; set; } = "";

    /// <summary>Absolute path of the directory that holds the freeze leases of this host; created if it is not there. Required.</summary>
    public string LeaseDirectory { get; set; } = "";
}

/// <summary>Configuration section <c>Volume</c>, of the role <see cref="Role.Volume"/>.</summary>
public sealed class VolumeOptions
{
    /// <summary>The back ends this process serves; at least one.</summary>
    public IList<VolumeBackendOptions> Backends { get; set; } = [];
}
