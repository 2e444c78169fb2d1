using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using static SnapshotFlow.Tests.Store.ResourceKeeping;

namespace SnapshotFlow.Tests.Store;

/// <summary>Volumes from snapshots, one at a time and as the set of an image, in the records.</summary>
public sealed class MakingVolumes : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;
    private readonly ResourceKeeping keeping;

    public MakingVolumes(StoreDatabase db)
    {
        this.db = db;
        db.Require();
        keeping = new(db);
    }

    [Fact]
    public async Task A_volume_from_a_snapshot_is_as_its_source_and_carries_the_image_metadata_on()
    {
        var source = await keeping.VolumeAsync(change: v => v with { Bootable = true, VolumeType = "fast", Encrypted = true, EncryptionKeyId = "key-1" }, glance: new() { ["image_name"] = "debian" });
        var snapshot = await keeping.SnapshotAsync(source);
        await db.Database.WriteAsync(s => db.Snapshots.CopyGlanceMetadataAsync(s, source.Id, snapshot.Id), None);
        var input = Make(snapshot) with { Metadata = new Dictionary<string, string> { ["k"] = "v" } };

        var first = await Run(() => keeping.Volumes.AdmitVolumeAsync(input));
        Assert.Equal(first.ToMake, (await Run(() => keeping.Volumes.AdmitVolumeAsync(input))).ToMake);
        Assert.Equal(2, await InUseAsync(source.ProjectId, Quota.Volumes));
        await Run(() => keeping.Volumes.CompleteVolumeAsync(new(input.Volume, NeedsSnapshot: false)));
        await Run(() => keeping.Volumes.CompleteVolumeAsync(new(input.Volume, NeedsSnapshot: false)));

        Assert.Equal(new VolumeToMake(input.Volume, source.Id, snapshot.Id, "host1@file", 10), first.ToMake);
        var volume = (await db.Volumes.FindAsync(input.Volume, None))!;
        Assert.Equal(
            (VolumeStatus.Available, 10, "fast", true, true, "key-1", "nova", snapshot.Id, false, "v"),
            (volume.Status, volume.SizeGib, volume.VolumeType, volume.Bootable, volume.Encrypted, volume.EncryptionKeyId, volume.AvailabilityZone, volume.SnapshotId!.Value, volume.NeedsSnapshot,
                volume.Metadata["k"]));
        Assert.Equal("debian", (await db.Volumes.GlanceMetadataAsync(input.Volume, None))["image_name"]);
    }

    [Fact]
    public async Task What_no_volume_can_be_made_from_is_refused_in_Cinders_words()
    {
        var snapshot = await keeping.SnapshotAsync();
        var input = Make(snapshot);
        await RefusesAsync(ErrorKind.NotFound, () => keeping.Volumes.AdmitVolumeAsync(input with { Caller = Given.Member(Given.Project()) }));
        Assert.Equal(
            "Invalid input received: Volume size '9'GB cannot be smaller than the snapshot size 10GB. They must be >= original snapshot size.",
            await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.AdmitVolumeAsync(input with { SizeGib = 9 })));
        Assert.Equal(
            "Invalid input received: Volume must be in the same availability zone as the snapshot",
            await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.AdmitVolumeAsync(input with { AvailabilityZone = "mars" })));
        await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.AdmitVolumeAsync(input with { VolumeType = "fast" }));
        await db.ScalarAsync($"UPDATE snapshots SET status = 'error' WHERE id = '{snapshot.Id}'");
        Assert.Equal(
            "Invalid snapshot: Originating snapshot status must be one of 'available' values", await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Volumes.AdmitVolumeAsync(input)));
        Assert.Null(await db.Volumes.FindAsync(input.Volume, None));
    }

    [Fact]
    public async Task Over_quota_is_refused_by_count_and_by_size()
    {
        var snapshot = await keeping.SnapshotAsync();
        await db.Quotas.SetLimitAsync(snapshot.ProjectId, Quota.Volumes, 1, None);
        Assert.Equal(
            "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes'.",
            await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Volumes.AdmitVolumeAsync(Make(snapshot))));
        await db.Quotas.SetLimitAsync(snapshot.ProjectId, Quota.Gigabytes, 30, None);
        Assert.Equal(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 11G, quota is 30G and 20G has been consumed.",
            await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Volumes.AdmitVolumeAsync(Make(snapshot) with { SizeGib = 11 })));
    }

    [Fact]
    public async Task A_volume_that_failed_is_in_error_and_one_that_was_withdrawn_never_returns()
    {
        var snapshot = await keeping.SnapshotAsync();
        var (failed, withdrawn, late) = (Make(snapshot), Make(snapshot), Make(snapshot));
        await Run(() => keeping.Volumes.AdmitVolumeAsync(failed));
        await Run(() => keeping.Volumes.FailVolumeAsync(new(failed)));
        await Run(() => keeping.Volumes.AdmitVolumeAsync(withdrawn));
        await Run(() => keeping.Volumes.WithdrawVolumeAsync(withdrawn));
        await Run(() => keeping.Volumes.WithdrawVolumeAsync(late));

        var row = (await db.Volumes.FindAsync(failed.Volume, None))!;
        Assert.Equal((VolumeStatus.Error, false), (row.Status, row.NeedsSnapshot));
        Assert.Equal("VOLUME_VOLUME_007_004", (await db.Messages.ListAsync(snapshot.ProjectId, new(), new Page(10), Given.Now, None)).Single().EventId);
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Volumes.AdmitVolumeAsync(withdrawn));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Volumes.AdmitVolumeAsync(late));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Volumes.CompleteVolumeAsync(new(failed.Volume, false)));
    }

    [Fact]
    public async Task A_restore_makes_a_row_for_each_snapshot_of_the_image_in_the_order_of_its_devices()
    {
        var (image, snapshots) = await keeping.ImageAsync();
        var input = Restore(image);

        var prepared = await Run(() => keeping.Images.PrepareRestoreAsync(input));
        Assert.Equal(prepared.Restored, (await Run(() => keeping.Images.PrepareRestoreAsync(input))).Restored);

        Assert.Equal(["/dev/vda", "/dev/vdb", "/dev/vdc"], prepared.Restored.Select(v => v.DeviceName));
        Assert.Equal([0, null, null], prepared.Restored.Select(v => v.BootIndex));
        Assert.Equal(snapshots.Select(s => s.Id).ToHashSet(), prepared.Volumes.Select(v => v.Snapshot).ToHashSet());
        Assert.All(await RowsAsync(prepared), v => Assert.Equal(VolumeStatus.Creating, v.Status));
        Assert.Equal(["snap-1 /dev/vda", "snap-1 /dev/vdb", "snap-1 /dev/vdc"], (await RowsAsync(prepared)).Select(v => v.Name).Order());

        await Run(() => keeping.Images.CompleteRestoreAsync(Complete(input, prepared)));
        await Run(() => keeping.Images.CompleteRestoreAsync(Complete(input, prepared)));
        Assert.All(await RowsAsync(prepared), v => Assert.Equal(VolumeStatus.Available, v.Status));
        var operation = (await db.Operations.FindVisibleAsync(input.Operation, image.Caller, None))!;
        Assert.Equal((OperationKind.RestoreImage, RunStatus.Completed, 3), (operation.Kind, operation.Status, operation.Volumes.Count));
        Assert.Equal("debian", (await db.Volumes.GlanceMetadataAsync(prepared.Restored[0].Volume, None))["image_name"]);
    }

    [Fact]
    public async Task A_restore_that_is_undone_leaves_no_rows_gives_the_quota_back_and_never_returns()
    {
        var (image, _) = await keeping.ImageAsync();
        var (made, late) = (Restore(image), Restore(image));
        var before = await InUseAsync(image.Caller.ProjectId, Quota.Volumes);
        var prepared = await Run(() => keeping.Images.PrepareRestoreAsync(made));

        // The first step's answer was lost: nobody knows the volumes, the operation's row does.
        await Run(() => keeping.Images.UndoRestoreAsync(new(made, [], [])));
        await Run(() => keeping.Images.UndoRestoreAsync(new(late, [], [])));
        await Run(() => keeping.Images.CloseRestoreAsync(new(made, RunStatus.Cancelled, new(ErrorKind.StaleStatus, "the run was cancelled"), [])));

        Assert.Empty(await RowsAsync(prepared));
        Assert.Equal(before, await InUseAsync(image.Caller.ProjectId, Quota.Volumes));
        Assert.Equal(RunStatus.Cancelled, (await db.Operations.FindVisibleAsync(made.Operation, image.Caller, None))!.Status);
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.PrepareRestoreAsync(made));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.PrepareRestoreAsync(late));
        await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.CompleteRestoreAsync(Complete(made, prepared)));
    }

    [Fact]
    public async Task A_restore_whose_first_step_is_still_on_its_way_into_the_records_is_undone_with_the_volumes_that_it_writes()
    {
        var (image, _) = await keeping.ImageAsync();
        var input = Restore(image);
        var (holds, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        // Somebody else holds the quota, for which the first step waits with its operation's row already written.
        var holding = db.Database.WriteAsync(
            async s =>
            {
                await db.Quotas.AdmitAsync(s, Quota.OfVolumes(image.Caller.ProjectId, [(1, null)]), DateTimeOffset.UnixEpoch);
                holds.SetResult();
                await release.Task;
                return true;
            },
            None);
        await holds.Task;
        var prepared = Run(() => keeping.Images.PrepareRestoreAsync(input));
        await db.UntilBlockedAsync(1);

        var undone = Run(() => keeping.Images.UndoRestoreAsync(new(input, [], [])));
        await db.UntilBlockedAsync(2);
        release.SetResult();
        await Task.WhenAll(holding, undone);

        Assert.Empty(await RowsAsync(await prepared));
    }

    [Fact]
    public async Task A_volume_whose_first_step_is_still_on_its_way_into_the_records_is_withdrawn_with_the_row_that_it_writes()
    {
        var (_, snapshots) = await keeping.ImageAsync();
        var input = Make(snapshots[0]);
        var volume = await keeping.VolumeAsync() with { Id = input.Volume, Status = VolumeStatus.Creating };
        await db.WhileWritingAsync(
            async s => Assert.True(await db.Volumes.AddNewAsync(s, volume)), () => Run(() => keeping.Volumes.WithdrawVolumeAsync(input)));

        Assert.Null(await db.Volumes.FindAsync(input.Volume, None));
    }

    [Fact]
    public async Task What_the_back_end_still_has_keeps_an_error_row()
    {
        var (image, _) = await keeping.ImageAsync();
        var input = Restore(image);
        var prepared = await Run(() => keeping.Images.PrepareRestoreAsync(input));

        await Run(() => keeping.Images.UndoRestoreAsync(new(input, [.. prepared.Volumes.Select(v => v.Volume)], [prepared.Volumes[0].Volume])));

        var left = Assert.Single(await RowsAsync(prepared));
        Assert.Equal((prepared.Volumes[0].Volume, VolumeStatus.Error), (left.Id, left.Status));
    }

    [Fact]
    public async Task An_image_that_is_not_whole_or_not_ones_own_is_refused_and_a_restore_over_quota_writes_nothing()
    {
        var (image, snapshots) = await keeping.ImageAsync();
        await RefusesAsync(ErrorKind.NotFound, () => keeping.Images.PrepareRestoreAsync(Restore(image) with { Caller = Given.Member(Given.Project()) }));

        await db.Quotas.SetLimitAsync(image.Caller.ProjectId, Quota.Volumes, 5, None);
        var over = Restore(image);
        Assert.Equal("Quota exceeded for resources: volumes (volumes: 3 more, 3 of 5 taken)", await RefusesAsync(ErrorKind.QuotaExceeded, () => keeping.Images.PrepareRestoreAsync(over)));
        Assert.Null(await db.Operations.FindVisibleAsync(over.Operation, image.Caller, None));

        var stranger = Given.Member(Given.Project());
        await db.ScalarAsync($"UPDATE images SET visibility = 'community' WHERE id = '{image.Image}'");
        Assert.Contains(
            await RefusesAsync(ErrorKind.InvalidRequest, () => keeping.Images.PrepareRestoreAsync(Restore(image) with { Caller = stranger })),
            snapshots.Select(s => $"Block Device Mapping is Invalid: failed to get snapshot {s.Id}."));

        await db.ScalarAsync($"UPDATE snapshots SET status = 'error' WHERE id = '{snapshots[0].Id}'");
        Assert.Equal(
            $"Image {image.Image} cannot be restored: Snapshot {snapshots[0].Id} is error.", await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.PrepareRestoreAsync(Restore(image))));
        await db.Database.WriteAsync(s => db.Snapshots.RemoveAsync(s, snapshots[0].Id, Given.Now), None);
        Assert.Equal(
            $"Image {image.Image} cannot be restored: 1 of its snapshots have been deleted.", await RefusesAsync(ErrorKind.StaleStatus, () => keeping.Images.PrepareRestoreAsync(Restore(image))));
    }

    private static CreateVolumeInput Make(Snapshot snapshot) =>
        new(VolumeId.New(), snapshot.Id, null, "disk", null, null, null, new Dictionary<string, string>(), Given.Member(snapshot.ProjectId), "req-3");

    private static RestoreImageInput Restore(CreateImageInput image) => new(OperationId.New(), image.Image, null, image.Caller, "req-3");

    private static CompleteRestoreInput Complete(RestoreImageInput input, PreparedRestore prepared) => new(input, [.. prepared.Volumes.Select(v => new MadeVolume(v.Volume, false))]);

    private Task<IReadOnlyList<Volume>> RowsAsync(PreparedRestore prepared) => db.Database.ReadAsync(s => db.Volumes.FindAsync(s, prepared.Volumes.Select(v => v.Volume)), None);

    private async Task<int> InUseAsync(string project, string resource) =>
        (int)((await db.Quotas.LevelsAsync(project, Given.Now, None)).SingleOrDefault(l => l.Resource == resource)?.InUse ?? 0);
}
