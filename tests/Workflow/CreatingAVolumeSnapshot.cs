using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class CreatingAVolumeSnapshot(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task A_snapshot_that_was_cut_becomes_available()
    {
        var resources = fixture.Use(new());
        var request = resources.Snapshot();

        var accepted = await AcceptAsync(request);
        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((request.Snapshot, SnapshotStatus.Creating), (accepted.Snapshot!.Id, accepted.Snapshot.Status));
        Assert.Equal((RunStatus.Completed, "available"), (end.Status, resources.SnapshotRows[request.Snapshot]));
        Assert.Contains(request.Snapshot, resources.StoredSnapshots);
    }

    [Fact]
    public async Task Image_metadata_is_copied_after_the_cut_and_before_it_is_available_and_only_of_bootable_volumes()
    {
        var bootable = fixture.Use(new());
        await (await StartAsync(bootable.Snapshot())).GetResultAsync();
        Assert.Equal(["AdmitSnapshot", "CreateVolumeSnapshot", "CopyGlanceMetadata", "CompleteSnapshot"], bootable.Journal);

        var plain = fixture.Use(new() { Bootable = false });
        await (await StartAsync(plain.Snapshot())).GetResultAsync();
        Assert.Equal(["AdmitSnapshot", "CreateVolumeSnapshot", "CompleteSnapshot"], plain.Journal);
    }

    [Theory]
    [InlineData(ErrorKind.NotFound)]
    [InlineData(ErrorKind.InvalidRequest)]
    [InlineData(ErrorKind.QuotaExceeded)]
    public async Task A_refusal_is_told_to_the_caller_touches_no_back_end_and_does_not_count_as_a_failed_run(ErrorKind kind)
    {
        var resources = fixture.Use(new());
        resources.Script("AdmitSnapshot", Fault.Fails(kind, "because"));
        var request = resources.Snapshot();

        var accepted = await AcceptAsync(request);
        var end = await fixture.Client.GetWorkflowHandle<CreateVolumeSnapshotWorkflow, RunEnd>(Names.CreateSnapshotWorkflow(request.Snapshot)).GetResultAsync();

        Assert.Equal(new Refusal(kind, "because"), accepted.Refusal);
        Assert.Equal(RunStatus.Refused, end.Status);
        Assert.DoesNotContain("CreateVolumeSnapshot", resources.Journal);
        Assert.Equal("deleted", resources.SnapshotRows[request.Snapshot]);
    }

    [Theory]
    [InlineData("CreateVolumeSnapshot", UserMessageKind.SnapshotCreateFailed)]
    [InlineData("CopyGlanceMetadata", UserMessageKind.SnapshotMetadataFailed)]
    [InlineData("CompleteSnapshot", UserMessageKind.SnapshotCreateFailed)]
    public async Task A_step_that_fails_for_good_leaves_an_error_row_nothing_in_the_back_end_and_tells_the_user(string activity, UserMessageKind told)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.Fails());
        var request = resources.Snapshot();

        await ResourceFixture.FailsAsync(await StartAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("error", resources.SnapshotRows[request.Snapshot]);
        Assert.DoesNotContain(request.Snapshot, resources.StoredSnapshots);
        Assert.Equal([told], resources.Told);
    }

    [Theory]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshot")]
    public async Task A_step_that_was_done_although_it_reported_failure_is_undone_too(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails());
        var request = resources.Snapshot();

        await ResourceFixture.FailsAsync(await StartAsync(request), ErrorKind.BackendRefused);

        Assert.Equal("error", resources.SnapshotRows[request.Snapshot]);
        Assert.DoesNotContain(request.Snapshot, resources.StoredSnapshots);
    }

    [Theory]
    [InlineData("AdmitSnapshot")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshot")]
    public async Task An_answer_that_is_lost_changes_nothing(string activity)
    {
        var resources = fixture.Use(new());
        resources.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.Fails(ErrorKind.BackendUnavailable));
        var request = resources.Snapshot();

        var end = await (await StartAsync(request)).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "available"), (end.Status, resources.SnapshotRows[request.Snapshot]));
    }

    [Theory]
    [InlineData("AdmitSnapshot")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CopyGlanceMetadata")]
    public async Task A_run_that_is_cancelled_at_any_step_leaves_nothing(string activity)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf(thenFails: ErrorKind.StaleStatus);
        resources.Script(activity, held);
        var request = resources.Snapshot();
        var run = await StartAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        await ResourceFixture.EndsCancelledAsync(run);

        Assert.Equal("deleted", resources.SnapshotRows[request.Snapshot]);
        Assert.DoesNotContain(request.Snapshot, resources.StoredSnapshots);
        Assert.Empty(resources.Told);
    }

    [Fact]
    public async Task A_run_that_is_cancelled_while_it_completes_completes()
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script("CompleteSnapshot", held);
        var request = resources.Snapshot();
        var run = await StartAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        var end = await run.GetResultAsync();

        Assert.Equal((RunStatus.Completed, "available"), (end.Status, resources.SnapshotRows[request.Snapshot]));
    }

    [Fact]
    public async Task What_cannot_be_removed_from_the_back_end_keeps_an_error_row_although_the_run_was_cancelled()
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf(thenFails: ErrorKind.StaleStatus);
        resources.Script("CopyGlanceMetadata", held);
        resources.Script("DeleteVolumeSnapshot", Fault.Fails());
        var request = resources.Snapshot();
        var run = await StartAsync(request);

        await ResourceFixture.CancelAtAsync(run, held);
        await ResourceFixture.EndsCancelledAsync(run);

        Assert.Equal("error", resources.SnapshotRows[request.Snapshot]);
        Assert.Contains(request.Snapshot, resources.StoredSnapshots);
    }

    [Fact]
    public async Task A_request_that_nobody_answered_is_withdrawn_for_good()
    {
        var resources = fixture.Use(new());
        resources.Script("AdmitSnapshot", [.. Enumerable.Repeat(Fault.Fails(ErrorKind.BackendUnavailable), 60)]);
        var request = resources.Snapshot();

        var run = await StartAsync(request);
        await ResourceFixture.FailsAsync(run, ErrorKind.BackendUnavailable);

        Assert.Equal("deleted", resources.SnapshotRows[request.Snapshot]);
    }

    private Task<WorkflowHandle<CreateVolumeSnapshotWorkflow, RunEnd>> StartAsync(CreateVolumeSnapshotInput request) =>
        fixture.StartAsync<CreateVolumeSnapshotWorkflow>(Names.CreateSnapshotWorkflow(request.Snapshot), w => w.RunAsync(request));

    private Task<SnapshotAcceptance> AcceptAsync(CreateVolumeSnapshotInput request) => fixture.AcceptAsync(
        Names.CreateSnapshotWorkflow(request.Snapshot), (CreateVolumeSnapshotWorkflow w) => w.RunAsync(request), w => w.AcceptAsync());
}
