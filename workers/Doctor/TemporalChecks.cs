using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>Temporal, and through it every worker and the machine that it runs on.</summary>
/// <param name="options">Where it is.</param>
/// <param name="places">Task queues of every host and back end that should be served.</param>
/// <param name="time">This machine's clock.</param>
internal sealed class TemporalChecks(TemporalClientConnectOptions options, IReadOnlyList<string> places, TimeProvider time)
{
    /// <summary>A worker asks at least once a minute; the server remembers longer who did.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(2);

    private readonly List<Diagnosis> found = [];

    public async Task<IReadOnlyList<Diagnosis>> RunAsync(CancellationToken ct)
    {
        var rpc = new RpcOptions { CancellationToken = ct };
        try
        {
            var client = await TemporalClient.ConnectAsync(options);
            var system = await client.Connection.WorkflowService.GetSystemInfoAsync(new GetSystemInfoRequest(), rpc);
            found.Add(Diagnosis.Ok("temporal", options.TargetHost!, $"server {system.ServerVersion} answers"));
            if (await NamespaceAsync(client, rpc))
            {
                await SearchAttributesAsync(client, rpc);
                var served = await PollersAsync(client, rpc);
                await ScheduleAsync(client, rpc);
                await PlacesAsync(client, served, ct);
            }
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException)
        {
            found.Add(Diagnosis.Error("temporal", options.TargetHost!, e.Message, "start it, or correct TEMPORAL_ADDRESS and its companions; no run goes on without it"));
        }

        return found;
    }

    private async Task<bool> NamespaceAsync(ITemporalClient client, RpcOptions rpc)
    {
        try
        {
            var answer = await client.Connection.WorkflowService.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = options.Namespace }, rpc);
            found.Add(Judgement.Retention(options.Namespace, answer.Config.WorkflowExecutionRetentionTtl?.ToTimeSpan() ?? TimeSpan.Zero));
            return true;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            found.Add(Diagnosis.Error("namespace", options.Namespace, "is not there", "correct TEMPORAL_NAMESPACE, or run: snapshotflow-workers setup --create-namespace"));
            return false;
        }
    }

    private async Task SearchAttributesAsync(ITemporalClient client, RpcOptions rpc)
    {
        try
        {
            var known = await client.Connection.OperatorService.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = options.Namespace }, rpc);
            found.Add(Judgement.Attributes(options.Namespace, known.CustomAttributes));
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.PermissionDenied or RpcException.StatusCode.Unimplemented)
        {
            found.Add(Diagnosis.Warning("search attributes", options.Namespace, $"Temporal does not tell ({e.Message})", $"have its operator see that these are there as Keyword: {string.Join(", ", SearchAttributes.All.Select(a => a.Name))}"));
        }
    }

    /// <summary>The places that somebody serves.</summary>
    private async Task<IReadOnlyList<string>> PollersAsync(ITemporalClient client, RpcOptions rpc)
    {
        await PollersOfAsync(client, Names.ControlQueue, TaskQueueType.Workflow, rpc);
        await PollersOfAsync(client, Names.ControlQueue, TaskQueueType.Activity, rpc);
        List<string> served = [];
        foreach (var place in places)
        {
            if (await PollersOfAsync(client, place, TaskQueueType.Activity, rpc))
            {
                served.Add(place);
            }
        }

        return served;
    }

    private async Task<bool> PollersOfAsync(ITemporalClient client, string queue, TaskQueueType type, RpcOptions rpc)
    {
        var answer = await client.Connection.WorkflowService.DescribeTaskQueueAsync(
            new DescribeTaskQueueRequest { Namespace = options.Namespace, TaskQueue = new() { Name = queue }, TaskQueueType = type, ReportStats = true }, rpc);
        var since = time.GetUtcNow() - Fresh;
        var alive = answer.Pollers.Count(p => p.LastAccessTime is null || p.LastAccessTime.ToDateTimeOffset() > since);
        found.Add(Judgement.Pollers(queue, type is TaskQueueType.Workflow, alive, answer.Stats?.ApproximateBacklogCount ?? 0));
        return alive > 0;
    }

    private async Task ScheduleAsync(ITemporalClient client, RpcOptions rpc)
    {
        try
        {
            var state = (await client.GetScheduleHandle(Names.ReconcileSchedule).DescribeAsync(rpc)).Schedule.State;
            found.Add(Judgement.Schedule(isThere: true, state.Paused ? state.Note ?? "" : null));
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            found.Add(Judgement.Schedule(isThere: false, null));
        }
    }

    /// <summary>What the workers say about their machines.</summary>
    private async Task PlacesAsync(ITemporalClient client, IReadOnlyList<string> served, CancellationToken ct)
    {
        var queue = $"{Names.ControlQueue}-doctor-{Guid.NewGuid():N}";
        using var worker = new TemporalWorker(client, new TemporalWorkerOptions(queue).AddWorkflow<ExaminationWorkflow>());
        var asked = time.GetUtcNow();
        var examined = await worker.ExecuteAsync(
            () => client.ExecuteWorkflowAsync(
                (ExaminationWorkflow w) => w.RunAsync(served), new($"{queue}", queue) { RunTimeout = TimeSpan.FromMinutes(1), StaticSummary = "the doctor looks at every host and back end", Rpc = new() { CancellationToken = ct } }),
            ct);
        found.Add(Judgement.Clock("Temporal", "this machine", examined.At, asked, time.GetUtcNow()));
        found.AddRange(examined.Places.SelectMany(Judgement.Place));
    }
}
