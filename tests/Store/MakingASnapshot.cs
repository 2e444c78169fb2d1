using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using static SnapshotFlow.Tests.Store.ResourceKeeping;

namespace SnapshotFlow.Tests.Store;

/// <summary>Single snapshots in the records: admitted, completed, failed, withdrawn.</summary>
public sealed class MakingASnapshot : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;
    private readonly ResourceKeeping keeping;

    public MakingASnapshot(StoreDatabase db)
    {
        this.db = db;
        db.Require();
        keeping = new(db);
    }

    public static TheoryData<string, Func<Volume, Volume>, bool, string> Refused => new()
    {
        { "no host", v => v with { Backend = null }, true, "Invalid volume: The snapshot cannot be created because volume has not been scheduled to any host." },
        { "maintenance", v => v with { Status = "maintenance" }, true, "Invalid volume: The snapshot cannot be created when the volume is in maintenance mode." },
        { "migrating", v => v with { MigrationStatus = "migrating" }, true, "Invalid volume: Snapshot cannot be created while volume is migrating." },
        { "error", v => v with { Status = "error" }, true, "Invalid volume: The snapshot cannot be created when the volume is in error status." },
        { "replica", v => v with { Status = "replica_x" }, true, "Invalid volume: Snapshot of secondary replica is not allowed." },
        { "in-use", v => v with { Status = "in-use" }, false, "Invalid volume: Volume {0} status must be available, but current status is: in-use." },
        { "attaching", v => v with { Status = "attaching" }, true, "Invalid volume: Volume {0} status must be available, in-use, but current status is: attaching." },
        { "first of several", v => v with { Backend = null, Status = "maintenance", MigrationStatus = "migrating" }, true, "Invalid volume: The snapshot cannot be created because volume has not been scheduled to any host." },
        { "maintenance before migrating", v => v with { Status = "maintenance", MigrationStatus = "migrating" }, true, "Invalid volume: The snapshot cannot be created when the volume is in maintenance mode." },
        { "migrating before error", v => v with { Status = "error", MigrationStatus = "migrating" }, true, "Invalid volume: Snapshot cannot be created while volume is migrating." },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task A_volume_that_may_not_be_cut_is_refused_in_Cinders_order_and_words_and_leaves_nothing(string name, Func<Volume, Volume> change, bool force, string text)
    {
        Assert.NotEqual("", name);
        var volume = await keeping.VolumeAsync(change: change);
        var input = Cut(volume, force);

        var said = await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Snapshots.AdmitSnapshotAsync(input));

        Assert.Equal(string.Format(null, text, volume.Id), said);
        Assert.Equal(0, await InUseAsync(volume.ProjectId, Quota.Snapshots));
        Assert.Empty(await db.Notifications.OfResourceAsync(input.Snapshot.ToString(), None));
    }

    [Fact]
    public async Task A_volume_that_is_deleting_by_the_time_the_row_would_be_written_leaves_no_row_and_no_quota()
    {
        var volume = await keeping.VolumeAsync();
        var input = Cut(volume);
        await db.ScalarAsync($"UPDATE volumes SET status = 'deleting' WHERE id = '{volume.Id}'");

        var said = await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Snapshots.AdmitSnapshotAsync(input));

        Assert.Equal($"Invalid volume: Volume {volume.Id} status must be available, but current status is: deleting.", said);
        Assert.Null(await RowAsync(input.Snapshot));
        Assert.Equal(0, await InUseAsync(volume.ProjectId, Quota.Snapshots));
    }

    [Fact]
    public async Task Somebody_elses_volume_is_not_found_and_an_administrators_snapshot_of_it_is_its_owners()
    {
        var volume = await keeping.VolumeAsync();

        Assert.Equal(
            $"Volume {volume.Id} could not be found.",
            await RefusesAsync(ErrorKind.NotFound, () => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume) with { Caller = Given.Member(Given.Project()) })));
        var admitted = await Run(() => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume) with { Caller = Given.Admin() }));
        Assert.Equal((volume.ProjectId, "user-0"), (admitted.Snapshot.ProjectId, admitted.Snapshot.UserId));
    }

    [Fact]
    public async Task A_snapshot_counts_from_the_moment_it_is_admitted_and_only_once_however_often_that_is_repeated()
    {
        var volume = await keeping.VolumeAsync(change: v => v with { VolumeType = "fast" });
        var input = Cut(volume);

        var first = await Run(() => keeping.Snapshots.AdmitSnapshotAsync(input));
        var second = await Run(() => keeping.Snapshots.AdmitSnapshotAsync(input));

        Assert.Equal(JsonSerializer.Serialize(first), JsonSerializer.Serialize(second));
        Assert.Equal((1, volume.SizeGib * 2), (await InUseAsync(volume.ProjectId, Quota.Snapshots), await InUseAsync(volume.ProjectId, Quota.Gigabytes)));
        Assert.Equal(1, await InUseAsync(volume.ProjectId, "snapshots_fast"));
        Assert.Equal(["snapshot.create.start"], (await db.Notifications.OfResourceAsync(input.Snapshot.ToString(), None)).Select(n => n.EventType));
        var row = (await RowAsync(input.Snapshot))!;
        Assert.Equal((SnapshotStatus.Creating, 0, "snap", "of a disk", "c"), (row.Status, row.ProgressPercent, row.Name, row.Description, row.Metadata["a/b"]));
    }

    [Fact]
    public async Task The_limit_itself_may_be_reached_and_one_more_is_refused_with_gigabytes_named_first()
    {
        var volume = await keeping.VolumeAsync(change: v => v with { SizeGib = 10 });
        await db.Quotas.SetLimitAsync(volume.ProjectId, Quota.Snapshots, 1, None);
        await db.Quotas.SetLimitAsync(volume.ProjectId, Quota.Gigabytes, 20, None);
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume)));

        Assert.Equal(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 10G, quota is 20G and 20G has been consumed.",
            await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume))));
        await db.Quotas.SetLimitAsync(volume.ProjectId, Quota.Gigabytes, Quota.Unlimited, None);
        Assert.Equal(
            "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded",
            await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume))));
    }

    [Fact]
    public async Task Of_twenty_at_once_exactly_as_many_are_admitted_as_the_limit_allows()
    {
        var project = Given.Project();
        var volumes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => keeping.VolumeAsync(project)));
        await db.Quotas.SetLimitAsync(project, Quota.Snapshots, 7, None);

        var admitted = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            try
            {
                await Run(() => keeping.Snapshots.AdmitSnapshotAsync(Cut(volumes[i % 4])));
                return true;
            }
            catch (Temporalio.Exceptions.ApplicationFailureException e) when (e.ErrorType == nameof(ErrorKind.QuotaExceeded))
            {
                return false;
            }
        }));

        Assert.Equal((7, 7), (admitted.Count(a => a), await InUseAsync(project, Quota.Snapshots)));
    }

    [Fact]
    public async Task A_completed_snapshot_has_the_key_that_its_volume_has_by_then_and_is_told_once()
    {
        var volume = await keeping.VolumeAsync(change: v => v with { Encrypted = true, EncryptionKeyId = "key-1" });
        var input = Cut(volume);
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(input));
        await db.ScalarAsync($"UPDATE volumes SET encryption_key_id = 'key-2' WHERE id = '{volume.Id}'");

        await Run(() => keeping.Snapshots.CompleteSnapshotAsync(input));
        await Run(() => keeping.Snapshots.CompleteSnapshotAsync(input));

        var row = (await RowAsync(input.Snapshot))!;
        Assert.Equal((SnapshotStatus.Available, 100, "key-2"), (row.Status, row.ProgressPercent, row.EncryptionKeyId));
        var told = await db.Notifications.OfResourceAsync(input.Snapshot.ToString(), None);
        Assert.Equal(["snapshot.create.start", "snapshot.create.end"], told.Select(n => n.EventType));
        Assert.Equal(["creating", "available"], told.Select(n => JsonDocument.Parse(n.Payload).RootElement.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task A_snapshot_that_failed_is_in_error_holds_its_quota_and_tells_its_user_once()
    {
        var volume = await keeping.VolumeAsync();
        var input = Cut(volume);
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(input));

        await Run(() => keeping.Snapshots.FailSnapshotAsync(new(input, UserMessageKind.SnapshotCreateFailed)));
        await Run(() => keeping.Snapshots.FailSnapshotAsync(new(input, UserMessageKind.SnapshotCreateFailed)));

        Assert.Equal((SnapshotStatus.Error, 1), ((await RowAsync(input.Snapshot))!.Status, await InUseAsync(volume.ProjectId, Quota.Snapshots)));
        var message = Assert.Single(await db.Messages.ListAsync(volume.ProjectId, new(), new Page(10), Given.Now.AddDays(1), None));
        Assert.Equal(("VOLUME_VOLUME_SNAPSHOT_009_013", "VOLUME_SNAPSHOT", input.Snapshot.Value, "req-1"), (message.EventId, message.ResourceType, message.ResourceId, message.RequestId));
        Assert.Empty(await db.Messages.ListAsync(volume.ProjectId, new(), new Page(10), Given.Now.AddDays(31), None));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.CompleteSnapshotAsync(input));
    }

    [Fact]
    public async Task A_snapshot_that_was_withdrawn_gives_its_quota_back_and_never_returns()
    {
        var volume = await keeping.VolumeAsync();
        var (made, late) = (Cut(volume), Cut(volume));
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(made));

        await Run(() => keeping.Snapshots.WithdrawSnapshotAsync(made));
        await Run(() => keeping.Snapshots.WithdrawSnapshotAsync(late));

        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.AdmitSnapshotAsync(made));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.AdmitSnapshotAsync(late));
        Assert.Equal(0, await InUseAsync(volume.ProjectId, Quota.Snapshots));
        Assert.Equal(
            ["snapshot.create.start", "snapshot.delete.start", "snapshot.delete.end"], (await db.Notifications.OfResourceAsync(made.Snapshot.ToString(), None)).Select(n => n.EventType));
    }

    private Task<Snapshot?> RowAsync(SnapshotId id) => db.Snapshots.FindVisibleAsync(id, Given.Admin(), None);

    private async Task<int> InUseAsync(string project, string resource) =>
        (int)((await db.Quotas.LevelsAsync(project, Given.Now, None)).SingleOrDefault(l => l.Resource == resource)?.InUse ?? 0);
}
