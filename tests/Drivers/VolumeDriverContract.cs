using System.Collections.Concurrent;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <summary>
/// The sentences of <see cref="IVolumeDriver"/>, checked one by one. A driver's tests derive from this class and say three things: how to open a driver over
/// one storage, how to write to a volume, and how to read it. Every test has a storage of its own.
/// </summary>
public abstract class VolumeDriverContract : IAsyncLifetime
{
    private const int KiB = 1024, MiB = 1024 * KiB;
    private const long Size = 4 * MiB;

    private IVolumeDriver driver = null!;

    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>A new driver over this test's storage, as another process or the next start of this one would have it.</summary>
    protected abstract IVolumeDriver Open();

    /// <summary>Writes to a volume as an attached server would.</summary>
    protected abstract void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Reads a volume as an attached server would.</summary>
    protected abstract byte[] Read(VolumeId volume, long offset, int count);

    /// <summary>Makes this test's storage, or skips the test with the reason.</summary>
    protected virtual ValueTask PrepareAsync() => ValueTask.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        driver = await OpenCheckedAsync();
    }

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    // ---- the driver itself

    [Fact]
    public async Task Checking_twice_is_harmless()
    {
        await driver.CheckAsync(Ct);
        await driver.CheckAsync(Ct);
    }

    [Fact]
    public void Capabilities_name_the_back_end_and_a_usable_size()
    {
        Assert.Matches("^[a-z][a-z0-9-]*$", driver.Capabilities.Backend);
        Assert.True(driver.Capabilities.MaxVolumeBytes >= 1L << 30);
    }

    // ---- volumes

    [Fact]
    public async Task A_new_volume_has_the_size_asked_for_and_reads_as_zeros()
    {
        var id = VolumeId.New();
        var made = await driver.CreateVolumeAsync(id, Size, Ct);
        Assert.Equal((id, Size), (made.Volume, made.SizeBytes));
        Assert.NotEmpty(made.Handle);
        Assert.All(Read(id, 0, (int)Size), b => Assert.Equal(0, b));
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

    // ---- cutting

    [Fact]
    public async Task A_snapshot_says_what_it_is_and_when_it_was_cut()
    {
        var volume = await VolumeAsync();
        var id = SnapshotId.New();
        var before = TimeProvider.System.GetUtcNow();
        var made = await driver.CreateSnapshotAsync(volume, id, null, Ct);
        var after = TimeProvider.System.GetUtcNow();
        Assert.Equal((id, volume, Size), (made.Snapshot, made.Volume, made.SizeBytes));
        Assert.NotEmpty(made.Handle);
        Assert.InRange(made.CreatedAt, before, after);
        Assert.Equal(TimeSpan.Zero, made.CreatedAt.Offset);
    }

    [Fact]
    public async Task A_snapshot_of_an_absent_volume_is_refused_and_not_made()
    {
        var (volume, snapshot) = (VolumeId.New(), SnapshotId.New());
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task Cutting_again_gives_the_same_snapshot_with_the_time_of_its_one_cut()
    {
        var volume = await VolumeAsync();
        var first = await CutAsync(volume);
        Assert.Equal(first, await driver.CreateSnapshotAsync(volume, first.Snapshot, null, Ct));
        Assert.Equal(first, await driver.CreateSnapshotAsync(volume, first.Snapshot, null, Ct));
        Assert.Single(await ListAsync());
    }

    [Fact]
    public async Task Cutting_again_does_not_read_the_volume_again()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("old"));
        var first = await CutAsync(volume);
        Write(volume, 0, Text("new"));
        await driver.CreateSnapshotAsync(volume, first.Snapshot, null, Ct);
        Assert.Equal(Text("old"), Read(await CloneAsync(first), 0, 3));
    }

    [Fact]
    public async Task A_snapshot_id_of_another_volume_is_a_conflict_and_changes_nothing()
    {
        var (mine, other) = (await VolumeAsync(), await VolumeAsync());
        var first = await CutAsync(mine);
        var refusal = await RefusedAsync(ErrorKind.StaleStatus, () => driver.CreateSnapshotAsync(other, first.Snapshot, null, Ct));
        Assert.Contains(mine.ToString(), refusal.Message, StringComparison.Ordinal);
        Assert.Equal([first], await ListAsync());
    }

    [Fact]
    public async Task What_was_written_before_the_cut_is_in_the_snapshot_and_what_came_after_is_not()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("before"));
        Write(volume, Size - 6, Text("before"));
        var snapshot = await CutAsync(volume);
        Write(volume, 0, Text("after!"));
        Write(volume, MiB, Text("after!"));
        var clone = await CloneAsync(snapshot);
        Assert.Equal(Text("before"), Read(clone, 0, 6));
        Assert.Equal(Text("before"), Read(clone, Size - 6, 6));
        Assert.Equal(new byte[6], Read(clone, MiB, 6));
    }

    [Fact]
    public async Task Data_and_holes_come_back_exactly_as_they_were()
    {
        var volume = await VolumeAsync();
        var random = new Random(20240501);
        for (var i = 0; i < 40; i++)
        {
            var bytes = new byte[random.Next(1, 40 * KiB)];
            random.NextBytes(bytes);
            Write(volume, random.NextInt64(0, Size - bytes.Length), bytes);
        }

        var clone = await CloneAsync(await CutAsync(volume));
        Assert.True(Read(volume, 0, (int)Size).AsSpan().SequenceEqual(Read(clone, 0, (int)Size)));
    }

    [Fact]
    public async Task Each_snapshot_of_a_volume_has_the_bytes_of_its_own_cut()
    {
        var volume = await VolumeAsync();
        var cuts = new List<CreatedSnapshot>();
        for (byte i = 1; i <= 5; i++)
        {
            Write(volume, 0, [i]);
            cuts.Add(await CutAsync(volume));
        }

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(i + 1, Read(await CloneAsync(cuts[i]), 0, 1)[0]);
        }

        Assert.Equal(cuts.Select(c => c.CreatedAt).Order(), cuts.Select(c => c.CreatedAt));
    }

    [Fact]
    public async Task A_cut_under_write_load_is_one_instant_where_the_back_end_says_so()
    {
        Assert.SkipUnless(driver.Capabilities.InstantSnapshot, "this back end copies: a cut under write load is no instant, as its capabilities say");
        var volume = await VolumeAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var writing = Task.Factory.StartNew(() =>
        {
            // First at the end, then at the beginning: at any instant the end is equal or one ahead.
            for (var n = 1L; !stop.IsCancellationRequested; n++)
            {
                Write(volume, Size - 8, BitConverter.GetBytes(n));
                Write(volume, 0, BitConverter.GetBytes(n));
            }
        }, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var cuts = new List<CreatedSnapshot>();
        for (var i = 0; i < 10; i++)
        {
            cuts.Add(await CutAsync(volume));
        }

        await stop.CancelAsync();
        await writing;
        foreach (var cut in cuts)
        {
            var clone = await CloneAsync(cut);
            var (first, second) = (BitConverter.ToInt64(Read(clone, Size - 8, 8)), BitConverter.ToInt64(Read(clone, 0, 8)));
            Assert.InRange(first - second, 0, 1);
        }
    }

    [Fact]
    public async Task Cutting_one_snapshot_many_times_at_once_makes_one_snapshot()
    {
        var volume = await VolumeAsync();
        var id = SnapshotId.New();
        var made = await AtOnceAsync(16, d => d.CreateSnapshotAsync(volume, id, null, Ct));
        Assert.Single(made.Distinct());
        Assert.Equal(made[0], Assert.Single(await ListAsync()));
    }

    [Fact]
    public async Task Cutting_one_snapshot_id_of_two_volumes_at_once_makes_one_snapshot_and_conflicts()
    {
        var volumes = new[] { await VolumeAsync(), await VolumeAsync() };
        var id = SnapshotId.New();
        var turn = -1;
        var outcomes = await AtOnceAsync(8, async d =>
        {
            var volume = volumes[Interlocked.Increment(ref turn) % 2];
            try
            {
                return (await d.CreateSnapshotAsync(volume, id, null, Ct)).Volume;
            }
            catch (SnapshotFlowException e) when (e.Kind == ErrorKind.StaleStatus)
            {
                return default;
            }
        });
        var winner = Assert.Single(await ListAsync());
        Assert.Equal(4, outcomes.Count(v => v == winner.Volume));
        Assert.Equal(4, outcomes.Count(v => v == default));
    }

    [Fact]
    public async Task Many_volumes_are_cut_at_once()
    {
        var volumes = new List<VolumeId>();
        for (byte i = 0; i < 16; i++)
        {
            volumes.Add(await VolumeAsync());
            Write(volumes[i], 7, [i]);
        }

        var cuts = await Task.WhenAll(volumes.Select(v => driver.CreateSnapshotAsync(v, SnapshotId.New(), null, Ct)));
        Assert.Equal(volumes, cuts.Select(c => c.Volume));
        for (var i = 0; i < 16; i++)
        {
            Assert.Equal(i, Read(await CloneAsync(cuts[i]), 7, 1)[0]);
        }
    }

    [Fact]
    public async Task Many_snapshots_of_one_volume_are_cut_at_once()
    {
        var volume = await VolumeAsync();
        var cuts = await AtOnceAsync(12, d => d.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct));
        Assert.Equal(12, cuts.Distinct().Count());
        Assert.Equal(12, (await ListAsync()).Count);
    }

    [Fact]
    public async Task A_snapshot_can_be_taken_of_a_clone()
    {
        var volume = await VolumeAsync();
        Write(volume, 0, Text("deep"));
        var clone = await CloneAsync(await CutAsync(volume));
        var second = await CutAsync(clone);
        Assert.Equal(clone, second.Volume);
        Assert.Equal(Text("deep"), Read(await CloneAsync(second), 0, 4));
    }

    // ---- finding

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

    // ---- a new driver instance: restart of the worker

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

    // ---- deleting snapshots

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
                    return true;
                }

                await d.CreateSnapshotAsync(volume, id, null, Ct);
                return false;
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

    // ---- listing

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

    // ---- clones

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
        Assert.All(Read(clone, Size, MiB + 1), b => Assert.Equal(0, b));
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

    // ---- cancellation

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

    // ---- progress

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

    // ---- what the tests are made of

    /// <summary>Large enough that a copying driver has to copy in several steps.</summary>
    protected const long LargeBytes = 48 * MiB;

    protected async Task<IVolumeDriver> OpenCheckedAsync()
    {
        var opened = Open();
        await opened.CheckAsync(Ct);
        return opened;
    }

    protected async Task<VolumeId> VolumeAsync(long size = Size)
    {
        var id = VolumeId.New();
        await driver.CreateVolumeAsync(id, size, Ct);
        return id;
    }

    protected async Task<VolumeId> LargeVolumeAsync()
    {
        var volume = await VolumeAsync(LargeBytes);
        var bytes = new byte[MiB];
        for (var i = 0; i < LargeBytes / MiB; i += 2)
        {
            Array.Fill(bytes, (byte)(i + 1));
            Write(volume, (long)i * MiB, bytes);
        }

        return volume;
    }

    protected Task<CreatedSnapshot> CutAsync(VolumeId volume) => driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct);

    protected async Task<VolumeId> CloneAsync(CreatedSnapshot snapshot, long? size = null)
    {
        var id = VolumeId.New();
        await driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, snapshot.Snapshot, size ?? snapshot.SizeBytes, null, Ct);
        return id;
    }

    protected static async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, Func<Task> call)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(call);
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        Assert.NotEmpty(refusal.Message);
        return refusal;
    }

    private async Task<List<CreatedSnapshot>> CutManyAsync(int count)
    {
        var volume = await VolumeAsync();
        var made = new List<CreatedSnapshot>();
        for (var i = 0; i < count; i++)
        {
            made.Add(await CutAsync(volume));
        }

        return [.. made.OrderBy(s => s.Snapshot.ToString(), StringComparer.Ordinal)];
    }

    private async Task<List<CreatedSnapshot>> ListAsync()
    {
        var page = await driver.ListSnapshotsAsync(null, SnapshotPage.MaxLimit, Ct);
        Assert.Null(page.Next);
        return [.. page.Snapshots];
    }

    /// <summary>Runs a call many times at the same moment, half of them through another driver instance, as another process would.</summary>
    private async Task<T[]> AtOnceAsync<T>(int count, Func<IVolumeDriver, Task<T>> call)
    {
        var other = await OpenCheckedAsync();
        using var start = new Barrier(count);
        return await Task.WhenAll(Enumerable.Range(0, count).Select(i => Task.Factory.StartNew(() =>
        {
            start.SignalAndWait(Ct);
            return call(i % 2 == 0 ? driver : other);
        }, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
    }

    /// <summary>Whether the call was refused with this kind; any other failure is a failure.</summary>
    private static async Task<bool> TolerateAsync(Func<Task> call, ErrorKind refusal)
    {
        try
        {
            await call();
            return false;
        }
        catch (SnapshotFlowException e) when (e.Kind == refusal)
        {
            return true;
        }
    }

    /// <summary>What a call gave that was cancelled on its way: its result, or null when the cancellation came in time.</summary>
    private static async Task<T?> EndedAsync<T>(Func<Task<T>> call) where T : class
    {
        try
        {
            return await call();
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private static async Task CancelledAsync(Func<Task> call) => await Assert.ThrowsAnyAsync<OperationCanceledException>(call);

    private void Same(VolumeId expected, VolumeId actual)
    {
        for (long at = 0; at < LargeBytes; at += MiB)
        {
            Assert.True(Read(expected, at, MiB).AsSpan().SequenceEqual(Read(actual, at, MiB)), $"bytes from {at} differ");
        }
    }

    protected static byte[] Text(string text) => System.Text.Encoding.ASCII.GetBytes(text);

    private sealed class Reports(Action<DriverProgress>? then = null) : IProgress<DriverProgress>
    {
        public ConcurrentQueue<DriverProgress> Seen { get; } = [];

        public void Report(DriverProgress value)
        {
            Seen.Enqueue(value);
            then?.Invoke(value);
        }
    }
}
