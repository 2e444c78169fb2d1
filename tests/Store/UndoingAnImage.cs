using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Tests.Store;

/// <summary>A run that does not complete leaves the records as it found them, however far it came, and stays undone.</summary>
public sealed class UndoingAnImage : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public UndoingAnImage(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    public static TheoryData<Step?> LastSteps => [(Step?)null, Step.PrepareImage, Step.CheckQuota, Step.ReserveRecords, Step.CopyGlanceMetadata, Step.CompleteSnapshots, Step.CreateImageRecord];

    [Theory]
    [MemberData(nameof(LastSteps))]
    public async Task Undoing_leaves_the_records_as_they_were_after_any_step_and_any_number_of_times(Step? last)
    {
        var records = await RecordKeeping.OnAsync(db);
        var before = await records.HoldingsAsync();
        await UpToAsync(records, last);
        await records.UndoAsync();
        Assert.Equal(before, await records.HoldingsAsync());
        var picture = await records.PictureAsync();
        await records.UndoAsync();
        Assert.Equal(picture, await records.PictureAsync());
        Assert.Equal(RunStatus.Failed, (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    [Theory]
    [MemberData(nameof(LastSteps))]
    public async Task A_step_that_comes_after_the_undo_does_nothing(Step? last)
    {
        var records = await RecordKeeping.OnAsync(db);
        var before = await records.HoldingsAsync();
        var prepared = await records.PlanAsync();
        await UpToAsync(records, last);
        await records.RemoveAsync();
        await records.ReleaseQuotaAsync();
        await records.ReleaseServerAsync();
        // Late, before the run is closed as well as after.
        await AssertEveryStepIsTooLateAsync(records, prepared);
        await records.CloseAsync(RunStatus.Cancelled);
        await AssertEveryStepIsTooLateAsync(records, prepared);
        Assert.Equal(before, await records.HoldingsAsync());
    }

    [Theory]
    [InlineData(Step.PrepareImage)]
    [InlineData(Step.ReserveRecords)]
    [InlineData(Step.CompleteSnapshots)]
    public async Task A_server_that_goes_while_its_image_is_made_holds_up_no_undo_and_leaves_no_image(Step last)
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, last);
        await db.ScalarAsync($"DELETE FROM servers WHERE id = '{records.Server.Id}'");

        await records.UndoAsync();

        Assert.Empty(await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(), new Page(100), None));
        Assert.Empty(await db.Images.ListAsync(Given.Admin(), new ImageFilter(Owner: records.Input.Caller.ProjectId), new Page(100), None));
        Assert.DoesNotContain(await db.Quotas.LevelsAsync(records.Server.ProjectId, Given.Now, None), l => l.Resource == Quota.Snapshots && l.InUse + l.Reserved > 0);
        Assert.Equal(RunStatus.Failed, (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    [Fact]
    public async Task Snapshots_that_their_back_end_still_has_stay_in_sight_and_count_and_the_rest_goes()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await UpToAsync(records, Step.ReserveRecords);
        var left = prepared!.Draft.Volumes[1].Snapshot;
        await records.RemoveAsync(left);
        await records.ReleaseQuotaAsync();
        await records.ReleaseServerAsync();
        await records.CloseAsync(RunStatus.CompensationFailed, "busy", new Leftover("DeleteVolumeSnapshot", Names.Snapshot(left), "busy"));

        var row = Assert.Single(await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(), new Page(10), None));
        Assert.Equal((left, SnapshotStatus.ErrorDeleting), (row.Id, row.Status));
        Assert.Equal(1, (await db.Quotas.LevelsAsync(records.Server.ProjectId, Given.Now, None)).Single(l => l.Resource == Quota.Snapshots).InUse);
        Assert.Null(await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None));
        Assert.Single((await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Leftovers);

        // Trying again once the back end is rid of it finishes the job.
        await records.RemoveAsync();
        Assert.Empty(await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(), new Page(10), None));
    }

    [Fact]
    public async Task Whoever_listens_hears_that_the_snapshots_are_gone_once_each()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await UpToAsync(records, Step.ReserveRecords);
        await records.UndoAsync();
        await records.UndoAsync();
        foreach (var volume in prepared!.Draft.Volumes)
        {
            Assert.Equal(
                ["snapshot.create.start", "snapshot.delete.start", "snapshot.delete.end"],
                (await db.Notifications.OfResourceAsync(volume.Snapshot.ToString(), None)).Select(n => n.EventType));
        }
    }

    [Fact]
    public async Task The_instance_action_of_a_failed_run_says_so_and_why()
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, Step.ReserveRecords);
        await records.RemoveAsync();
        await records.CloseAsync(RunStatus.Failed, "no space left");
        var action = (await db.Actions.FindAsync(records.Server.Id, records.Input.RequestId, None))!;
        Assert.Equal("Error", action.Message);
        Assert.Equal([("Error", "no space left")], action.Events.Select(e => (e.Result!, e.Details!)));
    }

    [Fact]
    public async Task A_refused_request_may_be_made_again_with_the_same_key_and_then_succeeds()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await UpToAsync(records, Step.ReserveRecords);
        await records.UndoAsync(RunStatus.Refused);
        var refused = records.Input;

        records.Input = refused with { RequestId = "req-" + Guid.NewGuid() };
        await records.SucceedAsync();
        // An undo of the first request that comes this late finds that nothing is its own any more.
        var again = records.Input;
        records.Input = refused;
        await records.UndoAsync(RunStatus.Refused);
        await AssertEveryStepIsTooLateAsync(records, prepared!);
        records.Input = again;
        Assert.Equal(ImageStatus.Active, (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
        Assert.Equal(3, (await db.Snapshots.ListAsync(records.Server.ProjectId, new SnapshotFilter(Status: "available"), new Page(10), None)).Count);
        Assert.Equal(RunStatus.Completed, (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    private static async Task<PreparedImage?> UpToAsync(RecordKeeping records, Step? last)
    {
        if (last is null)
        {
            return null;
        }

        var prepared = await records.PrepareAsync();
        var steps = new (Step Step, Func<Task> Do)[]
        {
            (Step.CheckQuota, () => records.CheckQuotaAsync(prepared)),
            (Step.ReserveRecords, () => records.ReserveAsync(prepared)),
            (Step.CopyGlanceMetadata, () => records.CopyAsync(prepared.Draft.Volumes[0])),
            (Step.CompleteSnapshots, () => records.CompleteAsync(prepared)),
            (Step.CreateImageRecord, () => records.RecordImageAsync(prepared)),
        };
        foreach (var (_, act) in steps.Where(s => s.Step <= last))
        {
            await act();
        }

        return prepared;
    }

    private static async Task AssertEveryStepIsTooLateAsync(RecordKeeping records, PreparedImage prepared)
    {
        foreach (var late in new Func<Task>[]
        {
            records.PrepareAsync,
            () => records.CheckQuotaAsync(prepared),
            () => records.ReserveAsync(prepared),
            () => records.CompleteAsync(prepared),
            () => records.RecordImageAsync(prepared),
        })
        {
            Assert.Equal(ErrorKind.StaleStatus, (await RecordKeeping.RefusedAsync(late)).Kind);
        }
    }
}
