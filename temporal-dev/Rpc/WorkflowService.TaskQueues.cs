using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.TaskQueue.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Task queues: who polls them and what waits in them.</summary>
internal sealed partial class WorkflowService
{
    public Task<DescribeTaskQueueResponse> DescribeTaskQueue(DescribeTaskQueueRequest request, ServerCallContext context)
    {
        var type = request.TaskQueueType == TaskQueueType.Unspecified ? TaskQueueType.Workflow : request.TaskQueueType;
        var key = RequireQueue(request.Namespace, request.TaskQueue, type);
        var view = engine.Matching.Queue(key).View();
        var response = new DescribeTaskQueueResponse();
        response.Pollers.Add(Pollers(view));
        if (request.ReportStats)
        {
            response.Stats = Stats(view);
            foreach (var (priority, backlog) in view.BacklogByPriority)
            {
                response.StatsByPriorityKey[priority] = new TaskQueueStats { ApproximateBacklogCount = backlog };
            }
        }

        if (request.IncludeTaskQueueStatus)
        {
            response.TaskQueueStatus = new TaskQueueStatus { BacklogCountHint = view.Backlog, RatePerSecond = view.RatePerSecond ?? 0 };
        }

        if (request.ApiMode == DescribeTaskQueueMode.Enhanced)
        {
            response.VersionsInfo[""] = DescribeUnversioned(request);
        }

        return Task.FromResult(response);
    }

    /// <summary>There are no versions here; the enhanced form asks for them, so everything is told of the unversioned queue.</summary>
    private TaskQueueVersionInfo DescribeUnversioned(DescribeTaskQueueRequest request)
    {
        var info = new TaskQueueVersionInfo();
        foreach (var type in request.TaskQueueTypes.Count > 0 ? request.TaskQueueTypes : [TaskQueueType.Workflow, TaskQueueType.Activity])
        {
            var view = engine.Matching.Queue(new QueueKey(request.Namespace, request.TaskQueue.Name, type)).View();
            var typeInfo = new TaskQueueTypeInfo { Stats = request.ReportStats ? Stats(view) : null };
            if (request.ReportPollers)
            {
                typeInfo.Pollers.Add(Pollers(view));
            }

            info.TypesInfo[(int)type] = typeInfo;
        }

        return info;
    }

    private static IEnumerable<PollerInfo> Pollers(QueueView view) => view.Pollers.Select(poller => new PollerInfo
    {
        Identity = poller.Poller.Identity,
        LastAccessTime = ProtoTime.Stamp(poller.LastAccess),
        RatePerSecond = poller.Poller.MaxTasksPerSecond ?? 100_000,
    });

    private static TaskQueueStats Stats(QueueView view) => new()
    {
        ApproximateBacklogCount = view.Backlog,
        ApproximateBacklogAge = ProtoTime.Length(view.BacklogAge),
    };
}
