using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>Everything that has a side effect outside the records is done, and whoever asked sees a time-out: with the real activities.</summary>
public sealed class LosingAnswers(HostFixture site) : IClassFixture<HostFixture>
{
    [Fact]
    public async Task A_freeze_whose_answer_is_lost_is_found_and_the_image_is_application_consistent()
    {
        var cloud = await site.UseAsync();
        site.Guest.Script(GuestCall.Freeze, GuestFault.LoseAnswer);

        var result = await (await site.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, result.Status);
        Assert.False(site.Guest.IsFrozen);
        Assert.Equal(3, (await SnapshotsOfAsync(cloud)).Count);
    }

    [Fact]
    public async Task A_freeze_whose_every_answer_is_lost_thaws_the_guest_and_claims_nothing()
    {
        var cloud = await site.UseAsync();
        site.Guest.Script(GuestCall.Freeze, GuestFault.LoseAnswer, 10);

        var result = await (await site.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.True(site.Guest.Freezes > 0);
        Assert.False(site.Guest.IsFrozen);
    }

    [Fact]
    public async Task A_freeze_whose_answer_is_lost_is_thawed_although_the_run_fails_for_it()
    {
        var cloud = await site.UseAsync();
        site.Guest.Script(GuestCall.Freeze, GuestFault.LoseAnswer, 10);

        await FailsAsync(cloud, QuiesceMode.Require);

        Assert.False(site.Guest.IsFrozen);
        Assert.Empty(await SnapshotsOfAsync(cloud));
    }

    [Fact]
    public async Task A_thaw_whose_answer_is_lost_is_asked_for_again_and_claims_no_more_than_it_can_know()
    {
        var cloud = await site.UseAsync();
        site.Guest.Script(GuestCall.Thaw, GuestFault.LoseAnswer, 2);

        var result = await (await site.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal((RunStatus.Completed, Consistency.Crash), (result.Status, result.Evidence!.Consistency));
        Assert.False(site.Guest.IsFrozen);
        Assert.Equal(1, site.Guest.Thaws);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_cut_whose_answer_is_lost_is_found_and_made_once(int times)
    {
        var cloud = await site.UseAsync(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.LoseAnswer, Times = times });

        var result = await (await site.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Application, result.Evidence!.Consistency);
        Assert.Equal(result.Evidence.Cuts.Select(c => c.Snapshot).Order(ById), (await SnapshotsOfAsync(cloud)).Order(ById));
        // The instant of the cut is the first one's, not that of the repetition which found it.
        Assert.All(result.Evidence.Cuts, c => Assert.InRange(c.CutAt, result.Evidence.FrozenAt!.Value, result.Evidence.ThawedAt!.Value));
    }

    [Fact]
    public async Task A_cut_that_was_made_while_its_run_failed_is_deleted_also_when_the_answer_to_the_deletion_is_lost()
    {
        var cloud = await site.UseAsync(
            new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.LoseAnswer, Times = 1 },
            new FaultRule { Operation = VolumeOperation.DeleteSnapshot, Fault = VolumeFault.LoseAnswer, Times = 3 });
        cloud.Script("CompleteSnapshots", Fault.Fails());

        await FailsAsync(cloud);

        Assert.Empty(await SnapshotsOfAsync(cloud));
        Assert.Equal((RunStatus.Failed, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
    }

    [Theory]
    [InlineData("PrepareImage")]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshots")]
    [InlineData("CreateImageRecord")]
    public async Task A_record_that_was_written_without_an_answer_is_written_once(string activity)
    {
        var cloud = await site.UseAsync();
        cloud.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.DoneButFails(ErrorKind.BackendUnavailable));

        var result = await (await site.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal((RunStatus.Completed, "active", null), (result.Status, cloud.ImageStatus, cloud.TaskState));
        Assert.Single(cloud.Committed);
    }

    [Theory]
    [InlineData("RemoveRecords")]
    [InlineData("ReleaseQuota")]
    [InlineData("ReleaseServer")]
    [InlineData("CloseRun")]
    public async Task An_undo_that_was_done_without_an_answer_is_asked_for_again_and_nothing_is_left(string undo)
    {
        var cloud = await site.UseAsync();
        cloud.Script("CompleteSnapshots", Fault.Fails());
        cloud.Script(undo, Fault.DoneButFails(ErrorKind.BackendUnavailable), Fault.DoneButFails(ErrorKind.BackendUnavailable));

        await FailsAsync(cloud);

        Assert.Equal(3, cloud.Journal.Count(a => a == undo));
        Assert.Equal((RunStatus.Failed, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        Assert.Empty(await SnapshotsOfAsync(cloud));
        Assert.Equal((null, null), (cloud.TaskState, cloud.ImageStatus));
    }

    [Theory]
    [InlineData("PrepareImage")]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    public async Task A_record_that_was_written_while_every_answer_was_lost_is_undone_when_the_time_is_up(string activity)
    {
        var cloud = await site.UseAsync();
        cloud.Script(activity, [.. Enumerable.Repeat(0, 200).Select(_ => Fault.DoneButFails(ErrorKind.BackendUnavailable))]);

        await FailsAsync(cloud);

        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
        Assert.Equal((null, null), (cloud.TaskState, cloud.ImageStatus));
        Assert.Empty(cloud.Reserved);
        Assert.Equal(0, site.Guest.Freezes);
    }

    private static readonly Comparer<SnapshotId> ById = Comparer<SnapshotId>.Create((a, b) => a.Value.CompareTo(b.Value));

    private async Task FailsAsync(FakeCloud cloud, QuiesceMode quiesce = QuiesceMode.Try)
    {
        var run = await site.StartAsync(cloud.Request(quiesce));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
    }

    private async Task<List<SnapshotId>> SnapshotsOfAsync(FakeCloud cloud)
    {
        var ours = cloud.Volumes.Select(v => DeterministicId.Snapshot(cloud.Opened!.Image, v)).ToHashSet();
        return [.. (await site.SnapshotsAsync()).Where(ours.Contains)];
    }
}
