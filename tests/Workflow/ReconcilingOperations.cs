using SnapshotFlow.Model;
using SnapshotFlow.Tests.Workflow.Replay;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// What is deleted goes on although its run was ended behind its back, what was being made is given up: by two looks, wherever the run had come to. All of it can be
/// asked for again.
/// </summary>
public sealed class ReconcilingOperations(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    public static TheoryData<string, string> Terminations
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (var (process, steps) in RecordingResourceRuns.Steps)
            {
                // After the last step of all there is nothing left to do.
                steps.SkipLast(1).ToList().ForEach(step => all.Add(process, step));
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Terminations))]
    public async Task A_run_terminated_after_any_step_is_taken_to_its_end_by_the_second_look(string process, string step)
    {
        var resources = await TerminatedAfterAsync(process, step);
        fixture.Looks.Now = FakeResourceLooks.Old;
        var first = await fixture.LookAsync();
        Assert.NotEmpty(first.Findings);
        Assert.Empty(first.Repairs);

        fixture.Looks.Now += FakeResourceLooks.Interval;
        var second = await fixture.LookAsync();

        Assert.True(Assert.Single(second.Repairs).Succeeded, second.Repairs[0].Done);
        await Eventually.TrueAsync(() => Settled(process, resources));
        // A run that was started again says that it is over a little after the records do.
        await Eventually.TrueAsync(async () => (await fixture.LookAsync()).Findings.Count == 0);
    }

    [Fact]
    public async Task A_deletion_that_lives_is_left_alone_however_old_it_is()
    {
        var resources = fixture.Use(new());
        fixture.Looks.Reset();
        var held = Fault.HoldsDeaf();
        resources.Script("DeleteVolumeSnapshot", held);
        var run = await RecordingResourceRuns.Processes["delete-image"](fixture, resources);
        await held.Reached;
        for (var look = 0; look < 2; look++)
        {
            fixture.Looks.Now = FakeResourceLooks.Old + (look * FakeResourceLooks.Interval);
            Assert.Empty((await fixture.LookAsync()).Findings);
        }

        held.Release();
        await run.GetResultAsync();
        Assert.Equal(1, resources.Journal.Count(a => a == "BeginDeleteImage"));
    }

    [Fact]
    public async Task A_deletion_that_is_asked_for_again_goes_on_at_once_as_the_same_operation()
    {
        var resources = await TerminatedAfterAsync("delete-image", "BeginDeleteImage");
        var before = resources.Deletion!;

        var accepted = await fixture.AcceptAsync(Names.DeleteImageWorkflow(before.Image), (DeleteImageWorkflow w) => w.RunAsync(before), w => w.AcceptAsync());

        Assert.Equal((before.Operation, null), (accepted.Operation, accepted.Refusal));
        await Eventually.TrueAsync(() => Settled("delete-image", resources));
    }

    [Fact]
    public async Task A_deletion_that_was_asked_for_again_between_the_look_and_the_repair_is_joined()
    {
        var resources = await TerminatedAfterAsync("delete-image", "BeginDeleteImage");
        fixture.Looks.Now = FakeResourceLooks.Old;
        await fixture.LookAsync();
        fixture.Looks.Now += FakeResourceLooks.Interval;
        var held = Fault.HoldsDeaf();
        resources.Script("DeleteVolumeSnapshot", held);
        fixture.Looks.BeforeRepair = async () =>
        {
            await RecordingResourceRuns.Processes["delete-image"](fixture, resources);
            await held.Reached;
        };
        var second = await fixture.LookAsync();

        Assert.True(Assert.Single(second.Repairs).Succeeded);
        held.Release();
        await Eventually.TrueAsync(() => Settled("delete-image", resources));
        // Once by the run that was terminated, once by the one that was asked for; the look has started none.
        Assert.Equal(2, resources.Journal.Count(a => a == "BeginDeleteImage"));
    }

    [Fact]
    public async Task A_volume_of_a_restore_that_cannot_be_deleted_is_listed_and_its_row_stays_in_error()
    {
        var resources = await TerminatedAfterAsync("restore-image", "CreateVolumeFromSnapshot");
        resources.Script("DeleteVolume", Fault.Fails(message: "the pool is read-only"));
        fixture.Looks.Now = FakeResourceLooks.Old;
        await fixture.LookAsync();
        fixture.Looks.Now += FakeResourceLooks.Interval;
        var second = await fixture.LookAsync();

        Assert.False(Assert.Single(second.Repairs).Succeeded);
        Assert.Equal(RunStatus.CompensationFailed, resources.Operation);
        var left = Assert.Single(resources.StoredVolumes);
        Assert.Equal([new Leftover("DeleteVolume", Names.Volume(left), "the pool is read-only")], resources.Leftovers);
        Assert.Equal("error", resources.VolumeRows[left]);
        Assert.Equal(2, resources.VolumeRows.Values.Count(v => v == "deleted"));
    }

    /// <summary>A run whose step has had its effect, and that was terminated then.</summary>
    private async Task<FakeResources> TerminatedAfterAsync(string process, string step)
    {
        var resources = fixture.Use(new());
        fixture.Looks.Reset();
        var held = Fault.DoneThenHolds();
        resources.Script(step, held);
        var run = await RecordingResourceRuns.Processes[process](fixture, resources);
        await held.Reached;
        if (process == "restore-image" && step == "CreateVolumeFromSnapshot")
        {
            // The others are made at the same time.
            await Eventually.TrueAsync(() => resources.StoredVolumes.Count == 3);
        }

        await run.TerminateAsync("by hand");
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await run.DescribeAsync()).Status);
        return resources;
    }

    private static bool Settled(string process, FakeResources resources) => process switch
    {
        "create-snapshot" => resources.StoredSnapshots.Count == 3 && resources.SnapshotRows.Values.Count(s => s == "error") == 1,
        "delete-snapshot" => resources.StoredSnapshots.Count == 2 && resources.SnapshotRows.Values.Count(s => s == "deleted") == 1,
        "delete-image" => resources is { StoredSnapshots.Count: 0, ImageStatus: "deleted", Operation: RunStatus.Completed } && resources.SnapshotRows.Values.All(s => s == "deleted"),
        "restore-image" => resources is { StoredVolumes.Count: 0, Operation: RunStatus.Failed } && resources.VolumeRows.Values.All(v => v == "deleted"),
        "create-volume" => resources.StoredVolumes.Count == 0 && resources.VolumeRows.Values.Single() == "error",
        "delete-volume" => resources.StoredVolumes.Count == 0 && resources.VolumeRows.Values.Single() == "deleted",
        _ => throw new ArgumentOutOfRangeException(nameof(process)),
    };
}
