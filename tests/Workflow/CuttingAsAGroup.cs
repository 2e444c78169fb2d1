using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>Back ends that cut several volumes at one instant.</summary>
public sealed class CuttingAsAGroup(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Fact]
    public async Task Volumes_of_a_back_end_that_can_are_cut_by_one_step_and_the_evidence_says_so()
    {
        var cloud = fixture.Use(new() { GroupCut = GroupCut.Always });

        var evidence = (await (await fixture.StartAsync(cloud.Request())).GetResultAsync()).Evidence!;

        Assert.Single(cloud.Journal, "CreateGroupSnapshot");
        Assert.DoesNotContain("CreateVolumeSnapshot", cloud.Journal);
        Assert.Equal(("group", TimeSpan.Zero, Consistency.Application), (evidence.Cut, evidence.CutSkew, evidence.Consistency));
        Assert.Equal(cloud.Volumes, evidence.Cuts.Select(c => c.Volume));
    }

    [Fact]
    public async Task A_group_cut_that_frozen_guests_do_not_need_is_made_only_when_the_guest_could_not_be_frozen()
    {
        var frozen = fixture.Use(new() { GroupCut = GroupCut.UnlessFrozen });
        var evidence = (await (await fixture.StartAsync(frozen.Request())).GetResultAsync()).Evidence!;
        Assert.Equal(3, frozen.Journal.Count(a => a == "CreateVolumeSnapshot"));
        Assert.Equal("each", evidence.Cut);

        var silent = fixture.Use(new() { GroupCut = GroupCut.UnlessFrozen, Guest = new(false, "no answer") });
        evidence = (await (await fixture.StartAsync(silent.Request())).GetResultAsync()).Evidence!;
        Assert.Single(silent.Journal, "CreateGroupSnapshot");
        Assert.Equal(("group", Consistency.Crash), (evidence.Cut, evidence.Consistency));
    }

    [Fact]
    public async Task A_group_cut_that_was_done_although_it_reported_failure_is_undone_volume_by_volume()
    {
        var cloud = fixture.Use(new() { GroupCut = GroupCut.Always });
        cloud.Script("CreateGroupSnapshot", Fault.DoneButFails());

        await Assert.ThrowsAsync<WorkflowFailedException>(async () => await (await fixture.StartAsync(cloud.Request())).GetResultAsync());

        Assert.Equal(3, cloud.Journal.Count(a => a == "DeleteVolumeSnapshot"));
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task Cancelling_during_a_group_cut_thaws_at_once_and_leaves_nothing()
    {
        var cloud = fixture.Use(new() { GroupCut = GroupCut.Always });
        var held = Fault.HoldsDeaf();
        cloud.Script("CreateGroupSnapshot", held);
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
    public async Task A_back_end_that_does_not_say_what_it_can_is_asked_for_each_volume()
    {
        var cloud = fixture.Use(new() { GroupCut = GroupCut.Always });
        cloud.Script("DescribeBackend", Fault.Fails());

        var evidence = (await (await fixture.StartAsync(cloud.Request())).GetResultAsync()).Evidence!;

        Assert.Equal("each", evidence.Cut);
        Assert.Equal(3, cloud.Journal.Count(a => a == "CreateVolumeSnapshot"));
    }

    [Fact]
    public async Task A_single_volume_is_cut_alone()
    {
        var cloud = fixture.Use(new() { GroupCut = GroupCut.Always });
        cloud.Volumes.RemoveRange(1, 2);

        var evidence = (await (await fixture.StartAsync(cloud.Request())).GetResultAsync()).Evidence!;

        Assert.Equal("each", evidence.Cut);
        Assert.DoesNotContain("DescribeBackend", cloud.Journal);
    }
}
