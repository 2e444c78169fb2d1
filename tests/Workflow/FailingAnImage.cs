using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

public sealed class FailingAnImage(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Theory]
    [InlineData("PrepareImage", ErrorKind.NotFound)]
    [InlineData("PrepareImage", ErrorKind.StaleStatus)]
    [InlineData("PrepareImage", ErrorKind.InvalidRequest)]
    [InlineData("CheckQuota", ErrorKind.QuotaExceeded)]
    public async Task A_refusal_is_told_to_the_caller_freezes_nothing_leaves_nothing_and_does_not_count_as_a_failed_run(string activity, ErrorKind kind)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, Fault.Fails(kind, "because"));
        var request = cloud.Request();

        var acceptance = await fixture.AcceptAsync(request);
        var result = await fixture.Run(request).GetResultAsync();

        Assert.Equal(new Refusal(kind, "because"), acceptance.Refusal);
        Assert.Equal(RunStatus.Refused, result.Status);
        Assert.Equal(0, cloud.Freezes);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_cut_that_fails_once_is_asked_for_again_within_the_same_freeze_and_no_other_is()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CreateVolumeSnapshot", Fault.Fails(ErrorKind.BackendUnavailable));

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal((RunStatus.Completed, Consistency.Application), (result.Status, result.Evidence!.Consistency));
        Assert.Equal((1, 4), (cloud.Freezes, cloud.Journal.Count(a => a == "CreateVolumeSnapshot")));
        Assert.True(cloud.Journal.ToList().LastIndexOf("CreateVolumeSnapshot") < cloud.Journal.ToList().IndexOf("Unquiesce"), string.Join(", ", cloud.Journal));
        Assert.Equal(3, cloud.Snapshots.Count);
    }

    [Fact]
    public async Task A_run_that_fails_goes_on_for_whoever_asks_until_its_record_is_closed()
    {
        var cloud = fixture.Use(new());
        var closing = Fault.Holds();
        cloud.Script("CreateVolumeSnapshot", Fault.Fails(), Fault.Fails(), Fault.Fails());
        cloud.Script("CloseRun", closing);
        var run = await fixture.StartAsync(cloud.Request());
        await closing.Reached;

        var before = await run.QueryAsync(w => w.Progress());
        closing.Release();
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
        var after = await run.QueryAsync(w => w.Progress());

        Assert.Equal((RunStatus.Running, RunStatus.Failed, RunStatus.Failed), (before.Status, cloud.Closed!.Status, after.Status));
    }

    [Fact]
    public async Task Whoever_hears_of_a_refusal_finds_nothing_left_of_it()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CheckQuota", Fault.DoneButFails(ErrorKind.QuotaExceeded));

        await fixture.AcceptAsync(cloud.Request());

        cloud.AssertNothingLeft();
    }

    [Theory]
    [InlineData("ReserveRecords")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshots")]
    [InlineData("CreateImageRecord")]
    public async Task A_step_that_fails_for_good_thaws_the_guest_and_leaves_nothing(string activity)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, Fault.Fails(), Fault.Fails(), Fault.Fails());

        await FailsAsync(cloud, ErrorKind.BackendRefused);

        cloud.AssertNothingLeft();
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
    }

    [Theory]
    [InlineData("ReserveRecords")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CompleteSnapshots")]
    public async Task A_step_that_was_done_although_it_reported_failure_is_undone_too(string activity)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, Fault.DoneButFails(), Fault.DoneButFails(), Fault.DoneButFails());

        await FailsAsync(cloud, ErrorKind.BackendRefused);

        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task Guest_is_thawed_before_anything_else_when_one_volume_cannot_be_cut_and_without_waiting_for_the_others()
    {
        var cloud = fixture.Use(new());
        var slow = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", slow, Fault.Fails());
        var run = await fixture.StartAsync(cloud.Request());
        await slow.Reached;
        await Eventually.TrueAsync(() => cloud.Journal.Contains("Unquiesce"));

        Assert.DoesNotContain("DeleteVolumeSnapshot", cloud.Journal);
        slow.Release();
        await Assert.ThrowsAsync<Temporalio.Exceptions.WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(3, cloud.Journal.Count(a => a == "DeleteVolumeSnapshot"));
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task Undo_goes_on_after_an_undo_that_fails_and_the_run_lists_exactly_what_is_left()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CompleteSnapshots", Fault.Fails(message: "disk on fire"));
        cloud.Script("DeleteVolumeSnapshot", Fault.Fails(message: "stuck"));
        var request = cloud.Request();
        var run = await fixture.StartAsync(request);

        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        var left = Assert.Single(cloud.Snapshots);
        var leftover = Assert.Single(cloud.Closed!.Leftovers);
        Assert.Equal(("DeleteVolumeSnapshot", Names.Snapshot(left), "stuck"), (leftover.Kind, leftover.Subject, leftover.Error));
        Assert.Equal(nameof(ErrorKind.CompensationFailed), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
        Assert.Contains(Names.Snapshot(left), failure.InnerException.Message, StringComparison.Ordinal);
        Assert.Equal(RunStatus.CompensationFailed, cloud.Closed.Status);
        Assert.False(cloud.Frozen);
        Assert.Null(cloud.TaskState);
    }

    [Fact]
    public async Task Undo_runs_newest_first_after_the_thaw()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CreateVolumeSnapshot", Fault.Fails(), Fault.Fails(), Fault.Fails());

        await FailsAsync(cloud, ErrorKind.BackendRefused);

        Assert.Equal(
            ["Unquiesce", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun"],
            cloud.Journal.SkipWhile(a => a != "Unquiesce"));
    }

    [Fact]
    public async Task The_next_image_of_the_server_can_be_made_after_one_that_failed()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CreateImageRecord", Fault.Fails());
        await FailsAsync(cloud, ErrorKind.BackendRefused);

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, result.Status);
    }

    [Fact]
    public async Task A_second_image_while_one_runs_is_refused_and_leaves_the_first_alone()
    {
        var cloud = fixture.Use(new());
        var held = Fault.Holds();
        cloud.Script("CreateVolumeSnapshot", held);
        var first = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        var second = await fixture.AcceptAsync(cloud.Request());
        held.Release();
        var result = await first.GetResultAsync();

        Assert.Equal(ErrorKind.StaleStatus, second.Refusal!.Kind);
        Assert.Equal((RunStatus.Completed, Consistency.Application), (result.Status, result.Evidence!.Consistency));
    }

    private async Task FailsAsync(FakeCloud cloud, ErrorKind kind)
    {
        var run = await fixture.StartAsync(cloud.Request());
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
        Assert.Equal(kind.ToString(), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
    }
}
