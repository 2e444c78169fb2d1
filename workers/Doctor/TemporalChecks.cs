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

    private static readonly TimeSpan ShortestRetention = TimeSpan.FromDays(1);
    private const long LongBacklog = 100;

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
            var retention = answer.Config.WorkflowExecutionRetentionTtl?.ToTimeSpan() ?? TimeSpan.Zero;
            found.Add(retention >= ShortestRetention
                ? Diagnosis.Ok("namespace", options.Namespace, $"keeps ended runs for {retention.TotalDays:0} d")
                : Diagnosis.Warning("namespace", options.Namespace, $"keeps ended runs for {retention.TotalHours:0.#} h only", "raise the retention, or the Temporal UI shows nobody why a run of yesterday failed"));
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
            var known = (await client.Connection.OperatorService.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = options.Namespace }, rpc)).CustomAttributes;
            var missing = SearchAttributes.All.Where(a => !known.ContainsKey(a.Name)).Select(a => a.Name).ToList();
            var other = SearchAttributes.All.Where(a => known.TryGetValue(a.Name, out var type) && type is not IndexedValueType.Keyword).Select(a => $"{a.Name} ({known[a.Name]})").ToList();
            found.Add(
                missing.Count > 0 ? Diagnosis.Error("search attributes", options.Namespace, $"{string.Join(", ", missing)} missing", "run: snapshotflow-workers setup; no run can be started without them")
                : other.Count > 0 ? Diagnosis.Error("search attributes", options.Namespace, $"{string.Join(", ", other)} must be Keyword", "use a namespace of our own")
                : Diagnosis.Ok("search attributes", options.Namespace, $"all {SearchAttributes.All.Count} are there"));
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
        var waiting = answer.Stats?.ApproximateBacklogCount ?? 0;
        var what = $"{queue} ({(type is TaskQueueType.Workflow ? "workflows" : "activities")})";
        found.Add(
            alive == 0 ? Diagnosis.Error("pollers", what, "nobody asks for its tasks", $"start the {Role(queue)}, or see why it does not reach Temporal")
            : waiting > LongBacklog ? Diagnosis.Warning("pollers", what, $"{alive} poll, and {waiting} tasks wait", $"start more of the {Role(queue)}, or see what it waits for")
            : Diagnosis.Ok("pollers", what, $"{alive} poll{(waiting > 0 ? $", {waiting} tasks wait" : "")}"));
        return alive > 0;
    }

    private async Task ScheduleAsync(ITemporalClient client, RpcOptions rpc)
    {
        try
        {
            var description = await client.GetScheduleHandle(Names.ReconcileSchedule).DescribeAsync(rpc);
            found.Add(description.Schedule.State.Paused
                ? Diagnosis.Warning("schedule", Names.ReconcileSchedule, $"is paused: {description.Schedule.State.Note}", $"unpause it: temporal schedule toggle --schedule-id {Names.ReconcileSchedule} --unpause")
                : Diagnosis.Ok("schedule", Names.ReconcileSchedule, "looks for what runs left behind"));
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            found.Add(Diagnosis.Error("schedule", Names.ReconcileSchedule, "is not there: nothing looks for what runs left behind", "start a control worker, which registers it"));
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
        foreach (var place in examined.Places)
        {
            found.AddRange(Of(place));
        }
    }

    private static IEnumerable<Diagnosis> Of(ExaminedPlace place)
    {
        if (place.Facts is not { } facts)
        {
            yield return Diagnosis.Error("pollers", place.Queue, $"its worker does not answer: {place.Silence}", $"see what the {Role(place.Queue)} logs; one of an older version does not know the question");
            yield break;
        }

        yield return Judgement.Clock(place.Queue, "Temporal", facts.Now, place.AskedAt, place.AnsweredAt);
        if (facts.Guard is { } guard)
        {
            yield return guard switch
            {
                { Doubt: { } doubt } => Diagnosis.Error("guards", place.Queue, doubt, "start snapshotflow-guard on that host; until then no guest of it is frozen"),
                { Overdue: > 0 } => Diagnosis.Error("guards", place.Queue, $"{guard.Overdue} guests are past their deadline and not thawed", "see the runbook, \"Guest frozen\""),
                { Unreadable: > 0 } => Diagnosis.Warning("guards", place.Queue, $"{guard.Unreadable} files among the leases are none", "see the runbook, \"Lease that cannot be read\""),
                _ => Diagnosis.Ok("guards", place.Queue, $"alive, {guard.Open} guests under a lease"),
            };
        }
        else
        {
            yield return facts.BackendProblem is { } problem
                ? Diagnosis.Error("drivers", place.Queue, problem, "correct Volume__Backends of that worker, or bring the back end up")
                : Diagnosis.Ok("drivers", place.Queue, "configured, and the back end can be used");
        }

        if (facts.Disk is { } disk)
        {
            yield return Judgement.Disk(place.Queue, disk);
        }
    }

    private static string Role(string queue) => queue == Names.ControlQueue ? "control worker" : queue.StartsWith("compute.", StringComparison.Ordinal) ? "compute worker of that host" : "volume worker of that back end";
}
