using System.Diagnostics.Metrics;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>Whatever never answers: every run ends, in a way that its record tells, and no guest waits for it.</summary>
public sealed class EndingInTime(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Fact]
    public async Task Without_a_compute_worker_the_image_is_made_without_a_freeze_and_says_why()
    {
        var cloud = fixture.Use(new() { Host = "host-nobody" });

        var run = await fixture.StartAsync(cloud.Request());
        await ScheduledAsync(run, "ProbeGuest");
        await fixture.PassAsync(TimeSpan.FromSeconds(9));
        var result = await run.GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.Contains("host-nobody", result.Evidence.Reason, StringComparison.Ordinal);
        Assert.Equal(0, cloud.Freezes);
    }

    [Fact]
    public async Task Without_a_compute_worker_a_run_that_must_freeze_is_refused_and_leaves_nothing()
    {
        var cloud = fixture.Use(new() { Host = "host-nobody" });
        var request = cloud.Request(QuiesceMode.Require);
        var run = await fixture.StartAsync(request);
        await ScheduledAsync(run, "ProbeGuest");
        await fixture.PassAsync(TimeSpan.FromSeconds(9));

        var result = await run.GetResultAsync();

        Assert.Equal((RunStatus.Refused, ErrorKind.QuiesceFailed), (result.Status, result.Refusal!.Kind));
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task Without_a_volume_worker_the_guest_is_thawed_at_its_deadline_and_the_run_lists_what_nobody_could_delete()
    {
        var cloud = fixture.Use(new() { Backend = "host-1@nobody" });
        cloud.Volumes.RemoveRange(1, 2);
        var run = await fixture.StartAsync(cloud.Request());
        await ScheduledAsync(run, "CreateVolumeSnapshot");
        Assert.True(cloud.Frozen);
        await fixture.PassAsync(FreezeDeadline.Default + TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => !cloud.Frozen);
        await ScheduledAsync(run, "DeleteVolumeSnapshot");
        await fixture.PassAsync(TimeSpan.FromMinutes(5));

        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(nameof(ErrorKind.CompensationFailed), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
        Assert.False(cloud.Frozen);
        Assert.Equal(["DeleteVolumeSnapshot"], cloud.Closed!.Leftovers.Select(l => l.Kind));
        Assert.Null(cloud.TaskState);
        await AssertEndedInTimeAsync(run);
    }

    [Fact]
    public async Task A_thaw_that_nobody_confirms_is_left_to_the_guard_and_the_run_undoes_the_rest_and_says_so()
    {
        var cloud = fixture.Use(new());
        var cut = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", cut);
        var run = await fixture.StartAsync(cloud.Request());
        await cut.Reached;
        // Asked twice, there and where the server is recorded by then.
        cloud.Script("Unquiesce", [.. Enumerable.Repeat(0, 4).Select(_ => Fault.Fails())]);
        cut.Release();

        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(nameof(ErrorKind.CompensationFailed), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
        Assert.Equal(["Unquiesce"], cloud.Closed!.Leftovers.Select(l => l.Kind));
        Assert.Empty(cloud.Snapshots);
        Assert.Null(cloud.TaskState);
    }

    [Fact]
    public async Task A_driver_that_hangs_without_a_sign_of_life_holds_the_guest_for_its_deadline_only_and_the_run_ends_with_nothing_left()
    {
        var cloud = fixture.Use(new() { Heartbeats = false });
        cloud.Volumes.RemoveRange(1, 2);
        var hanging = Enumerable.Range(0, 200).Select(_ => Fault.HoldsDeaf(thenFails: ErrorKind.BackendRefused)).ToArray();
        cloud.Script("CreateVolumeSnapshot", hanging);
        var run = await fixture.StartAsync(cloud.Request());
        try
        {
            await hanging[0].Reached;
            Assert.True(cloud.Frozen);
            await fixture.PassAsync(FreezeDeadline.Default + TimeSpan.FromSeconds(1));
            await Eventually.TrueAsync(() => !cloud.Frozen);
            await hanging[1].Reached;
            // As long as the cuts may take altogether.
            await fixture.PassAsync(TimeSpan.FromMinutes(15));

            await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
            Assert.Equal((RunStatus.Failed, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
            cloud.AssertNothingLeft();
            await AssertEndedInTimeAsync(run);
        }
        finally
        {
            hanging.ToList().ForEach(h => h.Release());
        }
    }

    [Fact]
    public async Task A_driver_that_hangs_in_the_delete_without_a_sign_of_life_leaves_exactly_what_the_run_lists()
    {
        var cloud = fixture.Use(new());
        cloud.Volumes.RemoveRange(1, 2);
        var hanging = Enumerable.Range(0, 200).Select(_ => Fault.HoldsDeaf(thenFails: ErrorKind.BackendRefused)).ToArray();
        cloud.Script("CreateVolumeSnapshot", Fault.DoneButFails());
        cloud.Script("DeleteVolumeSnapshot", hanging);
        var run = await fixture.StartAsync(cloud.Request());
        try
        {
            await hanging[0].Reached;
            Assert.False(cloud.Frozen);
            await fixture.PassAsync(TimeSpan.FromSeconds(6));
            await hanging[1].Reached;
            // As long as an undo may take altogether.
            await fixture.PassAsync(TimeSpan.FromMinutes(5));

            await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
            Assert.Equal(RunStatus.CompensationFailed, cloud.Closed!.Status);
            Assert.Equal([Names.Snapshot(Assert.Single(cloud.Snapshots))], cloud.Closed.Leftovers.Select(l => l.Subject));
            Assert.Null(cloud.TaskState);
            await AssertEndedInTimeAsync(run);
        }
        finally
        {
            hanging.ToList().ForEach(h => h.Release());
        }
    }

    [Theory]
    [InlineData("PrepareImage")]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    public async Task A_database_that_is_away_before_the_freeze_ends_the_run_and_is_cleaned_up_after_when_it_is_back(string activity)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, [.. Enumerable.Repeat(0, 500).Select(_ => Fault.Fails(ErrorKind.BackendUnavailable))]);
        var run = await fixture.StartAsync(cloud.Request());

        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(0, cloud.Freezes);
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_database_that_is_away_for_minutes_while_the_guest_is_frozen_holds_neither_the_guest_nor_the_run()
    {
        var cloud = fixture.Use(new());
        // From the first record after the freeze on; the thaw needs no database.
        cloud.Script("CopyGlanceMetadata", [.. Enumerable.Repeat(0, 120).Select(_ => Fault.Fails(ErrorKind.BackendUnavailable))]);
        var run = await fixture.StartAsync(cloud.Request());

        var result = await run.GetResultAsync();

        Assert.Equal((RunStatus.Completed, Consistency.Application), (result.Status, result.Evidence!.Consistency));
        Assert.False(cloud.Frozen);
    }

    [Fact]
    public async Task A_database_that_never_comes_back_ends_the_run_with_a_list_of_what_is_left()
    {
        var cloud = fixture.Use(new());
        Fault[] Away() => [.. Enumerable.Repeat(0, 200).Select(_ => Fault.Fails(ErrorKind.BackendUnavailable))];
        cloud.Script("CompleteSnapshots", Fault.Fails());
        foreach (var activity in (string[])["RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun"])
        {
            cloud.Script(activity, Away());
        }

        var run = await fixture.StartAsync(cloud.Request());
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(nameof(ErrorKind.CompensationFailed), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
        var progress = await run.QueryAsync(w => w.Progress());
        Assert.Equal(["RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun"], progress.Leftovers.Select(l => l.Kind));
        Assert.Empty(cloud.Snapshots);
        Assert.False(cloud.Frozen);
        await AssertEndedInTimeAsync(run);
    }

    [Fact]
    public async Task A_bug_in_the_workflow_while_the_guest_is_frozen_thaws_it_and_leaves_nothing()
    {
        // One volume without a back end: nothing minds before the cuts.
        var cloud = fixture.Use(new() { Damage = p => p with { Draft = p.Draft with { Volumes = [p.Draft.Volumes[0] with { Backend = null! }, .. p.Draft.Volumes.Skip(1)] } } });
        var run = await fixture.StartAsync(cloud.Request());

        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal((1, RunStatus.Failed, 0), (cloud.Freezes, cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_run_that_its_workers_cannot_bring_to_an_end_is_ended_by_its_deadline_and_cleaned_up_by_two_looks()
    {
        var cloud = fixture.Use(new());
        fixture.Looks.Reset();
        var held = Fault.Holds();
        cloud.Script("CompleteSnapshots", held);
        var run = await fixture.StartAsync(cloud.Request(), atMost: TimeSpan.FromSeconds(3));
        await held.Reached;
        await Eventually.TrueAsync(async () => (await run.DescribeAsync()).Status is WorkflowExecutionStatus.TimedOut);

        for (var look = 0; look < 2; look++)
        {
            fixture.Looks.Now = FakeReconcileActivities.Began + CreateImageWorkflow.LongestRun + (look * TimeSpan.FromMinutes(1));
            await fixture.LookAsync(TimeSpan.FromMinutes(1));
        }

        cloud.AssertNothingLeft();
        Assert.Equal(RunStatus.Failed, cloud.Closed!.Status);
        Assert.Contains("TimedOut", cloud.Closed.Reason.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Undone_steps_are_counted_once_by_step_and_result_and_runs_are_found_by_their_result()
    {
        var counted = new List<(string Step, string Result, string Workflow)>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter == fixture.Meter && instrument.Name == RunMetrics.Compensations)
                {
                    l.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            var labels = tags.ToArray().ToDictionary(t => t.Key, t => (string)t.Value!);
            lock (counted)
            {
                counted.AddRange(Enumerable.Repeat((labels["step"], labels["result"], labels["workflow_type"]), (int)value));
            }
        });
        listener.Start();
        var cloud = fixture.Use(new());
        cloud.Script("CompleteSnapshots", Fault.Fails());
        cloud.Script("DeleteVolumeSnapshot", Fault.Fails());
        var request = cloud.Request();
        var run = await fixture.StartAsync(request);
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
        // A query after the end replays the run: it counts nothing.
        await run.QueryAsync(w => w.Progress());

        (string, string, string) Undone(string step, string result = "succeeded") => (step, result, "CreateImage");
        Assert.Equal(
            [
                Undone("DeleteVolumeSnapshot", "failed"), Undone("DeleteVolumeSnapshot"), Undone("DeleteVolumeSnapshot"), Undone("ReleaseQuota"), Undone("ReleaseServer"),
                Undone("RemoveRecords"),
            ],
            counted.Order());
        var found = new List<string>();
        await foreach (var execution in fixture.Client.ListWorkflowsAsync($"Result = 'compensation_failed' AND ImageId = '{request.Image}'"))
        {
            found.Add(execution.Id);
        }

        Assert.Equal([run.Id], found);
    }

    private static Task ScheduledAsync(WorkflowHandle run, string activity) => Eventually.TrueAsync(async () =>
        (await run.FetchHistoryAsync()).Events.Any(e => e.ActivityTaskScheduledEventAttributes?.ActivityType.Name == activity));

    private static async Task AssertEndedInTimeAsync(WorkflowHandle run)
    {
        var described = await run.DescribeAsync();
        var took = described.CloseTime!.Value - described.StartTime;
        Assert.True(took <= CreateImageWorkflow.LongestRun, $"took {took}");
    }
}

/// <summary>The same with real leases and a real guard.</summary>
public sealed class EndingInTimeOnARealHost(HostFixture site) : IClassFixture<HostFixture>
{
    [Fact]
    public async Task A_worker_with_changed_code_cannot_go_on_with_a_frozen_run_yet_the_guest_is_thawed_and_the_right_code_ends_the_run()
    {
        var cloud = await site.UseAsync(new FaultRule { Operation = VolumeOperation.CreateGroupSnapshot, Fault = VolumeFault.Hang });
        var run = await site.StartAsync(cloud.Request(deadline: TimeSpan.FromSeconds(6)));
        await Eventually.TrueAsync(() => site.Guest.IsFrozen);

        await site.ServeAsync(typeof(ForgetsToThaw));
        await run.CancelAsync();
        await Eventually.TrueAsync(async () => (await run.FetchHistoryAsync()).Events.Any(e => e.EventType is EventType.WorkflowTaskFailed));
        await Eventually.TrueAsync(() => !site.Guest.IsFrozen);
        Assert.Equal(WorkflowExecutionStatus.Running, (await run.DescribeAsync()).Status);

        await site.InjectAsync();
        await site.ServeAsync(typeof(CreateImageWorkflow));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal((RunStatus.Cancelled, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        Assert.False(site.Guest.IsFrozen);
    }

    [Fact]
    public async Task A_back_end_that_hangs_and_looks_alive_holds_the_guest_for_its_deadline_only_and_a_cancel_ends_the_run()
    {
        var cloud = await site.UseAsync(new FaultRule { Operation = VolumeOperation.CreateGroupSnapshot, Fault = VolumeFault.Hang });
        var run = await site.StartAsync(cloud.Request(deadline: FreezeDeadline.Minimum));
        await Eventually.TrueAsync(() => site.Guest.IsFrozen);
        await Eventually.TrueAsync(() => !site.Guest.IsFrozen);
        Assert.Equal(WorkflowExecutionStatus.Running, (await run.DescribeAsync()).Status);

        await run.CancelAsync();
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal((RunStatus.Cancelled, 0), (cloud.Closed!.Status, cloud.Closed.Leftovers.Count));
        Assert.False(site.Guest.IsFrozen);
    }

    /// <summary>The process as somebody might have changed it, whose runs are frozen at this moment.</summary>
    [Workflow("CreateImage")]
    public sealed class ForgetsToThaw
    {
        [WorkflowRun]
        public async Task<CreateImageResult> RunAsync(CreateImageInput request)
        {
            await Temporalio.Workflows.Workflow.DelayAsync(TimeSpan.FromSeconds(1));
            return new(RunStatus.Completed);
        }
    }
}
