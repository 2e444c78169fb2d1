using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class MakingAndDeletingAVolume(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task A_volume_that_was_made_becomes_available()
    {
        var resources = fixture.Use(new());
        var request = resources.MakeVolume();

        var accepted = await fixture.AcceptAsync(Names.CreateVolumeWorkflow(request.Volume), (CreateVolumeWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());
        await (await MakeAsync(request)).GetResultAsync();

        Assert.Equal((request.Volume, VolumeStatus.Creating), (accepted.Volume!.Id, accepted.Volume.Status));
        Assert.Equal("available", resources.VolumeRows[request.Volume]);
        Assert.Contains(request.Volume, resources.StoredVolumes);
    }

    [Theory]
    [InlineData(ErrorKind.NotFound)]
    [InlineData(ErrorKind.InvalidRequest)]
    [InlineData(ErrorKind.QuotaExceeded)]
    public async Task A_refusal_is_told_to_the_caller_and_touches_no_back_end(ErrorKind kind)
    {
        var resources = fixture.Use(new());
        resources.Script("AdmitVolume", Fault.Fails(kind, "because"));
        var request = resources.MakeVolume();

        var accepted = await fixture.AcceptAsync(Names.CreateVolumeWorkflow(request.Volume), (CreateVolumeWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());

        Assert.Equal(new Refusal(kind, "because"), accepted.Refusal);
        Assert.DoesNotContain("CreateVolumeFromSnapshot", resources.Journal);
    }

    [Theory]
    [InlineData("CreateVolumeFromSnapshot")]
    [InlineData("CompleteVolume")]
    public async Task A_step_that_fails_for_good_leaves_an_error_row_nothing_in_the_back_end_and_tells_the_user(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails());
        var request = resources.MakeVolume();

        await ResourceFixture.FailsAsync(await MakeAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("error", resources.VolumeRows[request.Volume]);
        Assert.Empty(resources.StoredVolumes);
        Assert.Equal([UserMessageKind.VolumeCreateFailed], resources.Told);
    }

    [Theory]
    [InlineData("AdmitVolume")]
    [InlineData("CreateVolumeFromSnapshot")]
    public async Task A_run_that_is_cancelled_at_any_step_leaves_nothing(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf(thenFails: ErrorKind.StaleStatus);
        resources.Script(activity, held);
        var request = resources.MakeVolume();
        var run = await MakeAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        await ResourceFixture.EndsCancelledAsync(run);

        Assert.Equal("deleted", resources.VolumeRows[request.Volume]);
        Assert.Empty(resources.StoredVolumes);
    }

    [Fact]
    public async Task A_volume_that_is_deleted_is_gone_from_back_end_and_records()
    {
        var resources = fixture.Use(new());
        var request = resources.DeleteVolume();

        await (await DeleteAsync(request)).GetResultAsync();

        Assert.Equal("deleted", resources.VolumeRows[request.Volume]);
        Assert.Empty(resources.StoredVolumes);
    }

    [Fact]
    public async Task A_volume_that_cannot_be_deleted_says_so_and_the_user_is_told()
    {
        var resources = fixture.Use(new());
        resources.Script("DeleteVolume", Fault.Fails());
        var request = resources.DeleteVolume();

        await ResourceFixture.FailsAsync(await DeleteAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("error_deleting", resources.VolumeRows[request.Volume]);
        Assert.Equal([UserMessageKind.VolumeDeleteFailed], resources.Told);
    }

    [Theory]
    [InlineData("BeginDeleteVolume")]
    [InlineData("DeleteVolume")]
    [InlineData("EndDeleteVolume")]
    public async Task Once_begun_a_deletion_goes_forward_whoever_cancels_it(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script(activity, held);
        var request = resources.DeleteVolume();
        var run = await DeleteAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        await run.GetResultAsync();

        Assert.Equal("deleted", resources.VolumeRows[request.Volume]);
        Assert.Empty(resources.StoredVolumes);
    }

    private Task<WorkflowHandle<CreateVolumeWorkflow, RunEnd>> MakeAsync(CreateVolumeInput request) =>
        fixture.StartAsync<CreateVolumeWorkflow>(Names.CreateVolumeWorkflow(request.Volume), w => w.RunAsync(request));

    private Task<WorkflowHandle<DeleteVolumeWorkflow, RunEnd>> DeleteAsync(DeleteVolumeInput request) =>
        fixture.StartAsync<DeleteVolumeWorkflow>(Names.DeleteVolumeWorkflow(request.Volume), w => w.RunAsync(request));
}
