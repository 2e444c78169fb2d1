using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.File;

/// <summary>What the tests of the file driver on every file system share: a directory of their own, read and written as a server would.</summary>
public abstract class FileDriverContract : VolumeDriverContract
{
    private string Root { get; set; } = "";

    /// <summary>Where this test may put its directory.</summary>
    protected abstract string Parent { get; }

    protected override ValueTask PrepareAsync()
    {
        Root = Path.Join(Parent, $"snapshotflow-drivers-{Guid.NewGuid():N}");
        Directory.CreateDirectory(Root);
        return ValueTask.CompletedTask;
    }

    public override ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Root.Length > 0)
        {
            Directory.Delete(Root, recursive: true);
        }

        return ValueTask.CompletedTask;
    }

    // Reports at every step, so that a cancellation on the way always comes in the middle of a copy.
    protected override IVolumeDriver Open() => new FileVolumeDriver(Root, new ImpatientClock(), "VolumeBackend:Root");

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes)
    {
        using var file = System.IO.File.OpenHandle(PathOf(volume), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        RandomAccess.Write(file, bytes, offset);
    }

    protected override byte[] Read(VolumeId volume, long offset, int count)
    {
        using var file = System.IO.File.OpenHandle(PathOf(volume), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[count];
        Assert.Equal(count, RandomAccess.Read(file, bytes, offset));
        return bytes;
    }

    private string PathOf(VolumeId volume) => Path.Join(Root, "volumes", Names.Volume(volume));
}
