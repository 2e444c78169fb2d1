using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <content>Snapshots that are there: found, also after a restart of the worker, listed and deleted.</content>
public abstract partial class VolumeDriverContract
{
    [Fact]
    public async Task Finding_a_snapshot_gives_what_its_creation_gave()
    {
        var volume = await VolumeAsync();
        var made = await CutAsync(volume);
        Assert.Equal(made, await driver.FindSnapshotAsync(volume, made.Snapshot, Ct));
    }

    [Fact]
    public async Task Finding_says_absent_for_a_snapshot_that_is_not_there()
    {
        Assert.Null(await driver.FindSnapshotAsync(await VolumeAsync(), SnapshotId.New(), Ct));
        Assert.Null(await driver.FindSnapshotAsync(VolumeId.New(), SnapshotId.New(), Ct));
    }

    [Fact]
    public async Task Finding_says_absent_for_a_snapshot_of_another_volume()
    {
        var made = await CutAsync(await VolumeAsync());
        Assert.Null(await driver.FindSnapshotAsync(await VolumeAsync(), made.Snapshot, Ct));
    }

    [Fact]
    public async Task After_a_restart_everything_is_found_again()
    {
        var volume = await VolumeAsync();
        var made = await CutAsync(volume);
        var restarted = await OpenCheckedAsync();
        Assert.Equal(made, await restarted.FindSnapshotAsync(volume, made.Snapshot, Ct));
        Assert.Equal([made], (await restarted.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        Assert.Equal(Size, (await restarted.CreateVolumeAsync(volume, Size, Ct)).SizeBytes);
    }

    [Fact]
    public async Task After_a_restart_a_repeated_cut_is_the_first_one()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("old"));
        var made = await CutAsync(volume);
        Write(volume, 0, Text("new"));
        Assert.Equal(made, await (await OpenCheckedAsync()).CreateSnapshotAsync(volume, made.Snapshot, null, Ct));
        Assert.Equal(Text("old"), Read(await CloneAsync(made), 0, 3));
    }

    [Fact]
    public async Task After_a_restart_conflicts_are_still_conflicts()
    {
        var made = await CutAsync(await VolumeAsync());
        var clone = await CloneAsync(made);
        var other = await VolumeAsync();
        var restarted = await OpenCheckedAsync();
        await RefusedAsync(ErrorKind.StaleStatus, () => restarted.CreateSnapshotAsync(other, made.Snapshot, null, Ct));
        await RefusedAsync(ErrorKind.StaleStatus, () => restarted.CreateVolumeAsync(clone, Size, Ct));
        await RefusedAsync(ErrorKind.Busy, () => restarted.DeleteVolumeAsync(made.Volume, Ct));
    }

    [Fact]
    public async Task Deleting_an_absent_snapshot_succeeds()
    {
        await driver.DeleteSnapshotAsync(await VolumeAsync(), SnapshotId.New(), Ct);
        await driver.DeleteSnapshotAsync(VolumeId.New(), SnapshotId.New(), Ct);
    }

    [Fact]
    public async Task A_deleted_snapshot_is_gone_and_deleting_it_again_succeeds()
    {
        var made = await CutAsync(await VolumeAsync());
        await driver.DeleteSnapshotAsync(made.Volume, made.Snapshot, Ct);
        Assert.Null(await driver.FindSnapshotAsync(made.Volume, made.Snapshot, Ct));
        Assert.Empty(await ListAsync());
        await driver.DeleteSnapshotAsync(made.Volume, made.Snapshot, Ct);
    }

    [Fact]
    public async Task Deleting_a_snapshot_under_another_volume_touches_nothing()
    {
        var made = await CutAsync(await VolumeAsync());
        await driver.DeleteSnapshotAsync(await VolumeAsync(), made.Snapshot, Ct);
        Assert.Equal(made, await driver.FindSnapshotAsync(made.Volume, made.Snapshot, Ct));
    }

    [Fact]
    public async Task Deleting_one_snapshot_leaves_the_others_and_the_volume()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("live"));
        var (gone, kept) = (await CutAsync(volume), await CutAsync(volume));
        await driver.DeleteSnapshotAsync(volume, gone.Snapshot, Ct);
        Assert.Equal([kept], await ListAsync());
        Assert.Equal(Text("live"), Read(await CloneAsync(kept), 0, 4));
        Assert.Equal(Text("live"), Read(volume, 0, 4));
    }

    [Fact]
    public async Task Deleting_one_snapshot_many_times_at_once_succeeds_for_all()
    {
        var made = await CutAsync(await VolumeAsync());
        await AtOnceAsync(8, async d =>
        {
            await d.DeleteSnapshotAsync(made.Volume, made.Snapshot, Ct);
            return true;
        });
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task A_snapshot_made_again_after_its_deletion_has_the_bytes_of_the_new_cut()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("old"));
        var first = await CutAsync(volume);
        await driver.DeleteSnapshotAsync(volume, first.Snapshot, Ct);
        Write(volume, 0, Text("new"));
        var second = await driver.CreateSnapshotAsync(volume, first.Snapshot, null, Ct);
        Assert.True(second.CreatedAt > first.CreatedAt);
        Assert.Equal(Text("new"), Read(await CloneAsync(second), 0, 3));
    }

    [Fact]
    public async Task Cutting_and_deleting_at_once_leaves_a_whole_snapshot_or_none()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("whole"));
        for (var round = 0; round < 5; round++)
        {
            var id = SnapshotId.New();
            var turn = 0;
            await AtOnceAsync(6, async d =>
            {
                if (Interlocked.Increment(ref turn) % 2 == 0)
                {
                    await d.DeleteSnapshotAsync(volume, id, Ct);
                    return false;
                }

                // Whoever was overtaken by a delete may say so, in the one way that lets the caller ask again.
                return await TolerateAsync(() => d.CreateSnapshotAsync(volume, id, null, Ct), ErrorKind.BackendUnavailable);
            });
            if (await driver.FindSnapshotAsync(volume, id, Ct) is { } whole)
            {
                Assert.Equal(Text("whole"), Read(await CloneAsync(whole), 0, 5));
            }
        }
    }

    [Fact]
    public async Task Cutting_and_deleting_the_volume_at_once_never_leaves_a_snapshot_without_its_volume()
    {
        for (var round = 0; round < 10; round++)
        {
            var volume = await VolumeAsync();
            var id = SnapshotId.New();
            var cut = TolerateAsync(() => driver.CreateSnapshotAsync(volume, id, null, Ct), ErrorKind.NotFound);
            var delete = TolerateAsync(() => driver.DeleteVolumeAsync(volume, Ct), ErrorKind.Busy);
            var (cutRefused, deleteRefused) = (await cut, await delete);
            Assert.False(cutRefused && deleteRefused, "both calls were refused because of each other");
            if (await driver.FindSnapshotAsync(volume, id, Ct) is { } whole)
            {
                // The volume is still there: a second cut works.
                Assert.Equal(volume, (await CutAsync(whole.Volume)).Volume);
            }
        }
    }

    [Fact]
    public async Task The_list_of_an_empty_back_end_is_one_empty_page()
    {
        var page = await driver.ListSnapshotsAsync(null, 10, Ct);
        Assert.Empty(page.Snapshots);
        Assert.Null(page.Next);
    }

    [Fact]
    public async Task The_list_has_every_snapshot_once_in_the_order_of_their_ids()
    {
        var made = await CutManyAsync(7);
        Assert.Equal(made, await ListAsync());
    }

    [Theory]
    [InlineData(1, 7)]
    [InlineData(2, 4)]
    [InlineData(7, 1)]
    [InlineData(SnapshotPage.MaxLimit, 1)]
    public async Task Pages_are_as_long_as_asked_and_the_last_one_says_so(int limit, int pages)
    {
        var made = await CutManyAsync(7);
        var seen = new List<CreatedSnapshot>();
        string? after = null;
        var count = 0;
        do
        {
            var page = await driver.ListSnapshotsAsync(after, limit, Ct);
            Assert.InRange(page.Snapshots.Count, 1, limit);
            seen.AddRange(page.Snapshots);
            after = page.Next;
            count++;
        }
        while (after is not null);
        Assert.Equal(made, seen);
        Assert.Equal(pages, count);
    }

    [Fact]
    public async Task A_list_goes_on_when_the_last_snapshot_of_its_page_was_deleted()
    {
        var made = await CutManyAsync(5);
        var page = await driver.ListSnapshotsAsync(null, 2, Ct);
        await driver.DeleteSnapshotAsync(made[1].Volume, made[1].Snapshot, Ct);
        var rest = await driver.ListSnapshotsAsync(page.Next, 10, Ct);
        Assert.Equal(made[2..], rest.Snapshots);
    }

    [Fact]
    public async Task A_snapshot_cut_while_a_list_is_read_appears_at_most_once()
    {
        var made = await CutManyAsync(5);
        var page = await driver.ListSnapshotsAsync(null, 2, Ct);
        await CutManyAsync(5);
        var all = page.Snapshots.Concat((await driver.ListSnapshotsAsync(page.Next, 100, Ct)).Snapshots).ToList();
        Assert.Equal(all.Count, all.Select(s => s.Snapshot).Distinct().Count());
        Assert.All(made, m => Assert.Contains(m, all));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(SnapshotPage.MaxLimit + 1)]
    public async Task A_page_of_an_impossible_length_is_refused(int limit) =>
        await RefusedAsync(ErrorKind.InvalidRequest, () => driver.ListSnapshotsAsync(null, limit, Ct));

    [Theory]
    [InlineData("")]
    [InlineData("snapshot")]
    [InlineData("../../etc/passwd")]
    [InlineData("0c6a2f3f-6a01-4a53-9a53-0c6a2f3f6a01' OR 1=1")]
    public async Task A_page_after_something_that_is_no_page_end_is_refused(string after) =>
        await RefusedAsync(ErrorKind.InvalidRequest, () => driver.ListSnapshotsAsync(after, 10, Ct));
}
