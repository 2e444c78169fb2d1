using Temporalio.Client;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>What a workflow learns about its own run.</summary>
[Collection(nameof(DevServer))]
public sealed class WorkflowInformation(DevServer server)
{
    [Fact]
    public Task A_workflow_started_without_timeouts_has_none() => server.WithWorkerAsync(o => o.AddWorkflow<OwnTimeoutsWorkflow>(), async queue =>
        Assert.Equal([null, null], await server.Client.ExecuteWorkflowAsync((OwnTimeoutsWorkflow w) => w.RunAsync(false), new(DevServer.NewId(), queue))));

    [Fact]
    public Task A_child_started_without_timeouts_has_none() => server.WithWorkerAsync(o => o.AddWorkflow<OwnTimeoutsWorkflow>(), async queue =>
        Assert.Equal([null, null], await server.Client.ExecuteWorkflowAsync((OwnTimeoutsWorkflow w) => w.RunAsync(true), new(DevServer.NewId(), queue))));

    [Fact]
    public Task A_run_id_is_a_UUID_of_version_7() => server.WithWorkerAsync(o => o.AddWorkflow<OwnTimeoutsWorkflow>(), async queue =>
        Assert.Equal(7, Guid.Parse((await server.Client.StartWorkflowAsync((OwnTimeoutsWorkflow w) => w.RunAsync(false), new(DevServer.NewId(), queue))).ResultRunId!).Version));

    [Fact]
    public Task An_execution_timeout_limits_the_run_too() => server.WithWorkerAsync(o => o.AddWorkflow<OwnTimeoutsWorkflow>(), async queue =>
    {
        var hour = TimeSpan.FromHours(1);
        Assert.Equal(
            [hour, hour],
            await server.Client.ExecuteWorkflowAsync((OwnTimeoutsWorkflow w) => w.RunAsync(false), new(DevServer.NewId(), queue) { ExecutionTimeout = hour }));
    });

    [Workflow]
    public sealed class OwnTimeoutsWorkflow
    {
        [WorkflowRun]
        public async Task<TimeSpan?[]> RunAsync(bool ofChild) => ofChild
            ? await Workflow.ExecuteChildWorkflowAsync((OwnTimeoutsWorkflow w) => w.RunAsync(false))
            : [Workflow.Info.ExecutionTimeout, Workflow.Info.RunTimeout];
    }
}
