using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Qemu;

/// <summary>The contract, on volumes that QEMU has open as soon as they are written to, and on others that only qemu-img touches.</summary>
public sealed class QemuVolumeDriverTests : VolumeDriverContract
{
    private readonly QemuStore store = new();

    protected override ValueTask PrepareAsync() => store.StartAsync(Ct);

    public override ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return store.DisposeAsync();
    }

    protected override IVolumeDriver Open() => store.Open();

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => store.Guest.Write(volume, offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count) => store.Guest.Read(volume, offset, count);
}

/// <summary>Several volumes at one instant: a transaction of QEMU.</summary>
public sealed class QemuGroupSnapshotTests : GroupSnapshotContract
{
    private readonly QemuStore store = new();

    protected override ValueTask PrepareAsync() => store.StartAsync(Ct);

    public override ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return store.DisposeAsync();
    }

    protected override IVolumeDriver Open() => store.Open();

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => store.Guest.Write(volume, offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count) => store.Guest.Read(volume, offset, count);
}

/// <summary>A directory with volumes, and the QEMU that opens them.</summary>
internal sealed class QemuStore : IAsyncDisposable
{
    // Short: the path of a unix socket has 107 bytes at most.
    private readonly string root = Path.Join("/tmp", $"sf-qemu-{Guid.NewGuid():N}"[..20]);
    private QemuProcess? guest;

    public QemuProcess Guest => guest!;

    public string Root => Path.Join(root, "store");

    public string Volume(VolumeId volume) => Path.Join(Root, "volumes", Names.Volume(volume));

    public QemuVolumeDriver Open(TimeSpan? timeout = null) =>
        new(Root, new() { QmpDirectory = Path.Join(root, "qmp"), QmpTimeout = timeout ?? TimeSpan.FromSeconds(60) }, TimeProvider.System);

    public async ValueTask StartAsync(CancellationToken ct)
    {
        Assert.SkipWhen(QemuProcess.Missing is not null, QemuProcess.Missing ?? "");
        Directory.CreateDirectory(Root);
        guest = await QemuProcess.StartAsync(root, ct);
    }

    public async ValueTask DisposeAsync()
    {
        if (guest is not null)
        {
            await guest.DisposeAsync();
            Directory.Delete(root, recursive: true);
        }
    }
}
