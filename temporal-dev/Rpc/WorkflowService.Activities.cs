using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Matching;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Activity tasks: with the token of an attempt, or by id when somebody else finishes the activity.</summary>
internal sealed partial class WorkflowService
{
    public async Task<PollActivityTaskQueueResponse> PollActivityTaskQueue(PollActivityTaskQueueRequest request, ServerCallContext context)
    {
        var key = RequireQueue(request.Namespace, request.TaskQueue, TaskQueueType.Activity);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey, request.TaskQueueMetadata?.MaxTasksPerSecond);
        return await PollAsync(
            key,
            poller,
            context,
            (work, offer) => offer.Run.StartActivity(work, offer, request.Identity),
            (work, offer, unseen) => offer.Run.TakeBackActivity(work, unseen.TaskToken)) ?? new PollActivityTaskQueueResponse();
    }

    public async Task<RespondActivityTaskCompletedResponse> RespondActivityTaskCompleted(RespondActivityTaskCompletedRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.TaskToken, (work, run, activity) =>
            run.CompleteActivity(work, activity, request.Result, request.Identity, request.WorkerVersion));
        return new RespondActivityTaskCompletedResponse();
    }

    public async Task<RespondActivityTaskCompletedByIdResponse> RespondActivityTaskCompletedById(
        RespondActivityTaskCompletedByIdRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId, (work, run, activity) =>
            run.CompleteActivity(work, activity, request.Result, request.Identity, null));
        return new RespondActivityTaskCompletedByIdResponse();
    }

    public async Task<RespondActivityTaskFailedResponse> RespondActivityTaskFailed(RespondActivityTaskFailedRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.TaskToken, (work, run, activity) =>
            run.FailActivity(work, activity, request.Failure, request.Identity, request.LastHeartbeatDetails));
        return new RespondActivityTaskFailedResponse();
    }

    public async Task<RespondActivityTaskFailedByIdResponse> RespondActivityTaskFailedById(RespondActivityTaskFailedByIdRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId, (work, run, activity) =>
            run.FailActivity(work, activity, request.Failure, request.Identity, request.LastHeartbeatDetails));
        return new RespondActivityTaskFailedByIdResponse();
    }

    public async Task<RespondActivityTaskCanceledResponse> RespondActivityTaskCanceled(RespondActivityTaskCanceledRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.TaskToken, (work, run, activity) =>
            run.ReportActivityCanceled(work, activity, request.Details, request.Identity));
        return new RespondActivityTaskCanceledResponse();
    }

    public async Task<RespondActivityTaskCanceledByIdResponse> RespondActivityTaskCanceledById(
        RespondActivityTaskCanceledByIdRequest request, ServerCallContext context)
    {
        await OnActivityAsync(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId, (work, run, activity) =>
            run.ReportActivityCanceled(work, activity, request.Details, request.Identity));
        return new RespondActivityTaskCanceledByIdResponse();
    }

    public async Task<RecordActivityTaskHeartbeatResponse> RecordActivityTaskHeartbeat(RecordActivityTaskHeartbeatRequest request, ServerCallContext context)
    {
        var response = new RecordActivityTaskHeartbeatResponse();
        await OnActivityAsync(request.TaskToken, (work, run, activity) =>
        {
            response.CancelRequested = !run.Heartbeat(work, activity, request.Details, request.Identity) || activity.IsCancelRequested;
            response.ActivityPaused = activity.Pause is not null;
            response.ActivityReset = activity.Reset is not null;
        });
        return response;
    }

    public async Task<RecordActivityTaskHeartbeatByIdResponse> RecordActivityTaskHeartbeatById(
        RecordActivityTaskHeartbeatByIdRequest request, ServerCallContext context)
    {
        var response = new RecordActivityTaskHeartbeatByIdResponse();
        await OnActivityAsync(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId, (work, run, activity) =>
        {
            response.CancelRequested = !run.Heartbeat(work, activity, request.Details, request.Identity) || activity.IsCancelRequested;
            response.ActivityPaused = activity.Pause is not null;
            response.ActivityReset = activity.Reset is not null;
        });
        return response;
    }

    private async Task OnActivityAsync(ByteString taskToken, Action<UnitOfWork, Run, PendingActivity> transition)
    {
        var token = TaskToken.Decode(taskToken, TaskKind.Activity);
        var run = await engine.FindAsync(token);
        await engine.TransitAsync(run, work => transition(work, run, run.RequireActivity(token)));
    }

    private async Task OnActivityAsync(
        string @namespace, string workflowId, string runId, string activityId, Action<UnitOfWork, Run, PendingActivity> transition)
    {
        RequireNamespace(@namespace);
        if (activityId.Length == 0)
        {
            throw Fault.Invalid("ActivityID is not set on request.");
        }

        var execution = new WorkflowExecution { WorkflowId = workflowId, RunId = runId };
        await OnRunAsync(@namespace, execution, (work, run) => transition(work, run, run.RequireActivity(activityId)));
    }
}
