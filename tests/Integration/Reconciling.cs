using Npgsql;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;

namespace SnapshotFlow.Tests.Integration;

/// <summary>The looks of the running product, by its real processes.</summary>
public sealed class Reconciling(RunningStack running)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_control_worker_has_registered_one_look_a_minute_never_two_at_once_and_registers_it_again_when_it_starts_again()
    {
        var client = await ConnectAsync();
        await AssertScheduleAsync();
        await running.Stack.KillWorkerAsync(WorkerRole.Control, Ct);
        await running.Stack.StartWorkerAsync(WorkerRole.Control, Ct);
        await running.Stack.WaitForWorkersAsync(Ct);
        await AssertScheduleAsync();

        async Task AssertScheduleAsync()
        {
            var found = (await client.GetScheduleHandle(Names.ReconcileSchedule).DescribeAsync()).Schedule;
            Assert.Equal(TimeSpan.FromMinutes(1), Assert.Single(found.Spec.Intervals).Every);
            Assert.Equal(ScheduleOverlapPolicy.Skip, found.Policy.Overlap);
            Assert.Equal("Reconcile", Assert.IsType<ScheduleActionStartWorkflow>(found.Action).Workflow);
        }
    }

    [Fact]
    public async Task Of_a_run_terminated_in_Temporal_nothing_is_left_after_two_looks_and_it_says_that_it_failed()
    {
        var client = await ConnectAsync();
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        await running.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[^1], Fault = VolumeFault.Hang });
        var image = ImageId.Parse(await running.Tenant.CreateImageAsync(server.Id, "terminated", Ct));
        await running.Tenant.WaitForRunAsync(image.ToString(), "between freeze and thaw", run => run.Did("Quiesce") && !run.Began("Unquiesce"), TimeSpan.FromSeconds(40), Ct);
        await Wait.UntilAsync("all cuts but one", TimeSpan.FromSeconds(8), async _ => await CutsAsync(server) >= server.Volumes.Count - 1, Ct);
        Assert.True(await server.IsFrozenAsync(Ct));
        await client.GetWorkflowHandle(Names.CreateImageWorkflow(image)).TerminateAsync("by hand");
        // Nobody asks for the thaw any more: the guard keeps the deadline.
        await Wait.UntilAsync("the guard to thaw the guest", TimeSpan.FromSeconds(30), async ct => !await server.IsFrozenAsync(ct), Ct);
        await running.NoFaultsAsync();
        Assert.InRange(await CutsAsync(server), server.Volumes.Count - 1, server.Volumes.Count);

        Assert.Empty((await TwoLooksAsync(client)).Repairs);
        Assert.NotEqual(before, await running.HoldingsAsync());
        await AgeAsync(image, server.Id);
        var look = await TwoLooksAsync(client);

        Assert.Empty(look.Unseen);
        Assert.Contains(look.Repairs, r => r.Repair == new Repair(RepairKind.UndoRun, image) && r.Succeeded);
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Equal(0, await CutsAsync(server));
        Assert.Null(await running.TaskStateAsync(server));
        Assert.Equal("failed", (await running.Tenant.WaitForEndAsync(image.ToString(), TimeSpan.FromSeconds(5), Ct)).Status);
    }

    private async Task<int> CutsAsync(GuestServer server) => (await running.Stack.Storage.SnapshotsAsync(Ct)).Count(s => server.Volumes.Contains(s.Volume));

    private async Task<ITemporalClient> ConnectAsync() =>
        await TemporalClient.ConnectAsync(new(running.Stack.Temporal.Address) { Namespace = running.Stack.Temporal.Namespace });

    private static async Task<ReconcileResult> TwoLooksAsync(ITemporalClient client)
    {
        ReconcileResult result = null!;
        for (var i = 0; i < 2; i++)
        {
            result = await client.ExecuteWorkflowAsync(
                (ReconcileWorkflow w) => w.RunAsync(new ReconcileInput(Interval)), new($"{Names.ReconcileSchedule}-test-{Guid.NewGuid()}", Names.ControlQueue));
        }

        return result;
    }

    /// <summary>Makes the records of a run as old as a run can get.</summary>
    private async Task AgeAsync(ImageId image, ServerId server)
    {
        await using var source = NpgsqlDataSource.Create(running.Stack.ConnectionString);
        await using var command = source.CreateCommand($"""
            UPDATE runs SET started_at = now() - interval '1 day' WHERE image_id = '{image}';
            UPDATE images SET updated_at = now() - interval '1 day' WHERE id = '{image}';
            UPDATE snapshots SET created_at = now() - interval '1 day', updated_at = NULL WHERE image_id = '{image}';
            UPDATE quota_reservations SET expires_at = now() + interval '1 second' WHERE image_id = '{image}';
            UPDATE servers SET updated_at = now() - interval '1 day' WHERE id = '{server}';
            """);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
