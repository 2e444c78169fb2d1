using SnapshotFlow.Model;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

public sealed class CancellingAnImage(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Theory]
    [InlineData("PrepareImage")]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    [InlineData("ProbeGuest")]
    [InlineData("Quiesce")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("Unquiesce")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshots")]
    public async Task At_any_step_the_guest_is_thawed_everything_is_undone_and_the_run_ends_cancelled(string activity)
    {
        var cloud = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        cloud.Script(activity, held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        await run.CancelAsync();
        await CancelSeenAsync(run);
        held.Release();
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.IsType<CanceledFailureException>(failure.InnerException);
        Assert.Equal(RunStatus.Cancelled, cloud.Closed!.Status);
        await Eventually.TrueAsync(() => !cloud.Frozen);
        cloud.AssertNothingLeft();
    }

    [Theory]
    [InlineData("PrepareImage")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CompleteSnapshots")]
    public async Task Whoever_cancelled_a_run_sees_it_cancelled_although_a_step_failed_meanwhile(string activity)
    {
        var cloud = fixture.Use(new());
        var held = Fault.HoldsDeaf(thenFails: ErrorKind.StaleStatus);
        cloud.Script(activity, held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        await run.CancelAsync();
        await CancelSeenAsync(run);
        held.Release();
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.IsType<CanceledFailureException>(failure.InnerException);
        Assert.Equal(RunStatus.Cancelled, cloud.Closed!.Status);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task While_volumes_are_being_cut_the_guest_is_thawed_without_waiting_for_them()
    {
        var cloud = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        await run.CancelAsync();
        await Eventually.TrueAsync(() => cloud.Journal.Contains("Unquiesce") && !cloud.Frozen);
        Assert.DoesNotContain("DeleteVolumeSnapshot", cloud.Journal);
        held.Release();
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        cloud.AssertNothingLeft();
    }

    [Theory]
    [InlineData("Unquiesce", RunStatus.Cancelled)]
    [InlineData("DeleteVolumeSnapshot", RunStatus.Cancelled)]
    [InlineData("RemoveRecords", RunStatus.Cancelled)]
    [InlineData("ReleaseQuota", RunStatus.Cancelled)]
    [InlineData("ReleaseServer", RunStatus.Cancelled)]
    [InlineData("CloseRun", RunStatus.Failed)]
    public async Task While_a_failed_run_is_being_undone_the_undo_goes_on_to_its_end(string undo, RunStatus ends)
    {
        var cloud = fixture.Use(new());
        cloud.Script("CreateVolumeSnapshot", Fault.Fails());
        var held = Fault.HoldsDeaf();
        cloud.Script(undo, held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        await run.CancelAsync();
        await CancelSeenAsync(run);
        if (undo != "Unquiesce")
        {
            Assert.False(cloud.Frozen);
        }

        held.Release();
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(ends is RunStatus.Cancelled, failure.InnerException is CanceledFailureException);
        Assert.Equal((ends, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        Assert.Equal(
            ["Unquiesce", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun"],
            cloud.Journal.SkipWhile(a => a != "Unquiesce"));
        cloud.AssertNothingLeft();
    }

    [Theory]
    [InlineData("Unquiesce")]
    [InlineData("DeleteVolumeSnapshot")]
    [InlineData("RemoveRecords")]
    [InlineData("ReleaseQuota")]
    [InlineData("ReleaseServer")]
    [InlineData("CloseRun")]
    public async Task A_run_that_is_cancelled_twice_is_undone_once(string undo)
    {
        var cloud = fixture.Use(new());
        var (cut, held) = (Fault.HoldsDeaf(), Fault.HoldsDeaf());
        cloud.Script("CreateVolumeSnapshot", cut);
        cloud.Script(undo, held);
        var run = await fixture.StartAsync(cloud.Request());
        await cut.Reached;
        await run.CancelAsync();
        await CancelSeenAsync(run);
        cut.Release();
        await held.Reached;

        await run.CancelAsync();
        held.Release();
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal((RunStatus.Cancelled, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        Assert.Single(cloud.Journal, "RemoveRecords");
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task Once_the_image_record_is_being_written_the_run_completes_rather_than_leave_half_an_image()
    {
        var cloud = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        cloud.Script("CreateImageRecord", held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        await run.CancelAsync();
        await CancelSeenAsync(run);
        held.Release();
        var result = await run.GetResultAsync();

        Assert.Equal((RunStatus.Completed, "active"), (result.Status, cloud.ImageStatus));
    }

    [Fact]
    public async Task A_caller_who_waits_for_acceptance_hears_that_the_run_was_cancelled()
    {
        var cloud = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        cloud.Script("CheckQuota", held);
        var request = cloud.Request();
        var accepting = fixture.AcceptAsync(request);
        await held.Reached;

        await fixture.Run(request).CancelAsync();
        await CancelSeenAsync(fixture.Run(request));
        held.Release();

        Assert.Equal(ErrorKind.StaleStatus, (await accepting).Refusal!.Kind);
        cloud.AssertNothingLeft();
    }

    private static Task CancelSeenAsync(WorkflowHandle run) => Eventually.TrueAsync(async () =>
        (await run.FetchHistoryAsync()).Events.Any(e => e.WorkflowExecutionCancelRequestedEventAttributes is not null));
}
