using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Memory;

public class InMemoryVolumeDriverTests : VolumeDriverContract
{
    protected InMemoryStorage Storage { get; } = new();

    protected override IVolumeDriver Open() => new InMemoryVolumeDriver(Storage, TimeProvider.System);

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => Storage.Write(volume, offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count)
    {
        var bytes = new byte[count];
        Storage.Read(volume, offset, bytes);
        return bytes;
    }
}

/// <summary>A back end that chains blocks: clones keep their snapshot.</summary>
public sealed class InMemoryVolumeDriverWithDependentClonesTests : InMemoryVolumeDriverTests
{
    protected override IVolumeDriver Open() => new InMemoryVolumeDriver(Storage, TimeProvider.System, independentClones: false);
}

/// <summary>Several volumes at one instant.</summary>
public sealed class InMemoryGroupSnapshotTests : GroupSnapshotContract
{
    private readonly InMemoryStorage storage = new();

    protected override IVolumeDriver Open() => new InMemoryVolumeDriver(storage, TimeProvider.System);

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => storage.Write(volume, offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count)
    {
        var bytes = new byte[count];
        storage.Read(volume, offset, bytes);
        return bytes;
    }
}
