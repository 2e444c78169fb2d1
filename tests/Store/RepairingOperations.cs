using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using static SnapshotFlow.Tests.Store.Looks;

namespace SnapshotFlow.Tests.Store;

/// <summary>Deletions, restores, and single snapshots and volumes whose run was ended from outside: what the second look does about them, in the records.</summary>
public sealed class RepairingOperations : IClassFixture<StoreDatabase>
{
    /// <summary>A restore, a snapshot that is being made and an image that is being deleted, the repair of each, and the workflows that would go on with them.</summary>
    private async Task<(Repair Undo, Repair GiveUp, Repair Finish, string[] Workflows)> HalfwayAsync()
    {
        var (restore, _) = await RestoreAsync();
        var making = ResourceKeeping.Cut(await keeping.VolumeAsync());
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(making));
        var (image, _) = await keeping.ImageAsync();
        var asked = new DeleteImageInput(OperationId.New(), image.Image, false, image.Caller, "req-2");
        await Run(() => keeping.Images.BeginDeleteImageAsync(asked));
        return (
            new(RepairKind.GiveUpCreation, Operation: restore.Operation), new(RepairKind.GiveUpCreation, Snapshot: making.Snapshot), new(RepairKind.FinishDeletion, Operation: asked.Operation),
            [Names.RestoreImageWorkflow(restore.Operation), Names.CreateSnapshotWorkflow(making.Snapshot), Names.DeleteImageWorkflow(image.Image)]);
    }

    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;
    private readonly Looks looks;
    private readonly ResourceKeeping keeping;

    public RepairingOperations(StoreDatabase db)
    {
        this.db = db;
        db.Require();
        (looks, keeping) = (new(db), new(db));
    }

    [Fact]
    public async Task The_deletion_of_an_image_goes_on_as_the_same_operation_and_takes_along_what_it_had_marked_and_nothing_else()
    {
        var (request, snapshots) = await keeping.ImageAsync();
        var asked = new DeleteImageInput(OperationId.New(), request.Image, false, request.Caller, "req-2");
        await Run(() => keeping.Images.BeginDeleteImageAsync(asked));
        // Somebody has saved one of them by hand.
        await db.ScalarAsync($"UPDATE snapshots SET status = 'available' WHERE id = '{snapshots[0].Id}'");
        var repair = await RepairAsync(RepairKind.FinishDeletion, r => r.Operation == asked.Operation);

        var resumed = (await Run(() => looks.Repairs.BeginFinishDeletionAsync(repair)))!.Image!;
        Assert.Equal((asked.Operation, asked.Image, true, "req-2"), (resumed.Operation, resumed.Image, resumed.Resume, resumed.RequestId));
        var going = await Run(() => keeping.Images.BeginDeleteImageAsync(resumed));
        Assert.Equal(snapshots.Skip(1).Select(s => s.Id).ToHashSet(), going.Select(s => s.Snapshot).ToHashSet());
        await Run(() => keeping.Images.EndDeleteImageAsync(new(resumed, [.. going.Select(s => new DeletedSnapshot(s.Snapshot, null))])));

        Assert.Equal(RunStatus.Completed, (await db.Operations.FindVisibleAsync(asked.Operation, request.Caller, None))!.Status);
        Assert.Equal([snapshots[0].Id], (await LiveOfAsync(request.Image)).Select(s => s.Id));
        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(repair)));
        Assert.DoesNotContain((await looks.LookAsync()).Findings, f => f.Key.Subject == asked.Operation.ToString() || f.Key.Subject == request.Image.ToString());
    }

    [Fact]
    public async Task Snapshots_that_were_to_be_kept_are_kept_whoever_asks_again_and_however()
    {
        var (request, snapshots) = await keeping.ImageAsync();
        var asked = new DeleteImageInput(OperationId.New(), request.Image, true, request.Caller, "req-2");
        await Run(() => keeping.Images.BeginDeleteImageAsync(asked));

        Assert.Empty(await Run(() => keeping.Images.BeginDeleteImageAsync(asked with { KeepSnapshots = false, RequestId = "req-3" })));
        Assert.Equal(snapshots.Count, (await LiveOfAsync(request.Image)).Count(s => s.Status is SnapshotStatus.Available));
    }

    [Fact]
    public async Task An_operation_whose_image_another_deletion_has_taken_is_closed()
    {
        var (request, _) = await keeping.ImageAsync();
        var asked = new DeleteImageInput(OperationId.New(), request.Image, true, request.Caller, "req-2");
        await Run(() => keeping.Images.BeginDeleteImageAsync(asked));
        await Run(() => keeping.Images.EndDeleteImageAsync(new(asked with { Operation = OperationId.New() }, [])));

        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(new(RepairKind.FinishDeletion, Operation: asked.Operation))));
        Assert.Equal(RunStatus.Completed, (await db.Operations.FindVisibleAsync(asked.Operation, request.Caller, None))!.Status);
    }

    [Fact]
    public async Task A_restore_is_closed_to_its_own_late_steps_and_undone()
    {
        var (restore, prepared) = await RestoreAsync();
        var repair = await RepairAsync(RepairKind.GiveUpCreation, r => r.Operation == restore.Operation);

        var plan = (await Run(() => looks.Repairs.BeginGiveUpCreationAsync(repair)))!;
        Assert.Equal(prepared.Volumes.Select(v => v.Volume).ToHashSet(), plan.Volumes.Select(v => v.Volume).ToHashSet());
        Assert.All(plan.Volumes, v => Assert.Equal("host1@file", v.Backend));
        await ResourceKeeping.RefusesAsync(
            ErrorKind.StaleStatus, () => keeping.Images.CompleteRestoreAsync(new(restore, [.. prepared.Volumes.Select(v => new MadeVolume(v.Volume, false))])));
        await Run(() => keeping.Images.UndoRestoreAsync(new(plan.Restore!.Request, [.. plan.Volumes.Select(v => v.Volume)], [])));
        await Run(() => keeping.Images.CloseRestoreAsync(plan.Restore!));

        var over = (await db.Operations.FindVisibleAsync(restore.Operation, restore.Caller, None))!;
        Assert.Equal((RunStatus.Failed, ErrorKind.StaleStatus), (over.Status, over.Reason!.Kind));
        Assert.Contains("in Temporal: terminated", over.Reason.Message, StringComparison.Ordinal);
        Assert.Empty(await db.Database.ReadAsync(s => db.Volumes.FindAsync(s, prepared.Volumes.Select(v => v.Volume)), None));
        Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(repair)));
    }

    [Fact]
    public async Task A_restore_of_whose_volumes_one_is_in_use_is_a_finding_and_is_not_undone()
    {
        var (restore, prepared) = await RestoreAsync();
        await db.ScalarAsync($"UPDATE volumes SET status = 'in-use' WHERE id = '{prepared.Volumes[0].Volume}'");
        looks.Time.Now = Given.Now + (2 * Steps.LongestRun);
        await looks.LookAsync();
        looks.Time.Now += Interval;
        var look = await looks.LookAsync();

        Assert.Contains(look.Findings, f => f.Key.Subject == restore.Operation.ToString() && f.Detail.Contains("1 of its volumes are in use", StringComparison.Ordinal));
        Assert.DoesNotContain(look.Repairs, r => r.Repair.Operation == restore.Operation);
        Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(new(RepairKind.GiveUpCreation, Operation: restore.Operation))));
        Assert.Equal(VolumeStatus.Creating, (await db.Volumes.FindAsync(prepared.Volumes[1].Volume, None))!.Status);
    }

    [Fact]
    public async Task A_snapshot_that_nobody_makes_any_more_is_in_error_its_owner_is_told_and_it_can_be_deleted()
    {
        var making = ResourceKeeping.Cut(await keeping.VolumeAsync());
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(making));
        var repair = await RepairAsync(RepairKind.GiveUpCreation, r => r.Snapshot == making.Snapshot);

        var plan = (await Run(() => looks.Repairs.BeginGiveUpCreationAsync(repair)))!;
        Assert.Equal(new SnapshotToDelete("host1@file", making.Volume, making.Snapshot), plan.Snapshot);
        await ResourceKeeping.RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.CompleteSnapshotAsync(making));

        Assert.Equal(SnapshotStatus.Error, (await db.Snapshots.FindVisibleAsync(making.Snapshot, making.Caller, None))!.Status);
        var told = await db.Messages.ListAsync(making.Caller.ProjectId, new(Resource: making.Snapshot.Value), new(10), looks.Time.Now, None);
        Assert.EndsWith("009_013", Assert.Single(told).EventId, StringComparison.Ordinal);
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(new(making.Snapshot, false, making.Caller, "req-2")));
    }

    [Fact]
    public async Task The_deletion_of_a_snapshot_goes_on_unless_it_was_given_up_meanwhile()
    {
        var snapshot = await keeping.SnapshotAsync();
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(new(snapshot.Id, false, Given.Member(snapshot.ProjectId), "req-2")));
        var repair = await RepairAsync(RepairKind.FinishDeletion, r => r.Snapshot == snapshot.Id);

        var resumed = (await Run(() => looks.Repairs.BeginFinishDeletionAsync(repair)))!.Snapshot!;
        Assert.Equal(snapshot.Id, (await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(resumed))).Snapshot);
        await Run(() => keeping.Snapshots.EndDeleteSnapshotAsync(new(resumed, new(snapshot.Id, new(ErrorKind.Busy, "a clone needs it")))));

        // It is an ordinary snapshot again: nobody wants it gone any more.
        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(repair)));
        await ResourceKeeping.RefusesAsync(ErrorKind.StaleStatus, () => keeping.Snapshots.BeginDeleteSnapshotAsync(resumed));
        Assert.Equal(SnapshotStatus.Available, (await db.Snapshots.FindVisibleAsync(snapshot.Id, Given.Admin(), None))!.Status);
    }

    [Fact]
    public async Task A_volume_that_nobody_makes_any_more_is_in_error_and_the_deletion_of_one_that_was_made_here_goes_on()
    {
        var (making, deleting) = (await MakeVolumeAsync(), await MakeVolumeAsync());
        await Run(() => keeping.Volumes.CompleteVolumeAsync(new(deleting.Volume, false)));
        await Run(() => keeping.Volumes.BeginDeleteVolumeAsync(new(deleting.Volume, false, deleting.Caller, "req-2")));
        var giveUp = await RepairAsync(RepairKind.GiveUpCreation, r => r.Volume == making.Volume);
        var finish = await RepairAsync(RepairKind.FinishDeletion, r => r.Volume == deleting.Volume);

        Assert.Equal([new VolumeToDelete(making.Volume, "host1@file")], (await Run(() => looks.Repairs.BeginGiveUpCreationAsync(giveUp)))!.Volumes);
        await ResourceKeeping.RefusesAsync(ErrorKind.StaleStatus, () => keeping.Volumes.CompleteVolumeAsync(new(making.Volume, false)));
        Assert.Equal(VolumeStatus.Error, (await db.Volumes.FindAsync(making.Volume, None))!.Status);
        var resumed = (await Run(() => looks.Repairs.BeginFinishDeletionAsync(finish)))!.Volume!;
        Assert.Equal(deleting.Volume, (await Run(() => keeping.Volumes.BeginDeleteVolumeAsync(resumed))).Volume);
    }

    [Fact]
    public async Task A_registered_volume_that_is_being_deleted_is_left_to_people()
    {
        var volume = await keeping.VolumeAsync();
        await Run(() => keeping.Volumes.BeginDeleteVolumeAsync(new(volume.Id, false, Given.Member(volume.ProjectId), "req-2")));
        looks.Time.Now = Given.Now + (2 * Steps.LongestRun);
        await looks.LookAsync();
        looks.Time.Now += Interval;
        var look = await looks.LookAsync();

        Assert.Contains(look.Findings, f => f.Key == new FindingKey(FindingKind.StuckVolume, volume.Id.ToString()));
        Assert.DoesNotContain(look.Repairs, r => r.Repair.Volume == volume.Id);
        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(new(RepairKind.FinishDeletion, Volume: volume.Id))));
    }

    [Theory]
    [InlineData("creating")]
    [InlineData("deleting")]
    public async Task A_snapshot_that_an_administrator_has_put_into_a_status_is_left_to_people(string status)
    {
        var snapshot = await keeping.SnapshotAsync();
        await db.Database.WriteAsync(
            s => db.Snapshots.MoveAsync(s, snapshot.Id, EnumText.Parse<SnapshotStatus>(status), Given.Now.AddMinutes(1), SnapshotStatus.Available), None);
        looks.Time.Now = Given.Now + (2 * Steps.LongestRun);
        await looks.LookAsync();
        looks.Time.Now += Interval;
        var look = await looks.LookAsync();

        Assert.Contains(look.Findings, f => f.Key == new FindingKey(FindingKind.StuckSnapshot, snapshot.Id.ToString()));
        Assert.DoesNotContain(look.Repairs, r => r.Repair.Snapshot == snapshot.Id);
        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(new(RepairKind.FinishDeletion, Snapshot: snapshot.Id))));
        Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(new(RepairKind.GiveUpCreation, Snapshot: snapshot.Id))));
        Assert.Equal(status, (await db.Snapshots.FindVisibleAsync(snapshot.Id, Given.Admin(), None))!.Status.ToText());
    }

    [Fact]
    public async Task Nothing_is_deleted_on_a_back_end_that_an_administrator_has_frozen()
    {
        var (undo, giveUp, finish, _) = await HalfwayAsync();
        await db.ScalarAsync($"INSERT INTO frozen_backends (backend, frozen_at) VALUES ('host1@file', now())");
        try
        {
            Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(undo)));
            Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(giveUp)));
            Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(finish)));
        }
        finally
        {
            await db.ScalarAsync("DELETE FROM frozen_backends");
        }

        Assert.NotNull(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(undo)));
        Assert.NotNull(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(giveUp)));
        Assert.NotNull(await Run(() => looks.Repairs.BeginFinishDeletionAsync(finish)));
    }

    [Fact]
    public async Task Whatever_has_a_run_again_by_the_time_of_the_repair_is_left_to_it()
    {
        var (undo, giveUp, finish, workflows) = await HalfwayAsync();
        looks.Live.UnionWith(workflows);

        Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(undo)));
        Assert.Null(await Run(() => looks.Repairs.BeginGiveUpCreationAsync(giveUp)));
        Assert.Null(await Run(() => looks.Repairs.BeginFinishDeletionAsync(finish)));
    }

    /// <summary>The repair that the second look plans once everything is old, and the first did not.</summary>
    private async Task<Repair> RepairAsync(RepairKind kind, Func<Repair, bool> of)
    {
        looks.Time.Now = Given.Now + Steps.LongestRun;
        Assert.DoesNotContain((await looks.LookAsync()).Repairs, p => p.Repair.Kind == kind && of(p.Repair));
        looks.Time.Now += Interval;
        return Assert.Single((await looks.LookAsync()).Repairs, p => p.Repair.Kind == kind && of(p.Repair)).Repair;
    }

    private async Task<(RestoreImageInput Input, PreparedRestore Prepared)> RestoreAsync()
    {
        var (image, _) = await keeping.ImageAsync();
        var restore = new RestoreImageInput(OperationId.New(), image.Image, null, image.Caller, "req-3");
        return (restore, await Run(() => keeping.Images.PrepareRestoreAsync(restore)));
    }

    private async Task<CreateVolumeInput> MakeVolumeAsync()
    {
        var snapshot = await keeping.SnapshotAsync();
        var making = new CreateVolumeInput(VolumeId.New(), snapshot.Id, null, "disk", null, null, null, new Dictionary<string, string>(), Given.Member(snapshot.ProjectId), "req-1");
        await Run(() => keeping.Volumes.AdmitVolumeAsync(making));
        return making;
    }

    private Task<IReadOnlyList<Snapshot>> LiveOfAsync(ImageId image) => db.Database.WriteAsync(s => db.Snapshots.LockOfImageAsync(s, image), None);
}
