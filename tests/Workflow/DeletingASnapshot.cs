using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class DeletingASnapshot(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task A_snapshot_that_is_deleted_is_gone_from_back_end_and_records()
    {
        var resources = fixture.Use(new());
        var request = resources.DeleteSnapshot();

        var accepted = await AcceptAsync(request);
        await (await StartAsync(request)).GetResultAsync();

        Assert.Null(accepted.Refusal);
        Assert.Equal("deleted", resources.SnapshotRows[request.Snapshot]);
        Assert.DoesNotContain(request.Snapshot, resources.StoredSnapshots);
    }

    [Theory]
    [InlineData(ErrorKind.NotFound)]
    [InlineData(ErrorKind.InvalidRequest)]
    [InlineData(ErrorKind.StaleStatus)]
    public async Task A_refusal_is_told_to_the_caller_and_changes_nothing(ErrorKind kind)
    {
        var resources = fixture.Use(new());
        resources.Script("BeginDeleteSnapshot", Fault.Fails(kind, "because"));
        var request = resources.DeleteSnapshot();

        var accepted = await AcceptAsync(request);
        var end = await fixture.Client.GetWorkflowHandle<DeleteSnapshotWorkflow, RunEnd>(Names.DeleteSnapshotWorkflow(request.Snapshot)).GetResultAsync();

        Assert.Equal(new Refusal(kind, "because"), accepted.Refusal);
        Assert.Equal((RunStatus.Refused, "available"), (end.Status, resources.SnapshotRows[request.Snapshot]));
        Assert.Equal(["BeginDeleteSnapshot"], resources.Journal);
    }

    [Fact]
    public async Task A_snapshot_that_something_needs_for_a_moment_is_asked_for_again_and_goes()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolumeSnapshot", Fault.Fails(ErrorKind.Busy), Fault.Fails(ErrorKind.Busy), Fault.Fails(ErrorKind.Busy));
        var request = resources.DeleteSnapshot();

        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.SnapshotRows[request.Snapshot]));
    }

    [Fact]
    public async Task A_snapshot_that_something_goes_on_needing_is_available_again_and_the_user_is_told()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolumeSnapshot", [.. Enumerable.Repeat(Fault.Fails(ErrorKind.Busy, "it has children"), 20)]);
        var request = resources.DeleteSnapshot();

        await ResourceFixture.FailsAsync(await StartAsync(request), ErrorKind.Busy);

        Assert.Equal("available", resources.SnapshotRows[request.Snapshot]);
        Assert.Equal([UserMessageKind.SnapshotBusy], resources.Told);
        Assert.Equal(6, resources.Journal.Count(a => a == "DeleteVolumeSnapshot"));
    }

    [Fact]
    public async Task A_snapshot_that_cannot_be_deleted_says_so_and_the_user_is_told()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolumeSnapshot", Fault.Fails());
        var request = resources.DeleteSnapshot();

        await ResourceFixture.FailsAsync(await StartAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("error_deleting", resources.SnapshotRows[request.Snapshot]);
        Assert.Equal([UserMessageKind.SnapshotDeleteFailed], resources.Told);
    }

    [Theory]
    [InlineData("BeginDeleteSnapshot")]
    [InlineData("DeleteVolumeSnapshot")]
    [InlineData("EndDeleteSnapshot")]
    public async Task Once_begun_it_goes_forward_whoever_cancels_it(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script(activity, held);
        var request = resources.DeleteSnapshot();
        var run = await StartAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        var end = await run.GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.SnapshotRows[request.Snapshot]));
        Assert.DoesNotContain(request.Snapshot, resources.StoredSnapshots);
    }

    [Fact]
    public async Task A_beginning_whose_answer_was_lost_for_good_is_found_and_goes_forward()
    {
        var resources = fixture.Use(new());
        resources.Script("BeginDeleteSnapshot", Fault.DoneButFails(ErrorKind.BackendRefused));
        var request = resources.DeleteSnapshot();

        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.SnapshotRows[request.Snapshot]));
    }

    [Fact]
    public async Task A_beginning_that_nobody_answered_and_that_did_not_happen_changes_nothing()
    {
        var resources = fixture.Use(new());
        resources.Script("BeginDeleteSnapshot", Fault.Fails());
        var request = resources.DeleteSnapshot();

        await ResourceFixture.FailsAsync(await StartAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("available", resources.SnapshotRows[request.Snapshot]);
    }

    [Theory]
    [InlineData("BeginDeleteSnapshot")]
    [InlineData("DeleteVolumeSnapshot")]
    [InlineData("EndDeleteSnapshot")]
    public async Task An_answer_that_is_lost_changes_nothing(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.Fails(ErrorKind.BackendUnavailable));
        var request = resources.DeleteSnapshot();

        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "deleted"), (end.Status, resources.SnapshotRows[request.Snapshot]));
    }

    private Task<WorkflowHandle<DeleteSnapshotWorkflow, RunEnd>> StartAsync(DeleteSnapshotInput request) =>
        fixture.StartAsync<DeleteSnapshotWorkflow>(Names.DeleteSnapshotWorkflow(request.Snapshot), w => w.RunAsync(request));

    private Task<DeleteAcceptance> AcceptAsync(DeleteSnapshotInput request) => fixture.AcceptAsync(
        Names.DeleteSnapshotWorkflow(request.Snapshot), (DeleteSnapshotWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());
}
