using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <content>Calls that are cancelled, and what a call says on its way.</content>
public abstract partial class VolumeDriverContract
{
    [Fact]
    public async Task Calls_that_are_cancelled_before_they_begin_do_nothing()
    {
        var volume = await VolumeAsync();
        var kept = await CutAsync(volume);
        var (newVolume, newSnapshot) = (VolumeId.New(), SnapshotId.New());
        var cancelled = new CancellationToken(canceled: true);
        await CancelledAsync(() => driver.CheckAsync(cancelled));
        await CancelledAsync(() => driver.CreateVolumeAsync(newVolume, Size, cancelled));
        await CancelledAsync(() => driver.CreateSnapshotAsync(volume, newSnapshot, null, cancelled));
        await CancelledAsync(() => driver.DeleteSnapshotAsync(volume, kept.Snapshot, cancelled));
        await CancelledAsync(() => driver.FindSnapshotAsync(volume, kept.Snapshot, cancelled));
        await CancelledAsync(() => driver.ListSnapshotsAsync(null, 10, cancelled));
        await CancelledAsync(() => driver.CreateVolumeFromSnapshotAsync(newVolume, volume, kept.Snapshot, Size, null, cancelled));
        await driver.DeleteSnapshotAsync(volume, newSnapshot, Ct);
        await CancelledAsync(() => driver.DeleteVolumeAsync(volume, cancelled));
        Assert.Equal([kept], await ListAsync());
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(newVolume, SnapshotId.New(), null, Ct));
        Assert.Equal(volume, (await CutAsync(volume)).Volume);
    }

    [Fact]
    public async Task A_cut_that_is_cancelled_on_the_way_leaves_a_whole_snapshot_or_none_and_can_be_repeated()
    {
        var volume = await LargeVolumeAsync();
        var id = SnapshotId.New();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var ended = await EndedAsync(() => driver.CreateSnapshotAsync(volume, id, new Reports(_ => cancel.Cancel()), cancel.Token));
        Assert.Equal(ended, await driver.FindSnapshotAsync(volume, id, Ct));
        var repeated = await driver.CreateSnapshotAsync(volume, id, null, Ct);
        Assert.Equal(ended ?? repeated, repeated);
        Same(volume, await CloneAsync(repeated, LargeBytes));
    }

    [Fact]
    public async Task A_cancelled_cut_can_be_deleted_at_once_and_leaves_nothing()
    {
        var volume = await LargeVolumeAsync();
        var id = SnapshotId.New();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        await EndedAsync(() => driver.CreateSnapshotAsync(volume, id, new Reports(_ => cancel.Cancel()), cancel.Token));
        await driver.DeleteSnapshotAsync(volume, id, Ct);
        Assert.Empty(await ListAsync());
        await driver.DeleteVolumeAsync(volume, Ct);
    }

    [Fact]
    public async Task A_clone_that_is_cancelled_on_the_way_leaves_a_whole_volume_or_none_and_can_be_repeated()
    {
        var volume = await LargeVolumeAsync();
        var snapshot = await CutAsync(volume);
        var id = VolumeId.New();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var ended = await EndedAsync(() => driver.CreateVolumeFromSnapshotAsync(id, volume, snapshot.Snapshot, LargeBytes, new Reports(_ => cancel.Cancel()), cancel.Token));
        if (ended is null)
        {
            await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(id, SnapshotId.New(), null, Ct));
        }

        await driver.CreateVolumeFromSnapshotAsync(id, volume, snapshot.Snapshot, LargeBytes, null, Ct);
        Same(volume, id);
    }

    [Fact]
    public async Task Progress_never_goes_back_and_ends_at_the_total()
    {
        var volume = await LargeVolumeAsync();
        var (cut, clone) = (new Reports(), new Reports());
        var snapshot = await driver.CreateSnapshotAsync(volume, SnapshotId.New(), cut, Ct);
        await driver.CreateVolumeFromSnapshotAsync(VolumeId.New(), volume, snapshot.Snapshot, LargeBytes, clone, Ct);
        foreach (var seen in new[] { cut.Seen.ToList(), clone.Seen.ToList() })
        {
            Assert.NotEmpty(seen);
            Assert.Equal(seen.Select(p => p.BytesDone).Order(), seen.Select(p => p.BytesDone));
            Assert.All(seen, p => Assert.Equal(LargeBytes, p.BytesTotal));
            Assert.Equal(LargeBytes, seen[^1].BytesDone);
        }
    }
}
