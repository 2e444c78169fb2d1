using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using static SnapshotFlow.Tests.Store.ResourceKeeping;

namespace SnapshotFlow.Tests.Store;

/// <summary>Snapshots, images and volumes in the records on their way out.</summary>
public sealed class DeletingThings : IClassFixture<StoreDatabase>
{
    /// <summary>In the order in which Cinder names them. Source: Cinder, <c>_usage_from_snapshot</c>.</summary>
    private static readonly List<string> Fields =
        ["tenant_id", "user_id", "availability_zone", "volume_id", "volume_size", "snapshot_id", "display_name", "created_at", "status", "deleted", "metadata"];

    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly Refusal Busy = new(ErrorKind.Busy, "it has children");
    private static readonly Refusal Broken = new(ErrorKind.BackendRefused, "read-only");
    private readonly StoreDatabase db;
    private readonly ResourceKeeping keeping;

    public DeletingThings(StoreDatabase db)
    {
        this.db = db;
        db.Require();
        keeping = new(db);
    }

    [Fact]
    public async Task A_deleted_snapshot_gives_its_quota_back_and_is_told_once()
    {
        var snapshot = await keeping.SnapshotAsync();
        var input = Delete(snapshot);

        var plan = await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(input));
        Assert.Equal(plan, await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(input)));
        Assert.Equal(SnapshotStatus.Deleting, (await RowAsync(snapshot.Id))!.Status);
        await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(input, new(snapshot.Id, null))));
        await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(input, new(snapshot.Id, null))));

        Assert.Equal(new SnapshotToDelete("host1@file", snapshot.VolumeId, snapshot.Id), plan);
        Assert.Null(await RowAsync(snapshot.Id));
        Assert.Equal(0, await InUseAsync(snapshot.ProjectId, Quota.Snapshots));
        Assert.Equal(
            ["snapshot.create.start", "snapshot.create.end", "snapshot.delete.start", "snapshot.delete.end"],
            (await db.Notifications.OfResourceAsync(snapshot.Id.ToString(), None)).Select(n => n.EventType));
    }

    [Fact]
    public async Task What_is_told_of_a_snapshot_is_what_Block_Storage_tells_field_by_field()
    {
        var snapshot = await keeping.SnapshotAsync();
        var input = Delete(snapshot);
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(input));
        await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(input, new(snapshot.Id, null))));

        var told = await db.Notifications.OfResourceAsync(snapshot.Id.ToString(), None);
        string Payload(string status, string deleted) => JsonSerializer.Serialize(new
        {
            tenant_id = snapshot.ProjectId, user_id = "user-1", availability_zone = "nova", volume_id = snapshot.VolumeId, volume_size = 10, snapshot_id = snapshot.Id,
            display_name = "snap", created_at = "2026-08-01T10:00:00Z", status, deleted, metadata = """{"a/b":"c"}""",
        });
        Assert.Equal(
            [Payload("creating", ""), Payload("available", ""), Payload("deleting", ""), Payload("deleted", "True")],
            told.Select(n => JsonSerializer.Serialize(JsonDocument.Parse(n.Payload).RootElement.EnumerateObject().OrderBy(m => Fields.IndexOf(m.Name)).ToDictionary(m => m.Name, m => m.Value))));
        Assert.All(told, n => Assert.Equal("snapshot.host1@file", n.PublisherId));
    }

    [Theory]
    [InlineData("creating")]
    [InlineData("error_deleting")]
    [InlineData("restoring")]
    public async Task A_snapshot_in_another_status_is_refused_unless_forced(string status)
    {
        var snapshot = await keeping.SnapshotAsync();
        await db.ScalarAsync($"UPDATE snapshots SET status = '{status}' WHERE id = '{snapshot.Id}'");

        Assert.Equal(
            "Invalid snapshot: Snapshot status must be available or error and must not be part of a group.",
            await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot))));
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot, force: true)));
        Assert.Equal(SnapshotStatus.Deleting, (await RowAsync(snapshot.Id))!.Status);
    }

    [Fact]
    public async Task Somebody_elses_snapshot_is_not_found()
    {
        var snapshot = await keeping.SnapshotAsync();
        Assert.Equal(
            $"Snapshot {snapshot.Id} could not be found.",
            await RefusesAsync(ErrorKind.NotFound, () => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot) with { Caller = Given.Member(Given.Project()) })));
    }

    [Fact]
    public async Task A_snapshot_of_an_image_goes_with_the_image_and_not_before_unless_forced()
    {
        var (request, snapshots) = await keeping.ImageAsync();

        Assert.Equal(
            $"Invalid snapshot: Snapshot {snapshots[0].Id} is part of image {request.Image}: delete the image, and its snapshots go with it.",
            await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshots[0]))));
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshots[0], force: true)));
    }

    [Fact]
    public async Task A_property_of_somebody_elses_image_keeps_nobody_from_deleting_a_snapshot()
    {
        var snapshot = await keeping.SnapshotAsync();
        var (foreign, _) = await keeping.ImageAsync();
        await db.ScalarAsync(
            $$"""UPDATE image_properties SET value = '[{"source_type": "snapshot", "snapshot_id": "{{snapshot.Id}}"}]' WHERE image_id = '{{foreign.Image}}' AND name = 'block_device_mapping'""");

        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot)));
    }

    [Fact]
    public async Task A_snapshot_from_which_a_volume_is_being_made_is_refused_until_the_volume_stands_on_its_own()
    {
        var snapshot = await keeping.SnapshotAsync();
        var made = Make(snapshot);
        await Run(() => keeping.Volumes.AdmitVolumeAsync(made));

        Assert.Equal(
            $"Invalid snapshot: Snapshot {snapshot.Id} is needed by volumes that were made from it: {made.Volume}.",
            await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot))));
        await Run(() => keeping.Volumes.CompleteVolumeAsync(new(made.Volume, NeedsSnapshot: true)));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot)));
        await db.ScalarAsync($"UPDATE volumes SET needs_snapshot = false WHERE id = '{made.Volume}'");
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot)));
    }

    [Fact]
    public async Task A_busy_snapshot_is_available_again_and_a_broken_one_says_so_and_both_tell_the_user()
    {
        var (busy, broken) = (await keeping.SnapshotAsync(), await keeping.SnapshotAsync());
        foreach (var (snapshot, why) in new[] { (busy, Busy), (broken, Broken) })
        {
            await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot)));
            await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(Delete(snapshot), new(snapshot.Id, why))));
        }

        Assert.Equal((SnapshotStatus.Available, SnapshotStatus.ErrorDeleting), ((await RowAsync(busy.Id))!.Status, (await RowAsync(broken.Id))!.Status));
        Assert.Equal("VOLUME_VOLUME_SNAPSHOT_010_015", (await MessagesAsync(busy.ProjectId)).Single().EventId);
        Assert.Equal("VOLUME_VOLUME_SNAPSHOT_010_016", (await MessagesAsync(broken.ProjectId)).Single().EventId);
        Assert.Equal(1, await InUseAsync(broken.ProjectId, Quota.Snapshots));
    }

    [Fact]
    public async Task Resuming_finds_what_has_begun_and_begins_nothing()
    {
        var snapshot = await keeping.SnapshotAsync();
        var resume = Delete(snapshot) with { Resume = true };

        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.BeginDeleteSnapshotAsync(resume));
        Assert.Equal(SnapshotStatus.Available, (await RowAsync(snapshot.Id))!.Status);
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshot)));
        Assert.Equal(snapshot.Id, (await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(resume))).Snapshot);
    }

    [Fact]
    public async Task An_image_that_is_being_deleted_is_found_by_nobody_and_its_snapshots_go_with_it()
    {
        var (request, snapshots) = await keeping.ImageAsync();
        var owner = Given.Member(request.Caller.ProjectId);
        var delete = Delete(request);

        var plan = await Run(() => keeping.Images.BeginDeleteImageAsync(delete));
        Assert.Equal(plan, await Run(() => keeping.Images.BeginDeleteImageAsync(delete)));
        Assert.Null(await db.Images.FindVisibleAsync(request.Image, owner, None));
        Assert.Empty(await db.Images.ListAsync(owner, new ImageFilter(), new Page(10), None));
        Assert.Equal(RunStatus.Running, (await db.Operations.FindVisibleAsync(delete.Operation, owner, None))!.Status);
        var end = new EndDeleteImageInput(delete, [.. plan.Select(p => new DeletedSnapshot(p.Snapshot, null))]);
        await Run(() => keeping.Images.EndDeleteImageAsync(end));
        await Run(() => keeping.Images.EndDeleteImageAsync(end));

        Assert.Equal(snapshots.Select(s => s.Id).ToHashSet(), plan.Select(p => p.Snapshot).ToHashSet());
        Assert.Empty(await db.Snapshots.ListAsync(owner.ProjectId, new SnapshotFilter(), new Page(10), None));
        Assert.Equal(0, await InUseAsync(owner.ProjectId, Quota.Snapshots));
        Assert.Equal((RunStatus.Completed, 0), ((await db.Operations.FindVisibleAsync(delete.Operation, owner, None))!.Status, (await db.Operations.FindVisibleAsync(delete.Operation, owner, None))!.Leftovers.Count));
        Assert.Equal(["image.create", "image.prepare", "image.upload", "image.activate", "image.delete"], (await db.Notifications.OfResourceAsync(request.Image.ToString(), None)).Select(n => n.EventType));
        Assert.Null(await db.Operations.FindVisibleAsync(delete.Operation, Given.Member(Given.Project()), None));
        await RefusesAsync(ErrorKind.NotFound, () => keeping.Images.BeginDeleteImageAsync(Delete(request)));
    }

    [Fact]
    public async Task Snapshots_that_are_kept_are_ordinary_snapshots_afterwards()
    {
        var (request, snapshots) = await keeping.ImageAsync();
        var delete = Delete(request, keep: true);

        Assert.Empty(await Run(() => keeping.Images.BeginDeleteImageAsync(delete)));
        await Run(() => keeping.Images.EndDeleteImageAsync(new(delete, [])));

        Assert.All(await db.Snapshots.ListAsync(request.Caller.ProjectId, new SnapshotFilter(), new Page(10), None), s => Assert.Equal(SnapshotStatus.Available, s.Status));
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(Delete(snapshots[0])));
    }

    [Fact]
    public async Task What_is_left_of_an_image_is_listed_in_the_operation()
    {
        var (request, _) = await keeping.ImageAsync();
        var delete = Delete(request);
        var plan = await Run(() => keeping.Images.BeginDeleteImageAsync(delete));

        await Run(() => keeping.Images.EndDeleteImageAsync(new(delete, [.. plan.Select((p, i) => new DeletedSnapshot(p.Snapshot, i switch { 0 => Busy, 1 => Broken, _ => null }))])));

        var operation = (await db.Operations.FindVisibleAsync(delete.Operation, request.Caller, None))!;
        Assert.Equal(RunStatus.CompensationFailed, operation.Status);
        Assert.Equal([Names.Snapshot(plan[0].Snapshot), Names.Snapshot(plan[1].Snapshot)], operation.Leftovers.Select(l => l.Subject));
        Assert.Equal(
            [SnapshotStatus.Available, SnapshotStatus.ErrorDeleting], [(await RowAsync(plan[0].Snapshot))!.Status, (await RowAsync(plan[1].Snapshot))!.Status]);
    }

    [Fact]
    public async Task A_protected_image_is_forbidden_one_that_is_used_or_being_made_conflicts_and_a_foreign_one_is_not_found()
    {
        var (request, snapshots) = await keeping.ImageAsync();
        await RefusesAsync(ErrorKind.NotFound, () => keeping.Images.BeginDeleteImageAsync(Delete(request) with { Caller = Given.Member(Given.Project()) }));

        await db.ScalarAsync($"UPDATE images SET protected = true WHERE id = '{request.Image}'");
        Assert.Equal($"Image {request.Image} is protected and cannot be deleted.", await RefusesAsync(ErrorKind.Forbidden, () => keeping.Images.BeginDeleteImageAsync(Delete(request))));
        await db.ScalarAsync($"UPDATE images SET protected = false, status = 'queued' WHERE id = '{request.Image}'");
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.BeginDeleteImageAsync(Delete(request)));

        await db.ScalarAsync($"UPDATE images SET status = 'active' WHERE id = '{request.Image}'");
        var made = Make(snapshots[0]);
        await Run(() => keeping.Volumes.AdmitVolumeAsync(made));
        Assert.Equal(
            $"Image {request.Image} could not be deleted because it is in use: Invalid snapshot: Snapshot {snapshots[0].Id} is needed by volumes that were made from it: {made.Volume}.",
            await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.BeginDeleteImageAsync(Delete(request))));
        await Run(() => keeping.Images.BeginDeleteImageAsync(Delete(request, keep: true)));
    }

    [Fact]
    public async Task A_deleted_volume_is_gone_and_one_that_cannot_be_deleted_says_so()
    {
        var (gone, stuck) = (await keeping.VolumeAsync(), await keeping.VolumeAsync());
        foreach (var (volume, why) in new[] { (gone, null), (stuck, Broken) })
        {
            var input = Delete(volume);
            Assert.Equal(new VolumeToDelete(volume.Id, "host1@file"), await Run(() => keeping.Volumes.BeginDeleteVolumeAsync(input)));
            await Run(() => keeping.Volumes.EndDeleteVolumeAsync(new(input, why)));
        }

        Assert.Null(await db.Volumes.FindAsync(gone.Id, None));
        Assert.Equal(VolumeStatus.ErrorDeleting, (await db.Volumes.FindAsync(stuck.Id, None))!.Status);
        Assert.Equal("VOLUME_VOLUME_013_018", (await MessagesAsync(stuck.ProjectId)).Single().EventId);
        Assert.Equal(0, await InUseAsync(gone.ProjectId, Quota.Volumes));
    }

    [Fact]
    public async Task A_volume_that_is_attached_has_snapshots_or_is_in_another_status_is_refused()
    {
        var attached = await keeping.VolumeAsync(attached: true);
        var migrating = await keeping.VolumeAsync(change: v => v with { MigrationStatus = "migrating" });
        var reserved = await keeping.VolumeAsync(change: v => v with { Status = "reserved" });
        var snapped = await keeping.VolumeAsync();
        await keeping.SnapshotAsync(snapped);
        foreach (var (volume, why) in new[]
                 {
                     (attached, "its status is in-use, it is attached"), (migrating, "it is migrating"), (reserved, "its status is reserved"), (snapped, "it has snapshots"),
                 })
        {
            var said = await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.BeginDeleteVolumeAsync(Delete(volume)));
            Assert.StartsWith("Invalid volume: Volume status must be available or error", said, StringComparison.Ordinal);
            Assert.EndsWith($" Of volume {volume.Id}: {why}.", said, StringComparison.Ordinal);
            Assert.Equal(volume.Status, (await db.Volumes.FindAsync(volume.Id, None))!.Status);
        }

        var extending = await keeping.VolumeAsync(change: v => v with { Status = "error_extending" });
        Assert.Equal(extending.Id, (await Run(() => keeping.Volumes.BeginDeleteVolumeAsync(Delete(extending)))).Volume);
        await RefusesAsync(ErrorKind.NotFound, () => keeping.Volumes.BeginDeleteVolumeAsync(Delete(reserved) with { Caller = Given.Member(Given.Project()) }));
    }

    private static DeleteImageInput Delete(CreateImageInput image, bool keep = false) => new(OperationId.New(), image.Image, keep, image.Caller, "req-2");

    private static DeleteSnapshotInput Delete(Snapshot snapshot, bool force = false) => new(snapshot.Id, force, Given.Member(snapshot.ProjectId), "req-2");

    private static DeleteVolumeInput Delete(Volume volume) => new(volume.Id, false, Given.Member(volume.ProjectId), "req-2");

    private static CreateVolumeInput Make(Snapshot snapshot) =>
        new(VolumeId.New(), snapshot.Id, null, "disk", null, null, null, new Dictionary<string, string>(), Given.Member(snapshot.ProjectId), "req-3");

    private Task<Snapshot?> RowAsync(SnapshotId id) => db.Snapshots.FindVisibleAsync(id, Given.Admin(), None);

    private Task<IReadOnlyList<UserMessage>> MessagesAsync(string project) => db.Messages.ListAsync(project, new(), new Page(10), Given.Now, None);

    private async Task<int> InUseAsync(string project, string resource) =>
        (int)((await db.Quotas.LevelsAsync(project, Given.Now, None)).SingleOrDefault(l => l.Resource == resource)?.InUse ?? 0);
}
