using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Matching;

namespace SnapshotFlow.TemporalDev.Rpc;

internal sealed partial class WorkflowService
{
    public async Task<PollWorkflowTaskQueueResponse> PollWorkflowTaskQueue(PollWorkflowTaskQueueRequest request, ServerCallContext context)
    {
        var key = RequireQueue(request.Namespace, request.TaskQueue, TaskQueueType.Workflow);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey);
        var response = await PollAsync(
            key,
            poller,
            context,
            (work, offer) => offer.Run.StartWorkflowTask(work, offer, request.Identity, Guid.NewGuid().ToString()),
            (work, offer, unseen) => offer.Run.TakeBackWorkflowTask(work, unseen.TaskToken),
            offer => engine.ReadAsync(offer.Run, () => offer.Run.StartQuery(offer)));
        if (response is { Query: null } && request.TaskQueue.Kind == TaskQueueKind.Sticky)
        {
            response.BacklogCountHint = engine.Matching.Queue(key).BacklogCount;
        }

        return response ?? new PollWorkflowTaskQueueResponse();
    }

    public async Task<RespondWorkflowTaskCompletedResponse> RespondWorkflowTaskCompleted(RespondWorkflowTaskCompletedRequest request, ServerCallContext context)
    {
        var token = TaskToken.Decode(request.TaskToken, TaskKind.Workflow);
        var run = await engine.FindAsync(token);
        var response = await engine.TransitAsync(run, work => run.CompleteWorkflowTask(work, token, request));
        if (response.WorkflowTask is not null || response.ActivityTasks.Count > 0)
        {
            context.OnUndelivered(() => engine.TransitAsync(run, work => run.TakeBack(work, response)));
        }

        return response;
    }

    public async Task<RespondWorkflowTaskFailedResponse> RespondWorkflowTaskFailed(RespondWorkflowTaskFailedRequest request, ServerCallContext context)
    {
        var token = TaskToken.Decode(request.TaskToken, TaskKind.Workflow);
        var run = await engine.FindAsync(token);
        await engine.TransitAsync(run, work => run.FailWorkflowTask(work, token, request));
        return new RespondWorkflowTaskFailedResponse();
    }

    public async Task<RespondQueryTaskCompletedResponse> RespondQueryTaskCompleted(RespondQueryTaskCompletedRequest request, ServerCallContext context)
    {
        var token = TaskToken.Decode(request.TaskToken, TaskKind.Query);
        var run = await engine.FindAsync(token);
        await engine.TransitAsync(run, _ => run.AnswerQuery(token, request));
        return new RespondQueryTaskCompletedResponse();
    }

    public async Task<ResetStickyTaskQueueResponse> ResetStickyTaskQueue(ResetStickyTaskQueueRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        await OnRunAsync(request.Namespace, request.Execution, (work, run) => run.LeaveStickyQueue(work));
        return new ResetStickyTaskQueueResponse();
    }

    public async Task<ShutdownWorkerResponse> ShutdownWorker(ShutdownWorkerRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var sticky = request.StickyTaskQueue.Length > 0 ? new QueueKey(request.Namespace, request.StickyTaskQueue, TaskQueueType.Workflow) : (QueueKey?)null;
        engine.Matching.ShutDownWorker(request.WorkerInstanceKey, sticky);
        if (sticky is { } queue)
        {
            foreach (var chain in engine.Chains)
            {
                if (chain.Current is { IsOpen: true } run && run.StickyQueue == queue.Name)
                {
                    await engine.TransitAsync(chain, work =>
                    {
                        if (run.StickyQueue == queue.Name)
                        {
                            run.LeaveStickyQueue(work);
                        }
                    });
                }
            }
        }

        return new ShutdownWorkerResponse();
    }

    /// <summary>Takes tasks from a queue until one of them is still good, or the time is up.</summary>
    /// <param name="start">Starts the task in a transition of its run; null when it is not there any more.</param>
    /// <param name="takeBack">What happens to a started task that the caller did not get.</param>
    /// <param name="startQuery">The same as <paramref name="start"/> for a query, which changes nothing.</param>
    private async Task<T?> PollAsync<T>(
        QueueKey key,
        Poller poller,
        ServerCallContext context,
        Func<UnitOfWork, TaskOffer, T?> start,
        Action<UnitOfWork, TaskOffer, T> takeBack,
        Func<TaskOffer, Task<T?>>? startQuery = null)
        where T : class
    {
        var end = engine.RealTime.GetUtcNow() + LongPoll(context, LongestPoll);
        while (!context.CancellationToken.IsCancellationRequested)
        {
            var left = end - engine.RealTime.GetUtcNow();
            if (await engine.Matching.PollAsync(key, poller, start, left > TimeSpan.Zero ? left : TimeSpan.Zero, context.CancellationToken) is not { } match)
            {
                return null;
            }

            var offer = match.Offer;
            if (offer.Kind == TaskKind.Query)
            {
                if (await startQuery!(offer) is { } query)
                {
                    return query;
                }
            }
            else if (((T?)match.Started ?? await engine.TransitAsync(offer.Run, work => StartForPoll(work, offer))) is { } response)
            {
                context.OnUndelivered(() => engine.TransitAsync(offer.Run, work => takeBack(work, offer, response)));
                return response;
            }
        }

        return null;

        T? StartForPoll(UnitOfWork work, TaskOffer offer)
        {
            work.Hurry();
            return start(work, offer);
        }
    }

    private QueueKey RequireQueue(string @namespace, TaskQueueName? queue, TaskQueueType type)
    {
        RequireNamespace(@namespace);
        return string.IsNullOrEmpty(queue?.Name) ? throw Fault.Invalid("TaskQueue is not set on request.") : new QueueKey(@namespace, queue.Name, type);
    }
}
