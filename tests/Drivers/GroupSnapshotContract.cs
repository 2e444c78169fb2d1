using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <summary>The sentences of <see cref="IGroupSnapshots"/>, checked one by one, for drivers that have the ability.</summary>
public abstract class GroupSnapshotContract : IAsyncLifetime
{
    private const long Size = 4 << 20;

    private IVolumeDriver driver = null!;

    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <inheritdoc cref="VolumeDriverContract.Open"/>
    protected abstract IVolumeDriver Open();

    /// <inheritdoc cref="VolumeDriverContract.Write"/>
    protected abstract void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes);

    /// <inheritdoc cref="VolumeDriverContract.Read"/>
    protected abstract byte[] Read(VolumeId volume, long offset, int count);

    /// <summary>Makes this test's storage, or skips the test with the reason.</summary>
    protected virtual ValueTask PrepareAsync() => ValueTask.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        driver = Open();
        await driver.CheckAsync(Ct);
    }

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private IGroupSnapshots Groups => driver.Groups ?? throw new InvalidOperationException("the driver has no group cuts");

    [Fact]
    public async Task Every_member_gets_its_snapshot_and_all_have_one_instant()
    {
        var members = await MembersAsync(3);
        var before = TimeProvider.System.GetUtcNow();
        var cut = await Groups.CreateGroupSnapshotAsync(members, Ct);
        Assert.Equal(members, cut.Select(c => new GroupMember(c.Volume, c.Snapshot)));
        Assert.InRange(Assert.Single(cut.Select(c => c.CreatedAt).Distinct()), before, TimeProvider.System.GetUtcNow());
        Assert.All(cut, c => Assert.Equal(Size, c.SizeBytes));
        Assert.Equal(3, cut.Select(c => c.Handle).Distinct().Count());
    }

    [Fact]
    public async Task Each_snapshot_is_found_and_listed_as_any_other()
    {
        var cut = await Groups.CreateGroupSnapshotAsync(await MembersAsync(3), Ct);
        foreach (var snapshot in cut)
        {
            Assert.Equal(snapshot, await driver.FindSnapshotAsync(snapshot.Volume, snapshot.Snapshot, Ct));
        }

        Assert.Equal(cut.OrderBy(c => c.Snapshot.ToString(), StringComparer.Ordinal), (await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
    }

    [Fact]
    public async Task Volumes_made_from_the_snapshots_have_the_bytes_of_the_instant()
    {
        var members = await MembersAsync(3);
        foreach (var (member, i) in members.Select((m, i) => (m, i)))
        {
            Write(member.Volume, 4096 * i, [(byte)(i + 1)]);
        }

        var cut = await Groups.CreateGroupSnapshotAsync(members, Ct);
        foreach (var (snapshot, i) in cut.Select((s, i) => (s, i)))
        {
            Write(snapshot.Volume, 4096 * i, [99]);
            var clone = VolumeId.New();
            await driver.CreateVolumeFromSnapshotAsync(clone, snapshot.Volume, snapshot.Snapshot, Size + 4096, null, Ct);
            Assert.Equal([(byte)(i + 1)], Read(clone, 4096 * i, 1));
            Assert.Equal(new byte[4096], Read(clone, Size, 4096));
        }
    }

    [Fact]
    public async Task Cutting_again_in_any_order_gives_the_same_snapshots_also_after_a_restart()
    {
        var members = await MembersAsync(3);
        var first = await Groups.CreateGroupSnapshotAsync(members, Ct);
        Write(members[0].Volume, 0, [1]);
        Assert.Equal(first, await Groups.CreateGroupSnapshotAsync(members, Ct));
        var restarted = Open();
        await restarted.CheckAsync(Ct);
        Assert.Equal(first.Reverse(), await restarted.Groups!.CreateGroupSnapshotAsync([.. members.Reverse()], Ct));
    }

    [Fact]
    public async Task The_same_cut_asked_for_many_times_at_once_is_made_once()
    {
        var members = await MembersAsync(2);
        var cuts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Groups.CreateGroupSnapshotAsync(members, Ct), Ct)));
        Assert.Equal(2, (await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots.Count);
        Assert.All(cuts, c => Assert.Equal(cuts[0], c));
    }

    [Fact]
    public async Task With_one_volume_absent_nothing_is_cut()
    {
        var members = await MembersAsync(2);
        var refusal = await RefusedAsync(ErrorKind.NotFound, [.. members, new(VolumeId.New(), SnapshotId.New())]);
        Assert.NotEmpty(refusal.Message);
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        foreach (var member in members)
        {
            Assert.Null(await driver.FindSnapshotAsync(member.Volume, member.Snapshot, Ct));
        }

        Assert.Equal(2, (await Groups.CreateGroupSnapshotAsync(members, Ct)).Count);
    }

    [Fact]
    public async Task An_id_that_names_another_snapshot_is_a_conflict_and_nothing_is_cut()
    {
        var (members, other) = (await MembersAsync(2), (await MembersAsync(1))[0]);
        await driver.CreateSnapshotAsync(other.Volume, other.Snapshot, null, Ct);
        await RefusedAsync(ErrorKind.StaleStatus, [members[0], members[1] with { Snapshot = other.Snapshot }]);
        Assert.Equal(other.Snapshot, Assert.Single((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots).Snapshot);
    }

    [Fact]
    public async Task Impossible_groups_are_refused()
    {
        var members = await MembersAsync(2);
        await RefusedAsync(ErrorKind.InvalidRequest, []);
        await RefusedAsync(ErrorKind.InvalidRequest, [members[0], members[0]]);
        await RefusedAsync(ErrorKind.InvalidRequest, [members[0], members[1] with { Snapshot = members[0].Snapshot }]);
        await RefusedAsync(ErrorKind.InvalidRequest, [.. Enumerable.Range(0, GroupMember.MaxMembers + 1).Select(_ => new GroupMember(VolumeId.New(), SnapshotId.New()))]);
    }

    [Fact]
    public async Task Snapshots_are_deleted_one_by_one_and_with_the_last_one_nothing_is_left()
    {
        var members = await MembersAsync(3);
        await Groups.CreateGroupSnapshotAsync(members, Ct);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(3 - i, (await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots.Count);
            await driver.DeleteSnapshotAsync(members[i].Volume, members[i].Snapshot, Ct);
            await driver.DeleteSnapshotAsync(members[i].Volume, members[i].Snapshot, Ct);
        }

        foreach (var member in members)
        {
            await driver.DeleteVolumeAsync(member.Volume, Ct);
        }
    }

    [Fact]
    public async Task Snapshots_are_deleted_all_at_once()
    {
        var members = await MembersAsync(4);
        await Groups.CreateGroupSnapshotAsync(members, Ct);
        await Task.WhenAll(members.Select(m => driver.DeleteSnapshotAsync(m.Volume, m.Snapshot, Ct)));
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        await Task.WhenAll(members.Select(m => driver.DeleteVolumeAsync(m.Volume, Ct)));
    }

    [Fact]
    public async Task A_volume_whose_snapshot_was_cut_with_others_cannot_be_deleted_and_the_refusal_names_it()
    {
        var members = await MembersAsync(2);
        await Groups.CreateGroupSnapshotAsync(members, Ct);
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.DeleteVolumeAsync(members[1].Volume, Ct));
        Assert.Equal(ErrorKind.Busy, refusal.Kind);
        Assert.Contains(Names.Snapshot(members[1].Snapshot), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_volume_is_cut_with_others_again_and_on_its_own()
    {
        var members = await MembersAsync(2);
        await Groups.CreateGroupSnapshotAsync(members, Ct);
        await Groups.CreateGroupSnapshotAsync([.. members.Select(m => m with { Snapshot = SnapshotId.New() })], Ct);
        await driver.CreateSnapshotAsync(members[0].Volume, SnapshotId.New(), null, Ct);
        Assert.Equal(5, (await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots.Count);
    }

    [Fact]
    public async Task A_cut_under_write_load_is_one_instant_of_all_volumes()
    {
        var members = await MembersAsync(3);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var writing = Task.Factory.StartNew(() =>
        {
            // One volume after the other: at any instant the numbers do not rise from volume to volume, and differ by one at most.
            for (var n = 1L; !stop.IsCancellationRequested; n++)
            {
                foreach (var member in members)
                {
                    Write(member.Volume, 0, BitConverter.GetBytes(n));
                }
            }
        }, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            for (var round = 0; round < 3; round++)
            {
                var cut = await Groups.CreateGroupSnapshotAsync([.. members.Select(m => m with { Snapshot = SnapshotId.New() })], Ct);
                var numbers = new List<long>();
                foreach (var snapshot in cut)
                {
                    var clone = VolumeId.New();
                    await driver.CreateVolumeFromSnapshotAsync(clone, snapshot.Volume, snapshot.Snapshot, Size, null, Ct);
                    numbers.Add(BitConverter.ToInt64(Read(clone, 0, 8)));
                }

                Assert.Equal(numbers.OrderDescending(), numbers);
                Assert.InRange(numbers[0] - numbers[^1], 0, 1);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await writing;
        }
    }

    [Fact]
    public async Task A_cut_that_is_cancelled_before_it_began_does_nothing()
    {
        var members = await MembersAsync(2);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Groups.CreateGroupSnapshotAsync(members, new CancellationToken(canceled: true)));
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
    }

    private async Task<IReadOnlyList<GroupMember>> MembersAsync(int count)
    {
        var members = Enumerable.Range(0, count).Select(_ => new GroupMember(VolumeId.New(), SnapshotId.New())).ToList();
        foreach (var member in members)
        {
            await driver.CreateVolumeAsync(member.Volume, Size, Ct);
        }

        return members;
    }

    private async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, IReadOnlyList<GroupMember> members)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => Groups.CreateGroupSnapshotAsync(members, Ct));
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        return refusal;
    }
}
