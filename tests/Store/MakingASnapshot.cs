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
    public async Task A_snapshot_whose_first_step_is_still_on_its_way_into_the_records_is_withdrawn_with_the_row_that_it_writes()
    {
        var volume = await keeping.VolumeAsync();
        var input = Cut(volume);
        await db.WhileWritingAsync(
            async s => Assert.True(await db.Snapshots.AddNewAsync(s, Given.Snapshot(volume) with { Id = input.Snapshot, Status = SnapshotStatus.Creating })),
            () => Run(() => keeping.Snapshots.WithdrawSnapshotAsync(input)));

        Assert.Null(await RowAsync(input.Snapshot));
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
    public async Task Without_a_gigabyte_quota_for_snapshots_only_their_number_counts()
    {
        var volume = await keeping.VolumeAsync(change: v => v with { VolumeType = "fast" });
        var quotas = new QuotaStore(db.Database, noSnapshotGbQuota: true);
        await quotas.SetLimitAsync(volume.ProjectId, Quota.Gigabytes, volume.SizeGib, None);
        var steps = new Activities.SnapshotActivities(db.Database, db.Volumes, db.Snapshots, db.Images, quotas, db.Notifications, db.Messages, TimeProvider.System);
        await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Snapshots.AdmitSnapshotAsync(Cut(volume)));

        await Run(() => steps.AdmitSnapshotAsync(Cut(volume)));

        var levels = (await quotas.LevelsAsync(volume.ProjectId, Given.Now, None)).ToDictionary(l => l.Resource, l => l.InUse);
        Assert.Equal((1, volume.SizeGib, 1, volume.SizeGib), (levels[Quota.Snapshots], levels[Quota.Gigabytes], levels["snapshots_fast"], levels["gigabytes_fast"]));
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
    public async Task Progress_is_for_display_a_snapshot_at_100_per_cent_is_as_unusable_as_one_at_0()
    {
        var input = Cut(await keeping.VolumeAsync());
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(input));
        await db.Database.WriteAsync(s => db.Snapshots.SetProgressAsync(s, input.Snapshot, 100, Given.Now), None);

        var snapshot = (await db.Snapshots.FindVisibleAsync(input.Snapshot, input.Caller, None))!;
        Assert.Equal((SnapshotStatus.Creating, 100), (snapshot.Status, snapshot.ProgressPercent));
        await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.AdmitVolumeAsync(
            new(VolumeId.New(), input.Snapshot, null, "disk", null, null, null, new Dictionary<string, string>(), input.Caller, "req-2")));
    }

    [Fact]
    public async Task A_volume_that_is_retyped_leaves_the_usage_of_its_snapshots_to_the_type_they_were_cut_with()
    {
        var volume = await keeping.VolumeAsync(change: v => v with { VolumeType = "fast" });
        var snapshot = await keeping.SnapshotAsync(volume);
        await db.ScalarAsync($"UPDATE volumes SET volume_type = 'slow' WHERE id = '{volume.Id}'");
        async Task<(int Fast, int Slow)> LevelsAsync() =>
            (await InUseAsync(volume.ProjectId, Quota.OfType(Quota.Snapshots, "fast")), await InUseAsync(volume.ProjectId, Quota.OfType(Quota.Snapshots, "slow")));

        Assert.Equal((1, 0), await LevelsAsync());
        var deletion = new DeleteSnapshotInput(snapshot.Id, false, Given.Member(volume.ProjectId), "req-2");
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(deletion));
        await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(deletion, new(snapshot.Id, null))));
        Assert.Equal((0, 0), await LevelsAsync());
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

    /// <summary>After any sequence of admitting, completing, failing, withdrawing and deleting, with repeats, usage is what a count of the live rows says.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Usage_equals_the_live_rows_whatever_is_made_and_deleted(int seed)
    {
        var random = new Random(seed);
        var project = Given.Project();
        var volumes = new List<Volume>();
        for (var i = 0; i < 3; i++)
        {
            volumes.Add(await keeping.VolumeAsync(project, v => v with { SizeGib = 1 + random.Next(20), VolumeType = i == 0 ? "fast" : null }));
        }

        await db.Quotas.SetLimitAsync(project, Quota.Snapshots, 3 + random.Next(4), None);
        await db.Quotas.SetLimitAsync(project, Quota.Volumes, 5 + random.Next(3), None);
        await db.Quotas.SetLimitAsync(project, Quota.Gigabytes, 60 + random.Next(100), None);
        var cuts = Enumerable.Range(0, 6).Select(i => Cut(volumes[i % 3])).ToList();
        var made = cuts.Select(c => new CreateVolumeInput(
            VolumeId.New(), c.Snapshot, null, null, null, null, null, new Dictionary<string, string>(), Given.Member(project), "req-1")).ToList();
        for (var step = 0; step < 120; step++)
        {
            var (cut, volume) = (cuts[random.Next(cuts.Count)], made[random.Next(made.Count)]);
            Func<Task> act = random.Next(10) switch
            {
                0 or 1 => () => keeping.Snapshots.AdmitSnapshotAsync(cut),
                2 => () => keeping.Snapshots.CompleteSnapshotAsync(cut),
                3 => () => keeping.Snapshots.FailSnapshotAsync(new(cut, UserMessageKind.SnapshotCreateFailed)),
                4 => () => keeping.Snapshots.BeginDeleteSnapshotAsync(new(cut.Snapshot, random.Next(2) == 0, cut.Caller, "req-2")),
                5 => () => keeping.Snapshots.EndDeleteSnapshotAsync(new(new(cut.Snapshot, false, cut.Caller, "req-2"), new(cut.Snapshot, random.Next(2) == 0 ? null : new(ErrorKind.Busy, "busy")))),
                6 => () => keeping.Volumes.AdmitVolumeAsync(volume),
                7 => () => keeping.Volumes.CompleteVolumeAsync(new(volume.Volume, random.Next(2) == 0)),
                8 => () => keeping.Volumes.BeginDeleteVolumeAsync(new(volume.Volume, false, volume.Caller, "req-2")),
                _ => () => keeping.Volumes.EndDeleteVolumeAsync(new(new(volume.Volume, false, volume.Caller, "req-2"), null)),
            };
            try
            {
                await Run(act);
            }
            catch (Temporalio.Exceptions.ApplicationFailureException)
            {
                // A refusal changes nothing, which is what is looked at next.
            }

            var snapshots = await db.Snapshots.ListAsync(project, new SnapshotFilter(), new Page(100), None);
            var living = await db.Volumes.ListAsync(project, new(), new Page(100), None);
            Assert.Equal((snapshots.Count, living.Count), (await InUseAsync(project, Quota.Snapshots), await InUseAsync(project, Quota.Volumes)));
            Assert.Equal(snapshots.Sum(s => s.SizeGib) + living.Sum(v => v.SizeGib), await InUseAsync(project, Quota.Gigabytes));
            Assert.Equal(
                snapshots.Where(s => s.VolumeType == "fast").Sum(s => s.SizeGib) + living.Where(v => v.VolumeType == "fast").Sum(v => v.SizeGib), await InUseAsync(project, "gigabytes_fast"));
        }
    }

    private Task<Snapshot?> RowAsync(SnapshotId id) => db.Snapshots.FindVisibleAsync(id, Given.Admin(), None);

    private async Task<int> InUseAsync(string project, string resource) =>
        (int)((await db.Quotas.LevelsAsync(project, Given.Now, None)).SingleOrDefault(l => l.Resource == resource)?.InUse ?? 0);
}
