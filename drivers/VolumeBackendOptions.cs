using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Drivers.Rbd;

namespace SnapshotFlow.Drivers;

/// <summary>Configuration of one storage back end; <see cref="VolumeDrivers.Create"/> makes the driver from it.</summary>
public sealed class VolumeBackendOptions
{
    /// <summary>Name of the back end as volumes are recorded with it, <c>host@backend</c>. It names the task queue of its worker. Required.</summary>
    public string Name { get; set; } = "";

    /// <summary>Kind of driver: one of <see cref="VolumeDrivers.Kinds"/>. Required.</summary>
    public string Driver { get; set; } = "";

    /// <summary>For <c>file</c> and <c>qemu</c>: absolute path of an existing directory that holds volumes and snapshots. Required there, refused elsewhere.</summary>
    public string? Root { get; set; }

    /// <summary>For <c>rbd</c>: the cluster and the pool. Required there, refused elsewhere.</summary>
    public RbdOptions? Rbd { get; set; }

    /// <summary>For <c>qemu</c>: how to reach running guests. Required there, refused elsewhere.</summary>
    public QemuOptions? Qemu { get; set; }

    /// <summary>How many driver calls run at the same time in this process, 1 to 256; more wait. Default 8.</summary>
    public int Concurrency { get; set; } = 8;

    /// <summary>Absolute path of a file with faults to inject (see <see cref="Layers.FaultRule"/>), for tests and demonstrations. Null: none, ever.</summary>
    public string? FaultFile { get; set; }

    /// <summary>Everything that is wrong, one message per key, each beginning with the key's path; empty when it can work.</summary>
    /// <param name="section">Configuration path of these options, without the trailing colon.</param>
    public IReadOnlyList<string> Validate(string section)
    {
        var wrong = new List<string>();
        if (Name.Length == 0 || Name.Any(c => !char.IsAsciiLetterOrDigit(c) && !"@._-".Contains(c, StringComparison.Ordinal)))
        {
            wrong.Add($"{section}:{nameof(Name)}: '{Name}' is not a back-end name; use letters, digits, '.', '_', '-' and '@', such as 'host1@file'");
        }

        if (!VolumeDrivers.Kinds.Contains(Driver))
        {
            wrong.Add($"{section}:{nameof(Driver)}: '{Driver}' is not a driver; it is one of {string.Join(", ", VolumeDrivers.Kinds)}");
        }

        if (Driver is FileVolumeDriver.Kind or QemuVolumeDriver.Kind && (Root is null || !Path.IsPathFullyQualified(Root)))
        {
            wrong.Add($"{section}:{nameof(Root)}: '{Root}' is not an absolute path; the {Driver} driver needs the directory of its volumes and snapshots");
        }

        if (Driver is InMemoryVolumeDriver.Kind or RbdVolumeDriver.Kind && Root is not null)
        {
            wrong.Add($"{section}:{nameof(Root)}: the {Driver} driver has no directory; remove the key");
        }

        if (Driver == RbdVolumeDriver.Kind)
        {
            wrong.AddRange((Rbd ?? new()).Validate($"{section}:{nameof(Rbd)}"));
        }
        else if (Rbd is not null)
        {
            wrong.Add($"{section}:{nameof(Rbd)}: these keys are for the driver {RbdVolumeDriver.Kind}; remove them");
        }

        if (Driver == QemuVolumeDriver.Kind)
        {
            wrong.AddRange((Qemu ?? new()).Validate($"{section}:{nameof(Qemu)}"));
        }
        else if (Qemu is not null)
        {
            wrong.Add($"{section}:{nameof(Qemu)}: these keys are for the driver {QemuVolumeDriver.Kind}; remove them");
        }

        if (Concurrency is < 1 or > 256)
        {
            wrong.Add($"{section}:{nameof(Concurrency)}: {Concurrency} is not 1 to 256");
        }

        if (FaultFile is not null && !Path.IsPathFullyQualified(FaultFile))
        {
            wrong.Add($"{section}:{nameof(FaultFile)}: '{FaultFile}' is not an absolute path");
        }

        return wrong;
    }
}
