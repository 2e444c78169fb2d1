using System.Collections.Concurrent;
using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.Worker.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Workers that tell about themselves. Kept in memory only: each says the same again within a minute.</summary>
internal sealed partial class WorkflowService
{
    /// <summary>A worker that has been silent for this long is gone.</summary>
    private static readonly TimeSpan WorkerMemory = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<(string Namespace, string InstanceKey), (WorkerHeartbeat Heartbeat, DateTimeOffset At)> workers = new();

    public Task<RecordWorkerHeartbeatResponse> RecordWorkerHeartbeat(RecordWorkerHeartbeatRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var now = engine.RealTime.GetUtcNow();
        foreach (var heartbeat in request.WorkerHeartbeat)
        {
            workers[(request.Namespace, heartbeat.WorkerInstanceKey)] = (heartbeat, now);
        }

        foreach (var (key, (_, at)) in workers)
        {
            if (now - at > WorkerMemory)
            {
                workers.TryRemove(key, out _);
            }
        }

        return Task.FromResult(new RecordWorkerHeartbeatResponse());
    }

    public Task<ListWorkersResponse> ListWorkers(ListWorkersRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (request.Query.Length > 0)
        {
            throw new Fault(StatusCode.Unimplemented, "ListWorkers: temporal-dev does not implement filters over workers.");
        }

        var response = new ListWorkersResponse();
        foreach (var heartbeat in Known(request.Namespace))
        {
            response.WorkersInfo.Add(new WorkerInfo { WorkerHeartbeat = heartbeat });
            response.Workers.Add(Summary(heartbeat));
        }

        return Task.FromResult(response);
    }

    public Task<DescribeWorkerResponse> DescribeWorker(DescribeWorkerRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        return workers.TryGetValue((request.Namespace, request.WorkerInstanceKey), out var known)
            ? Task.FromResult(new DescribeWorkerResponse { WorkerInfo = new WorkerInfo { WorkerHeartbeat = known.Heartbeat } })
            : throw Fault.NotFound($"worker {request.WorkerInstanceKey} not found");
    }

    private IEnumerable<WorkerHeartbeat> Known(string @namespace) =>
        workers.Where(w => w.Key.Namespace == @namespace).Select(w => w.Value.Heartbeat).OrderBy(w => w.WorkerInstanceKey, StringComparer.Ordinal);

    private static WorkerListInfo Summary(WorkerHeartbeat heartbeat)
    {
        var info = new WorkerListInfo
        {
            WorkerInstanceKey = heartbeat.WorkerInstanceKey,
            WorkerIdentity = heartbeat.WorkerIdentity,
            TaskQueue = heartbeat.TaskQueue,
            SdkName = heartbeat.SdkName,
            SdkVersion = heartbeat.SdkVersion,
            Status = heartbeat.Status,
            StartTime = heartbeat.StartTime,
            HostName = heartbeat.HostInfo?.HostName ?? "",
            ProcessId = heartbeat.HostInfo?.ProcessId ?? "",
        };
        info.Plugins.Add(heartbeat.Plugins);
        return info;
    }
}
