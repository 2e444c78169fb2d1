using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>What only a Ceph cluster can do, and do wrong.</summary>
public sealed class RbdDriverOnACluster : OnACluster
{
    [Fact]
    public async Task Images_and_snapshots_are_named_and_protected_as_Cinder_does()
    {
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal([$"volume-{volume}"], space.Images());
        using var image = Image(volume);
        Assert.Equal($"snapshot-{snapshot}", Assert.Single(image.Snapshots()).Name);
        Assert.True(image.IsProtected($"snapshot-{snapshot}"));
    }

    [Fact]
    public async Task A_cut_that_was_broken_off_before_it_was_protected_is_finished_by_the_next_attempt()
    {
        // What a worker that died leaves: the claim and the snapshot.
        Assert.True(new RbdLedger(space.Pool).Change(snapshot, null, new(volume, Cut: null, 0, default, Group: null)));
        using (var image = Image(volume))
        {
            image.Cut(Names.Snapshot(snapshot));
        }

        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
        space.Write(Names.Volume(volume), 0, "gone"u8);
        var made = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal(made, await driver.FindSnapshotAsync(volume, snapshot, Ct));
        using (var image = Image(volume))
        {
            Assert.True(image.IsProtected(Names.Snapshot(snapshot)));
        }

        var clone = VolumeId.New();
        await driver.CreateVolumeFromSnapshotAsync(clone, volume, snapshot, Size, null, Ct);
        Assert.Equal("live"u8, space.Read(Names.Volume(clone), 0, 4));
    }

    [Fact]
    public async Task A_snapshot_that_lost_its_protection_is_protected_again_by_the_same_request()
    {
        var made = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        using var image = Image(volume);
        Assert.Equal(0, Librbd.rbd_snap_unprotect(image.Handle, Names.Snapshot(snapshot)));
        Assert.Equal(made, await driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        using var again = Image(volume);
        Assert.True(again.IsProtected(Names.Snapshot(snapshot)));
    }

    [Fact]
    public async Task Volumes_and_snapshots_that_Cinder_made_are_found_and_used()
    {
        var (foreign, foreignSnapshot, clone) = (VolumeId.New(), SnapshotId.New(), VolumeId.New());
        Librbd.rbd_image_options_create(out var options);
        Assert.Equal(0, Librbd.rbd_create4(space.Pool, Names.Volume(foreign), (ulong)Size, options));
        Librbd.rbd_image_options_destroy(options);
        space.Write(Names.Volume(foreign), 0, "cinder"u8);
        using (var image = Image(foreign))
        {
            image.Cut(Names.Snapshot(foreignSnapshot));
            Assert.Null(await driver.FindSnapshotAsync(foreign, foreignSnapshot, Ct));
            image.Protect(Names.Snapshot(foreignSnapshot));
        }

        Assert.Equal(Size, (await driver.FindSnapshotAsync(foreign, foreignSnapshot, Ct))!.SizeBytes);
        await driver.CreateVolumeFromSnapshotAsync(clone, foreign, foreignSnapshot, Size, null, Ct);
        Assert.Equal("cinder"u8, space.Read(Names.Volume(clone), 0, 6));
        Assert.Equal(Size, (await driver.CreateVolumeAsync(foreign, Size, Ct)).SizeBytes);
        await driver.CreateSnapshotAsync(foreign, snapshot, null, Ct);
    }

    [Fact]
    public async Task A_snapshot_that_was_removed_by_other_means_is_gone_and_can_be_cut_anew()
    {
        var first = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        using (var image = Image(volume))
        {
            image.Remove(image.Snapshot(Names.Snapshot(snapshot))!);
        }

        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        var second = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.True(second.CreatedAt > first.CreatedAt);
    }

    [Fact]
    public async Task A_volume_that_was_broken_off_while_it_was_made_is_no_volume_and_is_made_again()
    {
        var half = VolumeId.New();
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        await driver.CreateVolumeAsync(half, Size, Ct);
        using (var note = RbdVolumeNote.Lock(space.Pool, half, exclusive: true, TimeSpan.FromSeconds(5), Ct))
        {
            note.Write(new(snapshot, 2 * Size, Whole: false));
        }

        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CreateSnapshotAsync(half, SnapshotId.New(), null, Ct));
        Assert.Equal(ErrorKind.NotFound, refusal.Kind);
        var made = await driver.CreateVolumeFromSnapshotAsync(half, volume, snapshot, 2 * Size, null, Ct);
        Assert.Equal(2 * Size, made.SizeBytes);
        Assert.Equal("live"u8, space.Read(Names.Volume(half), 0, 4));
    }

    [Fact]
    public async Task A_clone_that_is_flattened_lets_its_snapshot_go()
    {
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        var clone = VolumeId.New();
        await driver.CreateVolumeFromSnapshotAsync(clone, volume, snapshot, Size, null, Ct);
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.DeleteSnapshotAsync(volume, snapshot, Ct));
        Assert.Equal(ErrorKind.Busy, refusal.Kind);
        Assert.Contains(Names.Volume(clone), refusal.Message, StringComparison.Ordinal);

        await driver.FlattenVolumeAsync(clone, null, Ct);
        await driver.FlattenVolumeAsync(clone, null, Ct);
        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        await driver.DeleteVolumeAsync(volume, Ct);
        Assert.Equal("live"u8, space.Read(Names.Volume(clone), 0, 4));
        // Still the volume that was asked for.
        await driver.CreateVolumeFromSnapshotAsync(clone, volume, snapshot, Size, null, Ct);
    }

    [Fact]
    public async Task A_volume_is_reverted_to_a_snapshot_and_loses_what_came_after()
    {
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        space.Write(Names.Volume(volume), 0, "oops"u8);
        await driver.RevertToSnapshotAsync(volume, snapshot, null, Ct);
        await driver.RevertToSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal("live"u8, space.Read(Names.Volume(volume), 0, 4));
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.RevertToSnapshotAsync(volume, SnapshotId.New(), null, Ct));
        Assert.Equal(ErrorKind.NotFound, refusal.Kind);
    }

    [Fact]
    public async Task A_volume_that_a_client_has_open_is_not_deleted_and_the_refusal_says_why()
    {
        using (Image(volume))
        {
            var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.DeleteVolumeAsync(volume, Ct));
            Assert.Equal(ErrorKind.Busy, refusal.Kind);
            Assert.Contains("rbd status", refusal.Message, StringComparison.Ordinal);
        }

        await driver.DeleteVolumeAsync(volume, Ct);
    }

    [Fact]
    public async Task A_group_cut_that_was_broken_off_is_finished_or_deleted()
    {
        var members = new[] { new GroupMember(volume, snapshot), new GroupMember(VolumeId.New(), SnapshotId.New()) };
        await driver.CreateVolumeAsync(members[1].Volume, Size, Ct);
        var group = $"snapshotflow-{members.Select(m => m.Snapshot.ToString()).Order(StringComparer.Ordinal).First()}";
        // What a worker leaves that died after it had cut: the images are still in the group, nothing is written down.
        Assert.Equal(0, Librbd.rbd_group_create(space.Pool, group));
        foreach (var member in members)
        {
            Assert.Equal(0, Librbd.rbd_group_image_add(space.Pool, group, space.Pool, Names.Volume(member.Volume)));
            Assert.True(new RbdLedger(space.Pool).Change(member.Snapshot, null, new(member.Volume, Cut: null, 0, default, group)));
        }

        Assert.Equal(0, Librbd.rbd_group_snap_create(space.Pool, group, "cut"));
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        await driver.DeleteSnapshotAsync(members[1].Volume, members[1].Snapshot, Ct);
        await driver.DeleteVolumeAsync(members[1].Volume, Ct);

        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        await driver.DeleteVolumeAsync(volume, Ct);
    }

    private RbdImage Image(VolumeId id) => RbdImage.TryOpen(space.Pool, Names.Volume(id), readOnly: false)!;
}
