using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>Status changes say what they expect to find, and lose when they do not find it.</summary>
public sealed class GuardedMoves : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public GuardedMoves(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task Of_twenty_images_of_one_server_exactly_one_takes_the_task_state()
    {
        var server = await RegisteredAsync();
        var images = Enumerable.Range(0, 20).Select(_ => ImageId.New()).ToList();
        var taken = await Task.WhenAll(images.Select(i => db.Database.WriteAsync(s => db.Servers.TakeTaskStateAsync(s, server.Id, i, Given.Now), None)));

        Assert.Single(taken, true);
        Assert.Equal(images[Array.IndexOf(taken, true)], (await db.Servers.FindAsync(server.Id, None))!.TaskImage);
    }

    [Fact]
    public async Task Only_the_image_that_holds_a_server_lets_go_of_it()
    {
        var server = await RegisteredAsync();
        var (holder, other) = (ImageId.New(), ImageId.New());
        Assert.True(await TakeAsync(server, holder));
        Assert.True(await TakeAsync(server, holder));
        Assert.False(await TakeAsync(server, other));

        await db.Database.WriteAsync(s => db.Servers.ReleaseTaskStateAsync(s, server.Id, other, Given.Now), None);
        Assert.Equal(holder, (await db.Servers.FindAsync(server.Id, None))!.TaskImage);
        await db.Database.WriteAsync(s => db.Servers.ReleaseTaskStateAsync(s, server.Id, holder, Given.Now), None);
        Assert.Null((await db.Servers.FindAsync(server.Id, None))!.TaskState);
    }

    [Fact]
    public async Task Another_operation_keeps_its_task_state()
    {
        var project = Given.Project();
        var server = Given.Server(project) with { TaskState = "powering-off" };
        await db.Servers.RegisterAsync(Given.Registration(server, Given.Volume(project)), Given.Now, None);
        Assert.False(await TakeAsync(server, ImageId.New()));
        Assert.Equal("powering-off", (await db.Servers.FindAsync(server.Id, None))!.TaskState);
    }

    [Fact]
    public async Task A_run_is_opened_by_one_request_and_open_to_it_alone()
    {
        var run = Given.Run(Given.Project());
        Assert.True(await OpenAsync(run));
        Assert.True(await OpenAsync(run));
        Assert.False(await OpenAsync(run with { RequestId = "req-2" }));
        Assert.True(await AdvanceAsync(run));
        Assert.False(await AdvanceAsync(run with { RequestId = "req-2" }));
    }

    [Fact]
    public async Task No_step_passes_once_an_undo_has_begun()
    {
        var run = Given.Run(Given.Project());
        Assert.True(await OpenAsync(run));
        Assert.True(await BeginUndoAsync(run));
        Assert.False(await AdvanceAsync(run));
        Assert.False(await OpenAsync(run));
        Assert.True(await BeginUndoAsync(run));
    }

    [Fact]
    public async Task A_run_that_was_undone_before_it_was_opened_never_opens()
    {
        var run = Given.Run(Given.Project());
        Assert.True(await BeginUndoAsync(run));
        Assert.False(await OpenAsync(run));
        Assert.Equal(RunStatus.Refused, (await db.Runs.FindVisibleAsync(run.ImageId, Given.Member(run.ProjectId), None))!.Status);
    }

    [Theory]
    [InlineData(RunStatus.Refused, true)]
    [InlineData(RunStatus.Completed, false)]
    [InlineData(RunStatus.Failed, false)]
    [InlineData(RunStatus.Cancelled, false)]
    [InlineData(RunStatus.CompensationFailed, false)]
    public async Task Only_the_image_id_of_a_refused_run_may_be_asked_for_again(RunStatus ended, bool again)
    {
        var run = Given.Run(Given.Project());
        await OpenAsync(run);
        await CloseAsync(run, ended);
        var second = run with { RequestId = "req-2", StartedAt = Given.Now.AddMinutes(1) };
        Assert.Equal(again, await OpenAsync(second));
        if (again)
        {
            Assert.False(await BeginUndoAsync(run));
            Assert.True(await AdvanceAsync(second));
        }
    }

    [Fact]
    public async Task How_a_run_ended_reads_back_whole()
    {
        var run = Given.Run(Given.Project());
        await OpenAsync(run);
        var volume = VolumeId.New();
        var cut = new VolumeCut(volume, SnapshotId.New(), Given.Now, Given.Now.AddMilliseconds(3), Given.Now.AddMilliseconds(5), 1 << 30, true);
        var evidence = new Evidence(Consistency.Crash, "late", Given.Now, Given.Now.AddSeconds(2), true, [cut]);
        var steps = new[] { new RunStep(Step.CreateVolumeSnapshot, volume, "vda", Given.Now, Given.Now.AddSeconds(1), "boom") };
        var leftovers = new[] { new Leftover("DeleteVolumeSnapshot", "snapshot-1", "busy") };
        await db.Database.WriteAsync(
            s => db.Runs.CloseAsync(
                s, run.ImageId, run.RequestId, RunStatus.CompensationFailed, new Refusal(ErrorKind.CompensationFailed, "why"), evidence, steps, leftovers, Given.Now), None);

        var found = (await db.Runs.FindVisibleAsync(run.ImageId, Given.Admin(), None))!;
        Assert.Equal((RunStatus.CompensationFailed, Step.CreateVolumeSnapshot, (DateTimeOffset?)Given.Now), (found.Status, found.Step, found.EndedAt));
        Assert.Equal(new Refusal(ErrorKind.CompensationFailed, "why"), found.Reason);
        Assert.Equal(evidence with { Cuts = [] }, found.Evidence! with { Cuts = [] });
        Assert.Equal([cut], found.Evidence!.Cuts);
        Assert.Equal(steps, found.Steps);
        Assert.Equal(leftovers, found.Leftovers);
    }

    [Fact]
    public async Task Snapshots_leave_only_the_statuses_they_may_leave()
    {
        var project = Given.Project();
        var image = ImageId.New();
        var volumes = Enumerable.Range(0, 4).Select(_ => Given.Volume(project)).ToArray();
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volumes), Given.Now, None);
        var rows = volumes.Select(v => Given.Snapshot(v, image)).ToList();
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, rows), None);
        // The first stays as it is: a backup is being made of it.
        await db.ScalarAsync($"UPDATE snapshots SET status = 'backing-up' WHERE id = '{rows[0].Id}'");

        Assert.Equal(3, (await db.Database.WriteAsync(s => db.Snapshots.CompleteAsync(s, image, Given.Now), None)).Count);
        Assert.Empty(await db.Database.WriteAsync(s => db.Snapshots.CompleteAsync(s, image, Given.Now), None));
        var removed = await db.Database.WriteAsync(s => db.Snapshots.RemoveAsync(s, image, [rows[1].Id], Given.Now), None);
        Assert.Equal(rows[2..].Select(r => r.Id).ToHashSet(), removed.ToHashSet());
        var left = await db.Database.ReadAsync(s => db.Snapshots.OfImageAsync(s, image), None);
        Assert.Equal(
            new Dictionary<SnapshotId, SnapshotStatus> { [rows[0].Id] = SnapshotStatus.BackingUp, [rows[1].Id] = SnapshotStatus.ErrorDeleting },
            left.ToDictionary(s => s.Id, s => s.Status));
    }

    [Fact]
    public async Task A_deleted_snapshot_and_a_deleted_image_are_gone_from_every_read()
    {
        var project = Given.Project();
        var image = ImageId.New();
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volume), Given.Now, None);
        var row = Given.Snapshot(volume, image);
        await db.Database.WriteAsync(
            async s =>
            {
                await db.Snapshots.AddAsync(s, [row]);
                await db.Images.AddQueuedAsync(s, image, Given.Draft(project), Given.Now);
                await db.Snapshots.RemoveAsync(s, image, [], Given.Now);
                await db.Images.RemoveAsync(s, image, Given.Now);
            },
            None);

        Assert.Null(await db.Snapshots.FindVisibleAsync(row.Id, Given.Admin(), None));
        Assert.Null(await db.Images.FindVisibleAsync(image, Given.Admin(), None));
        Assert.Empty(await db.Snapshots.ListAsync(project, new SnapshotFilter(), new Page(10), None));
        Assert.Empty(await db.Images.ListAsync(Given.Member(project), new ImageFilter(), new Page(10), None));
        Assert.False(await db.Database.WriteAsync(s => db.Images.ActivateAsync(s, image, new Dictionary<string, string>(), null, Given.Now), None));
        Assert.False(await db.Database.WriteAsync(s => db.Snapshots.CopyGlanceMetadataAsync(s, volume.Id, row.Id), None));
    }

    private async Task<Server> RegisteredAsync()
    {
        var project = Given.Project();
        var server = Given.Server(project);
        await db.Servers.RegisterAsync(Given.Registration(server, Given.Volume(project)), Given.Now, None);
        return server;
    }

    private Task<bool> TakeAsync(Server server, ImageId image) => db.Database.WriteAsync(s => db.Servers.TakeTaskStateAsync(s, server.Id, image, Given.Now), None);

    private Task<bool> OpenAsync(RunRecord run) => db.Database.WriteAsync(s => db.Runs.OpenAsync(s, run), None);

    private Task<bool> AdvanceAsync(RunRecord run) => db.Database.WriteAsync(s => db.Runs.AdvanceAsync(s, run.ImageId, run.RequestId, Step.CheckQuota), None);

    private Task<bool> BeginUndoAsync(RunRecord run) => db.Database.WriteAsync(s => db.Runs.BeginUndoAsync(s, run), None);

    private Task CloseAsync(RunRecord run, RunStatus status) => db.Database.WriteAsync(
        s => db.Runs.CloseAsync(s, run.ImageId, run.RequestId, status, null, null, [], [], Given.Now), None);
}
