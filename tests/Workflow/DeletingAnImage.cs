using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class DeletingAnImage(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task The_snapshots_of_an_image_go_with_it()
    {
        var resources = fixture.Use(new());
        var request = resources.DeleteImage();

        var accepted = await AcceptAsync(request);
        await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((request.Operation, null), (accepted.Operation, accepted.Refusal));
        Assert.Equal("deleted", resources.ImageStatus);
        Assert.All(resources.OfImage, s => Assert.Equal("deleted", resources.SnapshotRows[s]));
        Assert.Empty(resources.StoredSnapshots);
        Assert.Equal(RunStatus.Completed, resources.Operation);
    }

    [Fact]
    public async Task Snapshots_that_are_to_be_kept_stay()
    {
        var resources = fixture.Use(new());

        await (await StartAsync(resources.DeleteImage(keepSnapshots: true))).GetResultAsync();

        Assert.Equal("deleted", resources.ImageStatus);
        Assert.All(resources.OfImage, s => Assert.Equal("available", resources.SnapshotRows[s]));
        Assert.Equal(3, resources.StoredSnapshots.Count);
    }

    [Theory]
    [InlineData(ErrorKind.NotFound)]
    [InlineData(ErrorKind.Forbidden)]
    [InlineData(ErrorKind.StaleStatus)]
    public async Task A_refusal_is_told_to_the_caller_and_changes_nothing(ErrorKind kind)
    {
        var resources = fixture.Use(new());
        resources.Script("BeginDeleteImage", Fault.Fails(kind, "because"));

        var accepted = await AcceptAsync(resources.DeleteImage());

        Assert.Equal(new Refusal(kind, "because"), accepted.Refusal);
        Assert.Equal("active", resources.ImageStatus);
        Assert.Equal(["BeginDeleteImage"], resources.Journal);
        Assert.Equal(3, resources.StoredSnapshots.Count);
    }

    [Fact]
    public async Task One_snapshot_that_cannot_be_deleted_is_reported_and_holds_up_nothing_else()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolumeSnapshot", Fault.Fails(ErrorKind.BackendRefused, "the pool is read-only"));

        await ResourceFixture.FailsAsync(await StartAsync(resources.DeleteImage()), ErrorKind.CompensationFailed);

        Assert.Equal("deleted", resources.ImageStatus);
        var left = Assert.Single(resources.StoredSnapshots);
        Assert.Equal("error_deleting", resources.SnapshotRows[left]);
        Assert.Equal([new Leftover("DeleteVolumeSnapshot", Names.Snapshot(left), "the pool is read-only")], resources.Leftovers);
        Assert.Equal(RunStatus.CompensationFailed, resources.Operation);
    }

    [Fact]
    public async Task One_snapshot_that_something_needs_is_an_ordinary_snapshot_again_and_reported()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolumeSnapshot", [.. Enumerable.Repeat(Fault.Fails(ErrorKind.Busy), 18)]);

        await ResourceFixture.FailsAsync(await StartAsync(resources.DeleteImage()), ErrorKind.CompensationFailed);

        Assert.Equal("deleted", resources.ImageStatus);
        Assert.All(resources.OfImage, s => Assert.Equal("available", resources.SnapshotRows[s]));
        Assert.Equal(3, resources.Leftovers.Count);
    }

    [Theory]
    [InlineData("BeginDeleteImage")]
    [InlineData("DeleteVolumeSnapshot")]
    [InlineData("EndDeleteImage")]
    public async Task Once_begun_it_goes_forward_whoever_cancels_it(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script(activity, held);
        var run = await StartAsync(resources.DeleteImage());

        await ResourceFixture.CancelAtAsync(run, held);
        var end = await run.GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.ImageStatus));
        Assert.Empty(resources.StoredSnapshots);
    }

    [Theory]
    [InlineData("BeginDeleteImage")]
    [InlineData("DeleteVolumeSnapshot")]
    [InlineData("EndDeleteImage")]
    public async Task An_answer_that_is_lost_changes_nothing(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.Fails(ErrorKind.BackendUnavailable));

        var end = await (await StartAsync(resources.DeleteImage())).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.ImageStatus));
        Assert.Empty(resources.StoredSnapshots);
    }

    [Fact]
    public async Task A_beginning_whose_answer_was_lost_for_good_is_found_and_goes_forward()
    {
        var resources = fixture.Use(new());
        resources.Script("BeginDeleteImage", Fault.DoneButFails());

        await (await StartAsync(resources.DeleteImage())).GetResultAsync();

        Assert.Equal("deleted", resources.ImageStatus);
        Assert.Empty(resources.StoredSnapshots);
    }

    private Task<WorkflowHandle<DeleteImageWorkflow, RunEnd>> StartAsync(DeleteImageInput request) =>
        fixture.StartAsync<DeleteImageWorkflow>(Names.DeleteImageWorkflow(request.Image), w => w.RunAsync(request));

    private Task<DeleteImageAcceptance> AcceptAsync(DeleteImageInput request) => fixture.AcceptAsync(
        Names.DeleteImageWorkflow(request.Image), (DeleteImageWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());
}
