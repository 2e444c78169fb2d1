using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>A server that is moved to another hypervisor while it is frozen.</summary>
public sealed class MovingServers(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    private static readonly ServerLocation Elsewhere = new("host-2", "qga:unix:/run/moved.sock");

    [Fact]
    public async Task A_guest_that_moved_while_it_was_frozen_is_thawed_where_it_is_and_its_lease_behind_is_ended()
    {
        var cloud = fixture.Use(new());
        var run = await MoveWhileFrozenAsync(cloud);

        var result = await run.GetResultAsync();

        Assert.False(cloud.Frozen);
        Assert.Equal(Consistency.Application, result.Evidence!.Consistency);
        Assert.Equal(["LocateServer", "Unquiesce", "EndLease"], cloud.Journal.Where(a => a is "LocateServer" or "EndLease" or "Unquiesce").TakeLast(3));
    }

    [Fact]
    public async Task A_run_that_is_cancelled_after_the_guest_moved_thaws_it_where_it_is()
    {
        var cloud = fixture.Use(new());
        var run = await MoveWhileFrozenAsync(cloud, cancel: true);

        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        cloud.AssertNothingLeft();
        Assert.Contains("EndLease", cloud.Journal);
    }

    [Fact]
    public async Task A_guest_that_did_not_move_is_asked_again_where_it_was()
    {
        var cloud = fixture.Use(new());
        cloud.Script("Unquiesce", Fault.Fails(ErrorKind.InvalidRequest), Fault.Fails(ErrorKind.BackendUnavailable));
        cloud.Script("LocateServer", Fault.Fails(ErrorKind.NotFound));

        Assert.Equal(RunStatus.Completed, (await (await fixture.StartAsync(cloud.Request())).GetResultAsync()).Status);
        Assert.False(cloud.Frozen);
        Assert.DoesNotContain("EndLease", cloud.Journal);
    }

    private async Task<WorkflowHandle<Workflows.CreateImageWorkflow, CreateImageResult>> MoveWhileFrozenAsync(FakeCloud cloud, bool cancel = false)
    {
        var cut = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", cut);
        var run = await fixture.StartAsync(cloud.Request(deadline: FreezeDeadline.Maximum));
        await cut.Reached;
        cloud.Location = Elsewhere;
        if (cancel)
        {
            await run.CancelAsync();
        }

        cut.Release();
        return run;
    }
}
