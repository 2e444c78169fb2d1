using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <content>Cuts: what is in a snapshot, and that there is one.</content>
public abstract partial class VolumeDriverContract
{
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
        try
        {
            for (var i = 0; i < 10; i++)
            {
                cuts.Add(await CutAsync(volume));
            }
        }
        finally
        {
            await stop.CancelAsync();
            await writing;
        }

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
}
