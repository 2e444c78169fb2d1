using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>The contract, on a real cluster.</summary>
public sealed class RbdVolumeDriverTests : VolumeDriverContract
{
    private CephNamespace? space;

    protected override async ValueTask PrepareAsync() => space = await CephNamespace.MakeAsync(Ct);

    public override async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (space is not null)
        {
            await space.DisposeAsync();
        }
    }

    protected override IVolumeDriver Open() => space!.Open();

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => space!.Write(Names.Volume(volume), offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count) => space!.Read(Names.Volume(volume), offset, count);
}
