using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <content>Volumes made from snapshots.</content>
public abstract partial class VolumeDriverContract
{
    [Fact]
    public async Task A_clone_has_the_snapshots_bytes_and_the_size_asked_for()
    {
        var volume = await VolumeAsync();
        Write(volume, 3, Text("data"));
        var snapshot = await CutAsync(volume);
        var id = VolumeId.New();
        var clone = await driver.CreateVolumeFromSnapshotAsync(id, volume, snapshot.Snapshot, Size, null, Ct);
        Assert.Equal((id, Size), (clone.Volume, clone.SizeBytes));
        Assert.NotEmpty(clone.Handle);
        Assert.Equal(Text("data"), Read(id, 3, 4));
    }

    [Fact]
    public async Task A_larger_clone_is_grown_with_zeros()
    {
        var volume = await VolumeAsync();
        Write(volume, Size - 4, Text("tail"));
        var clone = await CloneAsync(await CutAsync(volume), Size + MiB + 1);
        Assert.Equal(Text("tail"), Read(clone, Size - 4, 4));
        Assert.False(Read(clone, Size, MiB + 1).AsSpan().ContainsAnyExcept((byte)0));
        Write(clone, Size + MiB, [1]);
        Assert.Equal(Size + MiB + 1, (await CutAsync(clone)).SizeBytes);
    }

    [Theory]
    [InlineData(Size - 1)]
    [InlineData(1)]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public async Task A_clone_of_an_impossible_size_is_refused_and_not_made(long size)
    {
        var snapshot = await CutAsync(await VolumeAsync());
        var id = VolumeId.New();
        await RefusedAsync(ErrorKind.InvalidRequest, () => driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, snapshot.Snapshot, size, null, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(id, SnapshotId.New(), null, Ct));
    }

    [Fact]
    public async Task A_clone_of_something_absent_is_refused_and_not_made()
    {
        var snapshot = await CutAsync(await VolumeAsync());
        var (id, other) = (VolumeId.New(), await VolumeAsync());
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, SnapshotId.New(), Size, null, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateVolumeFromSnapshotAsync(id, VolumeId.New(), snapshot.Snapshot, Size, null, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateVolumeFromSnapshotAsync(id, other, snapshot.Snapshot, Size, null, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(id, SnapshotId.New(), null, Ct));
    }

    [Fact]
    public async Task Cloning_again_gives_the_same_volume_and_keeps_what_was_written_to_it()
    {
        var snapshot = await CutAsync(await VolumeAsync());
        var id = VolumeId.New();
        var first = await driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, snapshot.Snapshot, Size, null, Ct);
        Write(id, 0, Text("mine"));
        Assert.Equal(first, await driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, snapshot.Snapshot, Size, null, Ct));
        Assert.Equal(Text("mine"), Read(id, 0, 4));
    }

    [Fact]
    public async Task Cloning_again_otherwise_is_a_conflict_and_changes_nothing()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("one"));
        var one = await CutAsync(volume);
        Write(volume, 0, Text("two"));
        var two = await CutAsync(volume);
        var clone = await CloneAsync(one);
        await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateVolumeFromSnapshotAsync(clone, volume, one.Snapshot, 2 * Size, null, Ct));
        await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateVolumeFromSnapshotAsync(clone, volume, two.Snapshot, Size, null, Ct));
        await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateVolumeAsync(clone, Size, Ct));
        await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateVolumeFromSnapshotAsync(volume, volume, one.Snapshot, Size, null, Ct));
        Assert.Equal(Text("one"), Read(clone, 0, 3));
        Assert.Equal(Text("two"), Read(volume, 0, 3));
    }

    [Fact]
    public async Task Writing_to_a_clone_changes_neither_the_snapshot_nor_the_volume()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("base"));
        var snapshot = await CutAsync(volume);
        Write(await CloneAsync(snapshot), 0, Text("mine"));
        Assert.Equal(Text("base"), Read(await CloneAsync(snapshot), 0, 4));
        Assert.Equal(Text("base"), Read(volume, 0, 4));
    }

    [Fact]
    public async Task Cloning_one_volume_many_times_at_once_gives_one_volume()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("data"));
        var snapshot = await CutAsync(volume);
        var id = VolumeId.New();
        var made = await AtOnceAsync(8, d => d.CreateVolumeFromSnapshotAsync(id, volume, snapshot.Snapshot, Size, null, Ct));
        Assert.Single(made.Distinct());
        Assert.Equal(Text("data"), Read(id, 0, 4));
    }

    [Fact]
    public async Task Many_clones_of_one_snapshot_are_made_at_once()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("data"));
        var snapshot = await CutAsync(volume);
        var clones = await AtOnceAsync(8, d => d.CreateVolumeFromSnapshotAsync(VolumeId.New(), volume, snapshot.Snapshot, Size, null, Ct));
        Assert.All(clones, c => Assert.Equal(Text("data"), Read(c.Volume, 0, 4)));
    }

    [Fact]
    public async Task A_snapshot_with_clones_is_deleted_or_refused_as_the_capabilities_say()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("data"));
        var snapshot = await CutAsync(volume);
        var clone = await CloneAsync(snapshot);
        if (driver.Capabilities.IndependentClones)
        {
            await driver.DeleteSnapshotAsync(volume, snapshot.Snapshot, Ct);
            await driver.DeleteVolumeAsync(volume, Ct);
            // The same request again still finds its volume, though what it was made from is gone.
            await driver.CreateVolumeFromSnapshotAsync(clone, volume, snapshot.Snapshot, Size, null, Ct);
        }
        else
        {
            var refusal = await RefusedAsync(ErrorKind.Busy, () => driver.DeleteSnapshotAsync(volume, snapshot.Snapshot, Ct));
            Assert.Contains(Names.Volume(clone), refusal.Message, StringComparison.Ordinal);
            Assert.Equal(snapshot, await driver.FindSnapshotAsync(volume, snapshot.Snapshot, Ct));
        }

        Assert.Equal(Text("data"), Read(clone, 0, 4));
    }

    [Fact]
    public async Task A_snapshot_whose_clones_are_deleted_can_be_deleted()
    {
        var snapshot = await CutAsync(await VolumeAsync());
        await driver.DeleteVolumeAsync(await CloneAsync(snapshot), Ct);
        await driver.DeleteSnapshotAsync(snapshot.Volume, snapshot.Snapshot, Ct);
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task Cloning_and_deleting_the_snapshot_at_once_leaves_a_whole_clone_or_none()
    {
        for (var round = 0; round < 10; round++)
        {
            var volume = await VolumeAsync();
            Write(volume, 0, Text("whole"));
            var snapshot = await CutAsync(volume);
            var id = VolumeId.New();
            var clone = TolerateAsync(() => driver.CreateVolumeFromSnapshotAsync(id, volume, snapshot.Snapshot, Size, null, Ct), ErrorKind.NotFound);
            var delete = TolerateAsync(() => driver.DeleteSnapshotAsync(volume, snapshot.Snapshot, Ct), ErrorKind.Busy);
            var (cloneRefused, _) = (await clone, await delete);
            if (cloneRefused)
            {
                await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(id, SnapshotId.New(), null, Ct));
            }
            else
            {
                Assert.Equal(Text("whole"), Read(id, 0, 5));
            }
        }
    }
}
