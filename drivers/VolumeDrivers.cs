using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>The one place that lists the volume drivers there are and puts the layers around them.</summary>
public static class VolumeDrivers
{
    /// <summary>Every value of <see cref="VolumeBackendOptions.Driver"/>.</summary>
    public static IReadOnlyList<string> Kinds { get; } = [FileVolumeDriver.Kind, RbdVolumeDriver.Kind, QemuVolumeDriver.Kind, InMemoryVolumeDriver.Kind];

    /// <summary>
    /// The driver of a back end: limit outside, so that an injected hang takes a place as a real one would; then the measuring; then faults; then the driver itself.
    /// Reads nothing yet: <see cref="IVolumeDriver.CheckAsync"/> does.
    /// </summary>
    /// <param name="options">Validated here; every wrong key is in the message.</param>
    /// <param name="time">Gives the instant of a cut.</param>
    /// <param name="section">Configuration path of <paramref name="options"/>, for messages.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: keys are wrong.</exception>
    public static IVolumeDriver Create(VolumeBackendOptions options, TimeProvider time, string section = "VolumeBackend")
    {
        if (options.Validate(section) is { Count: > 0 } wrong)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, string.Join(Environment.NewLine, wrong));
        }

        IVolumeDriver driver = options.Driver switch
        {
            FileVolumeDriver.Kind => new FileVolumeDriver(options.Root!, time, $"{section}:{nameof(options.Root)}"),
            RbdVolumeDriver.Kind => new RbdVolumeDriver(options.Rbd!, time, $"{section}:{nameof(options.Rbd)}"),
            QemuVolumeDriver.Kind => new QemuVolumeDriver(options.Root!, options.Qemu!, time, section),
            InMemoryVolumeDriver.Kind => new InMemoryVolumeDriver(new InMemoryStorage(), time),
            var other => throw new InvalidOperationException($"driver '{other}' is listed in {nameof(Kinds)} but not made here"),
        };
        if (options.FaultFile is { } faults)
        {
            driver = new FaultLayer(driver, faults, time);
        }

        return new ConcurrencyLayer(new TelemetryLayer(driver, options.Name, options.Driver, time), options.Concurrency);
    }
}
