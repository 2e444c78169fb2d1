using System.Net;
using Npgsql;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Integration;

/// <summary>The looks of the running product, by its real processes.</summary>
public sealed class Reconciling(RunningStack running)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_control_worker_registers_one_look_a_minute_never_two_at_once_whenever_it_starts()
    {
        var client = await ConnectAsync();
        await running.Stack.KillWorkerAsync(WorkerRole.Control, Ct);
        await client.GetScheduleHandle(Names.ReconcileSchedule).DeleteAsync();
        await running.Stack.StartWorkerAsync(WorkerRole.Control, Ct);
        await running.Stack.WaitForWorkersAsync(Ct);

        var found = await Wait.ForAsync("the schedule", Patience, async _ => await FindScheduleAsync(client), Ct);
        Assert.Equal(TimeSpan.FromMinutes(1), Assert.Single(found.Spec.Intervals).Every);
        Assert.Equal(ScheduleOverlapPolicy.Skip, found.Policy.Overlap);
        Assert.Equal("Reconcile", Assert.IsType<ScheduleActionStartWorkflow>(found.Action).Workflow);
    }

    [Fact]
    public async Task Of_a_run_terminated_in_Temporal_nothing_is_left_after_two_looks_and_it_says_that_it_failed()
    {
        var client = await ConnectAsync();
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        await running.DelayCutsAsync(TimeSpan.FromSeconds(3));
        var image = ImageId.Parse(await running.Tenant.CreateImageAsync(server.Id, "terminated", Ct));
        await running.Tenant.WaitForRunAsync(image.ToString(), "between freeze and thaw", run => run.Did("Quiesce") && !run.Began("Unquiesce"), Patience, Ct);
        await client.GetWorkflowHandle(Names.CreateImageWorkflow(image)).TerminateAsync("by hand");
        await running.NoFaultsAsync();

        // Seen, and too young to be touched.
        var seen = await LookAsync(client);
        Assert.Contains(seen.Findings, f => f.Key == new FindingKey(FindingKind.StrandedRun, image.ToString()));
        Assert.DoesNotContain((await LookAsync(client)).Repairs, r => r.Repair is { Kind: RepairKind.UndoRun } undo && undo.Image == image);
        await AgeAsync(image, server.Id);
        await LookUntilAsync(client, async () => (await running.Tenant.GetAsync($"/runs/{image}", Ct)).Body.GetProperty("status").GetString() != "running");

        Assert.Equal("failed", (await running.Tenant.WaitForEndAsync(image.ToString(), Patience, Ct)).Status);
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
        // Nobody asked for the thaw: the guard does, at the deadline.
        await Wait.ForAsync("the thaw", Patience, async _ => await server.AgentSaysFrozenAsync(Ct) ? null : "", Ct);
    }

    [Fact]
    public async Task The_deletion_of_an_image_whose_run_was_terminated_goes_on_at_once_when_it_is_asked_for_again()
    {
        var client = await ConnectAsync();
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        var (image, operation) = await DeletionTerminatedAsync(client, server);

        // The image is not found, and yet its deletion can be repeated.
        Assert.Equal(HttpStatusCode.NotFound, (await running.Tenant.GetAsync($"/image/v2/images/{image}", Ct)).Status);
        (await running.Tenant.SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null, Ct)).Expect(HttpStatusCode.NoContent);

        await Wait.ForAsync("the end of the deletion", Patience, async _ => await StatusAsync(operation) == "completed" ? "" : null, Ct);
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await running.Tenant.SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null, Ct)).Status);
    }

    [Fact]
    public async Task A_deletion_that_was_terminated_and_that_Temporal_has_forgotten_goes_on_by_two_looks()
    {
        var client = await ConnectAsync();
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        var (image, operation) = await DeletionTerminatedAsync(client, server);
        await client.WorkflowService.DeleteWorkflowExecutionAsync(
            new() { Namespace = client.Options.Namespace, WorkflowExecution = new() { WorkflowId = Names.DeleteImageWorkflow(image) } });

        var seen = await LookAsync(client);
        Assert.Superset(
            new HashSet<FindingKey> { new(FindingKind.StrandedOperation, operation), new(FindingKind.StuckImage, image.ToString()) }, seen.Findings.Select(f => f.Key).ToHashSet());
        await AgeAsync(image, server.Id);
        await LookUntilAsync(client, async () => await StatusAsync(operation) == "completed");

        Assert.Equal(before, await running.HoldingsAsync());
    }

    /// <summary>An image of the server whose deletion nobody goes on with.</summary>
    private async Task<(ImageId Image, string Operation)> DeletionTerminatedAsync(ITemporalClient client, GuestServer server)
    {
        var image = await running.Tenant.CreateImageAsync(server.Id, "to be deleted", Ct);
        Assert.Equal("completed", (await running.Tenant.WaitForEndAsync(image, Patience, Ct)).Status);
        await running.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.DeleteSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendUnavailable });
        (await running.Tenant.SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null, Ct)).Expect(HttpStatusCode.NoContent);
        await client.GetWorkflowHandle(Names.DeleteImageWorkflow(ImageId.Parse(image))).TerminateAsync("by hand");
        await running.NoFaultsAsync();
        var operation = Assert.Single((await running.Tenant.GetAsync($"/operations?image_id={image}", Ct)).Body.GetProperty("operations").EnumerateArray());
        Assert.Equal("running", operation.GetProperty("status").GetString());
        return (ImageId.Parse(image), operation.GetProperty("id").GetString()!);
    }

    private async Task<string?> StatusAsync(string operation) => (await running.Tenant.GetAsync($"/operations/{operation}", Ct)).Body.GetProperty("status").GetString();

    private async Task<ITemporalClient> ConnectAsync() =>
        await TemporalClient.ConnectAsync(new(running.Stack.Temporal.Address) { Namespace = running.Stack.Temporal.Namespace });

    private static async Task<Schedule?> FindScheduleAsync(ITemporalClient client)
    {
        try
        {
            return (await client.GetScheduleHandle(Names.ReconcileSchedule).DescribeAsync()).Schedule;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return null;
        }
    }

    private static Task<ReconcileResult> LookAsync(ITemporalClient client) => client.ExecuteWorkflowAsync(
        (ReconcileWorkflow w) => w.RunAsync(new ReconcileInput(Interval)), new($"{Names.ReconcileSchedule}-test-{Guid.NewGuid()}", Names.ControlQueue));

    /// <summary>Looks until something is so: the schedule of the product looks too, and may be the one that repairs.</summary>
    private static Task LookUntilAsync(ITemporalClient client, Func<Task<bool>> isSo) => Wait.ForAsync("a repair", Patience, async _ =>
    {
        await LookAsync(client);
        return await isSo() ? "" : null;
    }, Ct);

    /// <summary>Makes the records of an image as old as they can get.</summary>
    private async Task AgeAsync(ImageId image, ServerId server)
    {
        await using var source = NpgsqlDataSource.Create(running.Stack.ConnectionString);
        await using var command = source.CreateCommand($"""
            UPDATE runs SET started_at = now() - interval '1 day' WHERE image_id = '{image}';
            UPDATE operations SET started_at = now() - interval '1 day' WHERE image_id = '{image}';
            UPDATE images SET updated_at = now() - interval '1 day' WHERE id = '{image}';
            UPDATE snapshots SET created_at = now() - interval '1 day', updated_at = NULL WHERE image_id = '{image}';
            UPDATE quota_reservations SET expires_at = now() + interval '1 minute' WHERE image_id = '{image}';
            UPDATE servers SET updated_at = now() - interval '1 day' WHERE id = '{server}';
            """);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
