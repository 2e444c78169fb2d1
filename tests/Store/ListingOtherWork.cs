using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>What people see of restores, deletions and snapshots of single volumes. Each test has a project of its own.</summary>
public sealed class ListingOtherWork : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;
    private readonly string project = Given.Project();

    public ListingOtherWork(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    private WorkStore Work => new(db.Database);

    [Fact]
    public async Task Operations_that_go_on_come_first_and_of_those_that_ended_the_latest_and_only_the_projects_own()
    {
        var old = await OperationAsync(OperationKind.RestoreImage, Given.Now);
        var ended = new List<Operation>();
        for (var i = 1; i <= 3; i++)
        {
            ended.Add(await OperationAsync(OperationKind.DeleteImage, Given.Now.AddMinutes(i), RunStatus.Failed));
        }

        var found = await Work.OperationsAsync(project, 5, 2, None);

        Assert.Equal([(old.Id.Value, true), (ended[2].Id.Value, false), (ended[1].Id.Value, false)], found.Select(w => (w.Id, w.GoesOn)));
        Assert.Equal(("restore_image", "running", null), (found[0].Kind, found[0].Status, found[0].EndedAt));
        Assert.Equal(("delete_image", "failed", "the pool is offline", Given.Now.AddHours(1)), (found[1].Kind, found[1].Status, found[1].Reason, found[1].EndedAt!.Value));
        Assert.Empty(await Work.OperationsAsync(Given.Project(), 5, 2, None));
        Assert.Contains(await Work.OperationsAsync(null, 100, 0, None), w => w.Id == old.Id.Value);
    }

    [Fact]
    public async Task Snapshots_of_single_volumes_are_other_work_and_those_of_a_run_or_an_operation_are_not()
    {
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volume), Given.Now, None);
        var image = ImageId.New();
        var made = Given.Snapshot(volume, createdAt: Given.Now) with { Status = SnapshotStatus.Available };
        var making = Given.Snapshot(volume, createdAt: Given.Now.AddMinutes(-5)) with { Name = "nightly" };
        var deleting = Given.Snapshot(volume, createdAt: Given.Now.AddMinutes(-9)) with { Status = SnapshotStatus.Deleting };
        var ofImage = Given.Snapshot(volume, image) with { Status = SnapshotStatus.Deleting };
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, [made, making, deleting, ofImage]), None);
        await OperationAsync(OperationKind.DeleteImage, Given.Now, image: image);

        var found = await Work.SnapshotsAsync(project, 5, 5, None);

        Assert.Equal(
            [(making.Id.Value, "create_snapshot", true), (deleting.Id.Value, "delete_snapshot", true), (made.Id.Value, "create_snapshot", false)], found.Select(w => (w.Id, w.Kind, w.GoesOn)));
        Assert.Equal(("nightly", "creating", volume.Id.Value), (found[0].Name, found[0].Status, found[0].SubjectId));
        Assert.Empty(await Work.SnapshotsAsync(Given.Project(), 5, 5, None));
    }

    [Fact]
    public async Task A_snapshot_of_an_image_that_is_deleted_on_its_own_is_other_work()
    {
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volume), Given.Now, None);
        var kept = Given.Snapshot(volume, ImageId.New()) with { Status = SnapshotStatus.Deleting };
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, [kept]), None);

        Assert.Equal((kept.Id.Value, "delete_snapshot"), Assert.Single(await Work.SnapshotsAsync(project, 5, 5, None)) is var found ? (found.Id, found.Kind) : default);
    }

    private async Task<Operation> OperationAsync(OperationKind kind, DateTimeOffset startedAt, RunStatus status = RunStatus.Running, ImageId? image = null)
    {
        var operation = new Operation
        {
            Id = OperationId.New(), Kind = kind, ImageId = image ?? ImageId.New(), ProjectId = project, UserId = "user-1", RequestId = "req-1", Status = status, StartedAt = startedAt,
            Reason = status is RunStatus.Running ? null : new(ErrorKind.BackendRefused, "the pool is offline"), EndedAt = status is RunStatus.Running ? null : Given.Now.AddHours(1),
        };
        await db.Database.WriteAsync(
            async s =>
            {
                await db.Operations.OpenAsync(s, operation);
                if (status is not RunStatus.Running)
                {
                    await db.Operations.CloseAsync(s, operation);
                }
            },
            None);
        return operation;
    }
}
