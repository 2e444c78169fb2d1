using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

public sealed class CreatingAnImage(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Fact]
    public async Task Steps_run_in_the_order_of_the_design_and_only_cuts_happen_while_the_guest_is_frozen()
    {
        var cloud = fixture.Use(new());

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, result.Status);
        Assert.Equal(
            [
                "PrepareImage", "CheckQuota", "ReserveRecords", "ProbeGuest", "DescribeBackend", "Quiesce", "CreateVolumeSnapshot", "CreateVolumeSnapshot", "CreateVolumeSnapshot",
                "Unquiesce", "CopyGlanceMetadata", "CompleteSnapshots", "CreateImageRecord",
            ],
            cloud.Journal);
    }

    [Fact]
    public async Task A_frozen_set_of_cuts_that_the_thaw_confirms_is_application_consistent()
    {
        var cloud = fixture.Use(new());

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Application, result.Evidence!.Consistency);
        Assert.Null(result.Evidence.Reason);
        Assert.Equal(3, result.Evidence.Cuts.Count);
        Assert.Equal("active", cloud.ImageStatus);
        Assert.False(cloud.Frozen);
        Assert.Null(cloud.TaskState);
    }

    [Fact]
    public async Task Acceptance_comes_before_the_freeze_and_the_same_request_again_is_the_same_run()
    {
        var cloud = fixture.Use(new());
        var held = Fault.Holds();
        cloud.Script("Quiesce", held);
        var request = cloud.Request();

        var accepted = await fixture.AcceptAsync(request);
        await held.Reached;
        var again = await fixture.AcceptAsync(request);
        held.Release();
        await fixture.Run(request).GetResultAsync();

        Assert.Null(accepted.Refusal);
        Assert.Equal(accepted, again);
        Assert.Single(cloud.Journal, "PrepareImage");
        Assert.Equal(1, cloud.Freezes);
    }

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
    [InlineData("CreateImageRecord")]
    public async Task A_step_whose_back_end_is_away_for_a_moment_is_repeated_and_the_image_completes(string activity)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, Fault.Fails(ErrorKind.BackendUnavailable));

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, result.Status);
        Assert.Equal(Consistency.Application, result.Evidence!.Consistency);
    }

    [Theory]
    [InlineData("CheckQuota")]
    [InlineData("ReserveRecords")]
    [InlineData("CreateVolumeSnapshot")]
    [InlineData("CompleteSnapshots")]
    [InlineData("CreateImageRecord")]
    public async Task A_step_that_was_done_but_whose_answer_was_lost_is_repeated_and_the_image_completes_once(string activity)
    {
        var cloud = fixture.Use(new());
        cloud.Script(activity, Fault.DoneButFails(ErrorKind.BackendUnavailable));

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, result.Status);
        Assert.Equal(3, cloud.Snapshots.Count);
        Assert.Single(cloud.Committed);
    }

    [Fact]
    public async Task A_server_that_is_not_running_is_neither_asked_nor_frozen_and_its_image_is_offline_consistent()
    {
        var cloud = fixture.Use(new() { Running = false, RequireQuiesce = true });

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Offline, result.Evidence!.Consistency);
        Assert.DoesNotContain("ProbeGuest", cloud.Journal);
        Assert.Equal(0, cloud.Freezes);
    }

    [Fact]
    public async Task Progress_shows_the_freeze_its_deadline_and_the_steps_while_the_run_goes_on()
    {
        var cloud = fixture.Use(new());
        var held = Fault.Holds();
        cloud.Script("CreateVolumeSnapshot", held);
        var run = await fixture.StartAsync(cloud.Request());
        await held.Reached;

        var progress = await run.QueryAsync(w => w.Progress());
        held.Release();
        await run.GetResultAsync();
        var after = await run.QueryAsync(w => w.Progress());

        Assert.Equal((RunStatus.Running, Step.CreateVolumeSnapshot, true), (progress.Status, progress.Step, progress.Frozen));
        Assert.NotNull(progress.FreezeDeadlineAt);
        Assert.Null(progress.Steps.Last(s => s.Step == Step.CreateVolumeSnapshot && s.Detail == "/dev/vdc").Error);
        Assert.Equal((RunStatus.Completed, false), (after.Status, after.Frozen));
        Assert.All(after.Steps, step => Assert.NotNull(step.EndedAt));
    }

    [Fact]
    public async Task Operators_find_a_run_by_project_server_image_step_and_consistency()
    {
        var cloud = fixture.Use(new());
        var request = cloud.Request();
        var run = await fixture.StartAsync(request);
        await run.GetResultAsync();

        var found = new List<WorkflowExecution>();
        var query = $"ProjectId = 'project' AND ServerId = '{cloud.Server}' AND ImageId = '{request.Image}' AND Step = 'CreateImageRecord' AND Consistency = 'application'";
        await foreach (var execution in fixture.Client.ListWorkflowsAsync(query))
        {
            found.Add(execution);
        }

        Assert.Equal(run.Id, Assert.Single(found).Id);
    }

    [Fact]
    public async Task Temporal_shows_a_summary_per_volume_and_no_metadata_value_as_a_search_attribute()
    {
        var cloud = fixture.Use(new());
        var run = await fixture.StartAsync(cloud.Request());
        await run.GetResultAsync();

        var summaries = new List<string>();
        await foreach (var e in run.FetchHistoryEventsAsync())
        {
            if (e.ActivityTaskScheduledEventAttributes is { ActivityType.Name: "CreateVolumeSnapshot" })
            {
                summaries.Add(e.UserMetadata.Summary.Data.ToStringUtf8());
            }
        }

        Assert.Equal(["\"cut /dev/vda 1 GiB on host-1@file\"", "\"cut /dev/vdb 1 GiB on host-1@file\"", "\"cut /dev/vdc 1 GiB on host-1@file\""], summaries);
    }
}
