using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <content>Volumes: made and deleted.</content>
public abstract partial class VolumeDriverContract
{
    [Fact]
    public async Task A_new_volume_has_the_size_asked_for_and_reads_as_zeros()
    {
        var id = VolumeId.New();
        var made = await driver.CreateVolumeAsync(id, Size, Ct);
        Assert.Equal((id, Size), (made.Volume, made.SizeBytes));
        Assert.NotEmpty(made.Handle);
        Assert.False(Read(id, 0, (int)Size).AsSpan().ContainsAnyExcept((byte)0));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4097)]
    public async Task A_volume_may_have_any_size(long size)
    {
        var volume = await VolumeAsync(size);
        Write(volume, size - 1, [0xEE]);
        var snapshot = await CutAsync(volume);
        Assert.Equal(size, snapshot.SizeBytes);
        Assert.Equal(0xEE, Read(await CloneAsync(snapshot), size - 1, 1)[0]);
    }

    [Fact]
    public async Task Creating_a_volume_again_gives_the_same_volume()
    {
        var id = VolumeId.New();
        var first = await driver.CreateVolumeAsync(id, Size, Ct);
        Assert.Equal(first, await driver.CreateVolumeAsync(id, Size, Ct));
    }

    [Fact]
    public async Task Creating_a_volume_again_keeps_what_was_written_to_it()
    {
        var volume = await VolumeAsync();
        Write(volume, 100, Text("kept"));
        await driver.CreateVolumeAsync(volume, Size, Ct);
        Assert.Equal(Text("kept"), Read(volume, 100, 4));
    }

    [Fact]
    public async Task Creating_a_volume_again_with_another_size_is_a_conflict_and_changes_nothing()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("kept"));
        await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateVolumeAsync(volume, 2 * Size, Ct));
        Assert.Equal(Text("kept"), Read(volume, 0, 4));
        Assert.Equal(Size, (await driver.CreateVolumeAsync(volume, Size, Ct)).SizeBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    public async Task A_volume_of_an_impossible_size_is_refused_and_not_made(long size)
    {
        var id = VolumeId.New();
        await RefusedAsync(ErrorKind.InvalidRequest, () => driver.CreateVolumeAsync(id, size, Ct));
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(id, SnapshotId.New(), null, Ct));
    }

    [Fact]
    public async Task A_volume_larger_than_the_capabilities_say_is_refused() =>
        await RefusedAsync(ErrorKind.InvalidRequest, () => driver.CreateVolumeAsync(VolumeId.New(), driver.Capabilities.MaxVolumeBytes + 1, Ct));

    [Fact]
    public async Task Creating_one_volume_many_times_at_once_gives_one_volume()
    {
        var id = VolumeId.New();
        var made = await AtOnceAsync(16, d => d.CreateVolumeAsync(id, Size, Ct));
        Assert.Single(made.Distinct());
    }

    [Fact]
    public async Task Deleting_an_absent_volume_succeeds() => await driver.DeleteVolumeAsync(VolumeId.New(), Ct);

    [Fact]
    public async Task A_deleted_volume_is_gone_and_deleting_it_again_succeeds()
    {
        var volume = await VolumeAsync();
        await driver.DeleteVolumeAsync(volume, Ct);
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct));
        await driver.DeleteVolumeAsync(volume, Ct);
    }

    [Fact]
    public async Task Deleting_one_volume_many_times_at_once_succeeds_for_all()
    {
        var volume = await VolumeAsync();
        await AtOnceAsync(8, async d =>
        {
            await d.DeleteVolumeAsync(volume, Ct);
            return true;
        });
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct));
    }

    [Fact]
    public async Task A_volume_made_again_after_its_deletion_is_empty()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("old"));
        await driver.DeleteVolumeAsync(volume, Ct);
        await driver.CreateVolumeAsync(volume, 2 * Size, Ct);
        Assert.Equal(new byte[3], Read(volume, 0, 3));
    }

    [Fact]
    public async Task A_volume_with_snapshots_cannot_be_deleted_and_the_refusal_names_them()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("kept"));
        var (one, two) = (await CutAsync(volume), await CutAsync(volume));
        var refusal = await RefusedAsync(ErrorKind.Busy, () => driver.DeleteVolumeAsync(volume, Ct));
        Assert.Contains(Names.Snapshot(one.Snapshot), refusal.Message, StringComparison.Ordinal);
        Assert.Contains(Names.Snapshot(two.Snapshot), refusal.Message, StringComparison.Ordinal);
        Assert.Equal(Text("kept"), Read(volume, 0, 4));
    }

    [Fact]
    public async Task A_volume_can_be_deleted_once_its_snapshots_are()
    {
        var volume = await VolumeAsync();
        var snapshot = await CutAsync(volume);
        await driver.DeleteSnapshotAsync(volume, snapshot.Snapshot, Ct);
        await driver.DeleteVolumeAsync(volume, Ct);
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct));
    }
}
