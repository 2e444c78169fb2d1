using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>The record-keeping steps of a run that succeeds.</summary>
public sealed class MakingAnImage : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public MakingAnImage(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task The_image_becomes_active_and_references_exactly_its_snapshots()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.SucceedAsync();

        var image = (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!;
        Assert.Equal((ImageStatus.Active, "private", records.Server.ProjectId, 20), (image.Status, image.Visibility, image.OwnerProjectId, image.MinDisk));
        var mapping = JsonDocument.Parse(image.Properties["block_device_mapping"]).RootElement.EnumerateArray().ToList();
        Assert.Equal(prepared.Draft.Volumes.Select(v => v.Snapshot.ToString()), mapping.Select(e => e.GetProperty("snapshot_id").GetString()));
        Assert.All(mapping, e => Assert.Equal(19, e.EnumerateObject().Count()));
        Assert.Equal(0, mapping[0].GetProperty("boot_index").GetInt32());
        Assert.Equal(
            new Dictionary<string, string>
            {
                ["bdm_v2"] = "True",
                ["hw_qemu_guest_agent"] = "yes",
                ["k"] = "v",
                ["root_device_name"] = "/dev/vda",
                ["snapshotflow_consistency"] = "application",
                ["snapshotflow_cut_skew_ms"] = "20",
                ["snapshotflow_freeze_ms"] = "250",
                ["snapshotflow_frozen_at"] = "2026-08-01T10:00:00.000Z",
                ["snapshotflow_server_id"] = records.Server.Id.ToString(),
                ["snapshotflow_thawed_at"] = "2026-08-01T10:00:00.250Z",
            },
            image.Properties.Where(p => p.Key != "block_device_mapping").ToDictionary());

        var snapshots = await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(Image: image.Id), new Page(10), None);
        Assert.Equal(3, snapshots.Count);
        Assert.All(snapshots, s => Assert.Equal((SnapshotStatus.Available, 100, "snapshot for snap-1", "a disk"), (s.Status, s.ProgressPercent, s.Name, s.Description)));
        Assert.Null((await db.Servers.FindAsync(records.Server.Id, None))!.TaskState);
    }

    [Fact]
    public async Task The_run_and_its_instance_action_say_that_it_completed()
    {
        var records = await RecordKeeping.OnAsync(db);
        await records.SucceedAsync();

        var run = (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!;
        Assert.Equal((RunStatus.Completed, Step.CreateImageRecord, Consistency.Application), (run.Status, run.Step, run.Evidence!.Consistency));
        Assert.All(run.Steps, s => Assert.NotNull(s.EndedAt));
        var action = (await db.Actions.FindAsync(records.Server.Id, records.Input.RequestId, None))!;
        Assert.Equal(("createImage", (string?)null), (action.Action, action.Message));
        Assert.Equal([("api_snapshot_instance", "Success")], action.Events.Select(e => (e.Event, e.Result!)));
        Assert.Single(await db.Actions.ListAsync(records.Server.Id, None));
    }

    [Fact]
    public async Task Each_snapshot_is_told_about_once_at_its_start_and_once_at_its_end()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.SucceedAsync(times: 2);
        foreach (var volume in prepared.Draft.Volumes)
        {
            var told = await db.Notifications.OfResourceAsync(volume.Snapshot.ToString(), None);
            Assert.Equal(["snapshot.create.start", "snapshot.create.end"], told.Select(n => n.EventType));
            Assert.Equal(["creating", "available"], told.Select(n => JsonDocument.Parse(n.Payload).RootElement.GetProperty("status").GetString()));
            var payload = JsonDocument.Parse(told[0].Payload).RootElement;
            Assert.Equal(
                ["availability_zone", "created_at", "deleted", "display_name", "metadata", "snapshot_id", "status", "tenant_id", "user_id", "volume_id", "volume_size"],
                payload.EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
            Assert.Equal((records.Server.ProjectId, volume.SizeGib), (payload.GetProperty("tenant_id").GetString(), payload.GetProperty("volume_size").GetInt32()));
            Assert.Equal("snapshot.host1@file", told[0].PublisherId);
        }
    }

    [Fact]
    public async Task Every_step_done_twice_leaves_what_doing_it_once_leaves()
    {
        var once = await RecordKeeping.OnAsync(db);
        await once.SucceedAsync();
        var twice = await RecordKeeping.OnAsync(db);
        await twice.SucceedAsync(times: 2);
        Assert.Equal(Anonymous(await once.PictureAsync(), once), Anonymous(await twice.PictureAsync(), twice));
    }

    [Fact]
    public async Task Quota_is_reserved_until_the_snapshots_are_complete_and_in_use_from_then_on_and_never_counted_twice()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.PrepareAsync();
        Assert.Equal((0, 0), await LevelAsync(records, Quota.Snapshots));
        await records.CheckQuotaAsync(prepared);
        Assert.Equal((0, 3), await LevelAsync(records, Quota.Snapshots));
        await records.ReserveAsync(prepared);
        Assert.Equal((0, 3), await LevelAsync(records, Quota.Snapshots));
        await records.CompleteAsync(prepared);
        Assert.Equal((3, 0), await LevelAsync(records, Quota.Snapshots));
        Assert.Equal((1, 0), await LevelAsync(records, "snapshots_fast"));
        Assert.Equal((22 + 22, 0), await LevelAsync(records, Quota.Gigabytes));
    }

    [Fact]
    public async Task The_image_metadata_of_a_bootable_volume_goes_to_its_snapshot_and_only_there()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.SucceedAsync(times: 2);
        Assert.Equal([true, false, false], prepared.Draft.Volumes.Select(v => v.Bootable));
        Assert.Equal(new Dictionary<string, string> { ["image_name"] = "debian" }, await db.Snapshots.GlanceMetadataAsync(prepared.Draft.Volumes[0].Snapshot, None));
        Assert.Empty(await db.Snapshots.GlanceMetadataAsync(prepared.Draft.Volumes[1].Snapshot, None));
    }

    [Fact]
    public async Task A_bootable_volume_without_image_metadata_is_fine()
    {
        var project = Given.Project();
        var records = await RecordKeeping.OnAsync(
            db,
            registration: r => r with { Volumes = [.. r.Volumes.Select(v => v with { GlanceMetadata = new Dictionary<string, string>() })] },
            volumes: Given.Volume(project, bootable: true));
        await records.SucceedAsync();
        Assert.Equal(ImageStatus.Active, (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    [Fact]
    public async Task A_snapshot_gets_the_encryption_key_that_its_volume_has_at_the_end()
    {
        var project = Given.Project();
        var volume = Given.Volume(project) with { Encrypted = true, EncryptionKeyId = "key-1" };
        var records = await RecordKeeping.OnAsync(db, volumes: volume);
        var prepared = await records.PrepareAsync();
        await records.CheckQuotaAsync(prepared);
        await records.ReserveAsync(prepared);
        Assert.Equal("key-1", (await db.Snapshots.FindVisibleAsync(prepared.Draft.Volumes[0].Snapshot, records.Owner, None))!.EncryptionKeyId);
        await db.ScalarAsync($"UPDATE volumes SET encryption_key_id = 'key-2' WHERE id = '{volume.Id}'");
        await records.CompleteAsync(prepared);
        Assert.Equal("key-2", (await db.Snapshots.FindVisibleAsync(prepared.Draft.Volumes[0].Snapshot, records.Owner, None))!.EncryptionKeyId);
    }

    [Fact]
    public async Task An_administrators_image_of_a_tenants_server_is_shared_and_its_snapshots_stay_the_tenants()
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { Caller = Given.Admin() };
        await records.SucceedAsync();

        var image = (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!;
        Assert.Equal(("shared", Given.Admin().ProjectId), (image.Visibility, image.OwnerProjectId));
        var snapshots = await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(Image: image.Id), new Page(10), None);
        Assert.Equal(3, snapshots.Count);
        Assert.Equal((3, 0), await LevelAsync(records, Quota.Snapshots));
        // The run is the administrator's.
        Assert.Null(await db.Runs.FindVisibleAsync(image.Id, records.Owner, None));
    }

    [Fact]
    public async Task No_image_becomes_active_before_every_snapshot_is_available()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.PrepareAsync();
        await records.CheckQuotaAsync(prepared);
        await records.ReserveAsync(prepared);

        var (kind, message) = await RecordKeeping.RefusedAsync(() => records.RecordImageAsync(prepared));
        Assert.Equal(ErrorKind.StaleStatus, kind);
        Assert.Contains("creating", message, StringComparison.Ordinal);
        Assert.Equal(ImageStatus.Queued, (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
        await records.CompleteAsync(prepared);
        await db.ScalarAsync($"UPDATE snapshots SET status = 'error' WHERE id = '{prepared.Draft.Volumes[2].Snapshot}'");
        Assert.Equal(ErrorKind.StaleStatus, (await RecordKeeping.RefusedAsync(() => records.RecordImageAsync(prepared))).Kind);
        Assert.Equal(ImageStatus.Queued, (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    private static string Anonymous(string picture, RecordKeeping records)
    {
        var names = new Dictionary<string, string>
        {
            [records.Input.Image.ToString()] = "image",
            [records.Server.Id.ToString()] = "server",
            [records.Server.ProjectId] = "project",
            [records.Input.RequestId] = "request",
        };
        for (var i = 0; i < records.Volumes.Length; i++)
        {
            names[records.Volumes[i].Id.ToString()] = $"volume {i}";
            names[DeterministicId.Snapshot(records.Input.Image, records.Volumes[i].Id).ToString()] = $"snapshot {i}";
        }

        return names.Aggregate(picture, (text, name) => text.Replace(name.Key, name.Value, StringComparison.Ordinal));
    }

    private async Task<(long InUse, long Reserved)> LevelAsync(RecordKeeping records, string resource) =>
        (await db.Quotas.LevelsAsync(records.Server.ProjectId, Given.Now, None)).SingleOrDefault(l => l.Resource == resource) is { } level ? (level.InUse, level.Reserved) : (0, 0);
}
