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
