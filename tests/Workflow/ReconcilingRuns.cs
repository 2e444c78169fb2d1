using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>What happens to a run behind the back of its workflow ends in a clean state all the same, by two looks.</summary>
public sealed class ReconcilingRuns(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);
    private static readonly DateTimeOffset Old = FakeReconcileActivities.Began + CreateImageWorkflow.LongestRun;

    [Theory]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    [InlineData("ProbeGuest")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("Unquiesce")]
    [InlineData("CopyGlanceMetadata")]
    [InlineData("CompleteSnapshots")]
    [InlineData("CreateImageRecord")]
    public async Task A_run_terminated_at_any_step_is_undone_by_the_second_look_and_closed_as_failed_with_a_reason(string activity)
    {
        var cloud = await TerminatedAtAsync(activity);
        fixture.Looks.Now = Old;
        var first = await fixture.LookAsync(Interval);
        Assert.Contains(first.Findings, f => f.Key.Kind is FindingKind.StrandedRun);
        Assert.Empty(first.Repairs);

        fixture.Looks.Now = Old + Interval;
        var second = await fixture.LookAsync(Interval);

        Assert.Contains(second.Repairs, r => r is { Repair.Kind: RepairKind.UndoRun, Succeeded: true });
        cloud.AssertNothingLeft();
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
        Assert.Contains("Terminated", cloud.Closed.Reason.Message, StringComparison.Ordinal);
        Assert.Empty((await fixture.LookAsync(Interval)).Findings);
    }

    [Fact]
    public async Task A_guest_that_a_terminated_run_left_frozen_is_thawed_without_waiting_for_the_longest_run()
    {
        var cloud = await TerminatedAtAsync("CreateVolumeSnapshot");
        Assert.True(cloud.Frozen);
        fixture.Looks.Now = FakeReconcileActivities.Began + FreezeDeadline.Maximum;
        await fixture.LookAsync(Interval);
        fixture.Looks.Now += Interval;
        var second = await fixture.LookAsync(Interval);

        Assert.Equal([RepairKind.Thaw], second.Repairs.Select(r => r.Repair.Kind));
        Assert.False(cloud.Frozen);
        Assert.NotEmpty(cloud.Snapshots);
    }

    [Fact]
    public async Task A_run_that_Temporal_has_forgotten_is_undone_like_one_that_was_terminated()
    {
        var cloud = await TerminatedAtAsync("CompleteSnapshots");
        var run = fixture.Run(cloud.Opened!);
        await fixture.Client.WorkflowService.DeleteWorkflowExecutionAsync(new() { Namespace = fixture.Client.Options.Namespace, WorkflowExecution = new() { WorkflowId = run.Id } });
        await TwoLooksAsync();

        cloud.AssertNothingLeft();
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
        Assert.Contains("unknown", cloud.Closed.Reason.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_was_reset_lives_is_left_alone_and_completes()
    {
        var cloud = await TerminatedAtAsync("CopyGlanceMetadata");
        var run = fixture.Run(cloud.Opened!);
        var history = await run.FetchHistoryAsync();
        var held = Fault.Holds();
        cloud.Script("CompleteSnapshots", held);
        await fixture.Client.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = fixture.Client.Options.Namespace,
            WorkflowExecution = new WorkflowExecution { WorkflowId = run.Id },
            Reason = "test",
            RequestId = Guid.NewGuid().ToString(),
            WorkflowTaskFinishEventId = history.Events.Last(e => e.EventType is EventType.WorkflowTaskCompleted).EventId,
        });
        await held.Reached;
        await TwoLooksAsync();
        Assert.Equal(3, cloud.Snapshots.Count);
        Assert.Null(cloud.Closed);

        held.Release();
        Assert.Equal(RunStatus.Completed, (await run.GetResultAsync()).Status);
        Assert.Equal("active", cloud.ImageStatus);
    }

    [Fact]
    public async Task A_completed_image_and_snapshots_of_others_outlive_every_look()
    {
        var cloud = fixture.Use(new());
        fixture.Looks.Reset();
        await (await fixture.StartAsync(cloud.Request())).GetResultAsync();
        var foreign = SnapshotId.New();
        cloud.Snapshots.Add(foreign);
        var looks = await TwoLooksAsync();

        Assert.Equal([FindingKind.SnapshotWithoutRow], looks.Findings.Select(f => f.Key.Kind));
        Assert.Empty(looks.Repairs);
        Assert.Contains(foreign, cloud.Snapshots);
        Assert.Equal((4, "active"), (cloud.Snapshots.Count, cloud.ImageStatus));
    }

    [Fact]
    public async Task A_repair_that_fails_says_what_is_left_and_the_next_look_finishes_it()
    {
        var cloud = await TerminatedAtAsync("CompleteSnapshots");
        cloud.Script("DeleteVolumeSnapshot", Fault.Fails(message: "the snapshot has children"));
        var second = await TwoLooksAsync();
        var failed = Assert.Single(second.Repairs, r => r.Repair.Kind is RepairKind.UndoRun);
        Assert.False(failed.Succeeded);
        Assert.Contains("the snapshot has children", failed.Done, StringComparison.Ordinal);
        Assert.Equal(RunStatus.CompensationFailed, cloud.Closed!.Status);
        Assert.Single(cloud.Closed.Leftovers);
        Assert.Single(cloud.Snapshots);

        fixture.Looks.Now += Interval;
        await fixture.LookAsync(Interval);
        fixture.Looks.Now += Interval;
        await fixture.LookAsync(Interval);
        cloud.AssertNothingLeft();
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
    }

    [Fact]
    public async Task A_host_or_back_end_that_gives_no_answer_is_named_and_holds_up_nothing_else()
    {
        var cloud = await TerminatedAtAsync("CheckQuota");
        cloud.Script("ListLeases", [.. Enumerable.Repeat(0, 4).Select(_ => Fault.Fails())]);
        cloud.Script("ListVolumeSnapshots", [.. Enumerable.Repeat(0, 4).Select(_ => Fault.Fails())]);
        var second = await TwoLooksAsync();

        Assert.Equal(["compute.host-1", "volume.host-1@file"], second.Unseen.Order());
        cloud.AssertNothingLeft();
    }

    private async Task<FakeCloud> TerminatedAtAsync(string activity)
    {
        var cloud = fixture.Use(new());
        fixture.Looks.Reset();
        var held = Fault.Holds();
        cloud.Script(activity, held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;
        await run.TerminateAsync("by hand");
        return cloud;
    }

    private async Task<ReconcileResult> TwoLooksAsync()
    {
        fixture.Looks.Now = Old;
        await fixture.LookAsync(Interval);
        fixture.Looks.Now = Old + Interval;
        return await fixture.LookAsync(Interval);
    }
}
