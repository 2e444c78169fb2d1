using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class RestoringAnImage(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task A_restore_makes_one_available_volume_from_each_snapshot()
    {
        var resources = fixture.Use(new());
        var request = resources.Restore();

        var accepted = await AcceptAsync(request);
        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal(resources.OfImage.Select(s => DeterministicId.Volume(request.Operation, s)), accepted.Volumes.Select(v => v.Volume));
        Assert.Equal((RunStatus.Completed, RunStatus.Completed), (end.Status, resources.Operation));
        Assert.All(accepted.Volumes, v => Assert.Equal("available", resources.VolumeRows[v.Volume]));
        Assert.Equal(3, resources.StoredVolumes.Count);
    }

    [Theory]
    [InlineData(ErrorKind.NotFound)]
    [InlineData(ErrorKind.StaleStatus)]
    [InlineData(ErrorKind.QuotaExceeded)]
    public async Task A_refusal_is_told_to_the_caller_and_leaves_nothing(ErrorKind kind)
    {
        var resources = fixture.Use(new());
        resources.Script("PrepareRestore", Fault.Fails(kind, "because"));
        var request = resources.Restore();

        var accepted = await AcceptAsync(request);
        var end = await fixture.Client.GetWorkflowHandle<RestoreImageWorkflow, RunEnd>(Names.RestoreImageWorkflow(request.Operation)).GetResultAsync();

        Assert.Equal(new Refusal(kind, "because"), accepted.Refusal);
        Assert.Equal((RunStatus.Refused, RunStatus.Refused), (end.Status, resources.Operation));
        NothingIsLeft(resources);
    }

    [Theory]
    [InlineData("CreateVolumeFromSnapshot")]
    [InlineData("CompleteRestore")]
    public async Task A_step_that_fails_for_good_leaves_no_volume(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.Fails());

        await ResourceFixture.FailsAsync(await StartAsync(resources.Restore()), ErrorKind.BackendRefused);

        Assert.Equal(RunStatus.Failed, resources.Operation);
        NothingIsLeft(resources);
    }

    [Theory]
    [InlineData("PrepareRestore")]
    [InlineData("CreateVolumeFromSnapshot")]
    [InlineData("CompleteRestore")]
    public async Task A_step_that_was_done_although_it_reported_failure_is_undone_too(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails());

        await ResourceFixture.FailsAsync(await StartAsync(resources.Restore()), ErrorKind.BackendRefused);

        NothingIsLeft(resources);
    }

    [Theory]
    [InlineData("PrepareRestore")]
    [InlineData("CreateVolumeFromSnapshot")]
    public async Task A_restore_that_is_cancelled_at_any_step_leaves_nothing(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script(activity, held);
        var run = await StartAsync(resources.Restore());

        await ResourceFixture.CancelAtAsync(run, held);
        await ResourceFixture.EndsCancelledAsync(run);

        Assert.Equal(RunStatus.Cancelled, resources.Operation);
        NothingIsLeft(resources);
    }

    [Fact]
    public async Task A_restore_that_is_cancelled_while_it_completes_completes()
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script("CompleteRestore", held);
        var run = await StartAsync(resources.Restore());

        await ResourceFixture.CancelAtAsync(run, held);

        Assert.Equal((RunStatus.Completed, RunStatus.Completed), ((await run.GetResultAsync()).Status, resources.Operation));
        Assert.Equal(3, resources.StoredVolumes.Count);
    }

    [Fact]
    public async Task A_volume_is_not_deleted_before_its_making_has_ended()
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script("CreateVolumeFromSnapshot", held, Fault.Fails());
        var run = await StartAsync(resources.Restore());
        await held.Reached;

        await Eventually.TrueAsync(() => resources.Journal.Count(a => a == "CreateVolumeFromSnapshot") == 3);
        Assert.DoesNotContain("DeleteVolume", resources.Journal);
        held.Release();

        await ResourceFixture.FailsAsync(run, ErrorKind.BackendRefused);
        NothingIsLeft(resources);
    }

    [Fact]
    public async Task A_volume_that_cannot_be_removed_is_listed_and_keeps_an_error_row()
    {
        var resources = fixture.Use(new());
        resources.Script("CompleteRestore", Fault.Fails());
        resources.Script("DeleteVolume", Fault.Fails(ErrorKind.BackendRefused, "read-only"));

        await ResourceFixture.FailsAsync(await StartAsync(resources.Restore()), ErrorKind.CompensationFailed);

        var left = Assert.Single(resources.StoredVolumes);
        Assert.Equal("error", resources.VolumeRows[left]);
        Assert.Equal([new Leftover("DeleteVolume", Names.Volume(left), "read-only")], resources.Leftovers);
        Assert.Equal(RunStatus.CompensationFailed, resources.Operation);
    }

    [Theory]
    [InlineData("PrepareRestore")]
    [InlineData("CreateVolumeFromSnapshot")]
    [InlineData("CompleteRestore")]
    public async Task An_answer_that_is_lost_changes_nothing(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.Fails(ErrorKind.BackendUnavailable));

        Assert.Equal(RunStatus.Completed, (await (await StartAsync(resources.Restore())).GetResultAsync()).Status);
        Assert.Equal(3, resources.StoredVolumes.Count);
    }

    private static void NothingIsLeft(FakeResources resources)
    {
        Assert.Empty(resources.StoredVolumes);
        Assert.All(resources.VolumeRows.Values, status => Assert.Equal("deleted", status));
        Assert.Equal(3, resources.StoredSnapshots.Count);
    }

    private Task<WorkflowHandle<RestoreImageWorkflow, RunEnd>> StartAsync(RestoreImageInput request) =>
        fixture.StartAsync<RestoreImageWorkflow>(Names.RestoreImageWorkflow(request.Operation), w => w.RunAsync(request));

    private Task<RestoreAcceptance> AcceptAsync(RestoreImageInput request) => fixture.AcceptAsync(
        Names.RestoreImageWorkflow(request.Operation), (RestoreImageWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());
}
