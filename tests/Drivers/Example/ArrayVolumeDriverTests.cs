using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Example;

/// <summary>The contract, and what is special to this back end: its calls are not idempotent, and a clone takes two of them.</summary>
public sealed class ArrayVolumeDriverTests : VolumeDriverContract
{
    private readonly DiskArray array = new();

    protected override IVolumeDriver Open() => new ArrayVolumeDriver(array);

    protected override void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes) => array.Write(Names.Volume(volume), offset, bytes);

    protected override byte[] Read(VolumeId volume, long offset, int count) => array.Read(Names.Volume(volume), offset, count);

    [Fact]
    public async Task A_clone_that_was_broken_off_before_it_was_grown_is_no_volume_until_it_is_asked_for_again()
    {
        var driver = Open();
        var snapshot = await CutAsync(await VolumeAsync());
        var (clone, size) = (VolumeId.New(), snapshot.SizeBytes * 2);
        array.BreakAfter(nameof(DiskArray.CloneLun));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.CreateVolumeFromSnapshotAsync(clone, snapshot.Volume, snapshot.Snapshot, size, null, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(clone, SnapshotId.New(), null, Ct));
        Assert.Equal(size, (await driver.CreateVolumeFromSnapshotAsync(clone, snapshot.Volume, snapshot.Snapshot, size, null, Ct)).SizeBytes);
        Assert.Equal(size, (await CutAsync(clone)).SizeBytes);
    }

    [Fact]
    public async Task A_cut_whose_answer_was_lost_is_found_by_the_repetition()
    {
        var driver = Open();
        var (volume, id) = (await VolumeAsync(), SnapshotId.New());
        array.BreakAfter(nameof(DiskArray.TakeSnapshot));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.CreateSnapshotAsync(volume, id, null, Ct));
        var cut = await driver.FindSnapshotAsync(volume, id, Ct);
        Assert.NotNull(cut);
        Assert.Equal(cut, await driver.CreateSnapshotAsync(volume, id, null, Ct));
    }
}
