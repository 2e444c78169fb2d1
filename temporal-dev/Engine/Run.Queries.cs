using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Query.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>A query that waits for its answer. Queries live in memory only: the caller's own deadline ends a lost one.</summary>
internal sealed class PendingQuery(string id, WorkflowQuery query)
    : TaskCompletionSource<QueryWorkflowResponse>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public string Id { get; } = id;

    public WorkflowQuery Query { get; } = query;

    /// <summary>Sent with the started workflow task; its completion brings the answer.</summary>
    public bool IsAttached { get; set; }

    /// <summary>In a task queue, or with a worker, as a task of its own.</summary>
    public bool IsDispatched { get; set; }

    public void Fail(string message, Failure? failure) =>
        TrySetException(new Fault(StatusCode.InvalidArgument, message, new QueryFailedFailure { Failure = failure }));
}

/// <summary>Queries: with a workflow task when there is one, so that they see what it does; otherwise as a task of their own.</summary>
internal sealed partial class Run
{
    /// <summary>How long a query may go unanswered on a sticky queue before the worker there is given up.</summary>
    private static readonly TimeSpan StickyQueryPatience = TimeSpan.FromSeconds(5);

    /// <summary>Source: Temporal, common.FailureReason and query validation.</summary>
    private const string QueryResultTooLarge = "Query result size exceeds limit.";

    /// <summary>From this attempt of a workflow task on, its workflow counts as failing and is not queried. Source: Temporal history service.</summary>
    private const int FailedTaskAttempt = 3;

    private readonly Dictionary<string, PendingQuery> queries = new(StringComparer.Ordinal);

    /// <param name="work">The transition.</param>
    /// <param name="query">What is asked.</param>
    /// <param name="until">When the caller gives up.</param>
    public PendingQuery Ask(UnitOfWork work, WorkflowQuery query, DateTimeOffset until)
    {
        // Not where time may be skipped: there a delay is over whenever somebody waits for it.
        if (IsDelayed && FirstTaskTime > until && !Engine.Clock.CanSkip)
        {
            throw new Fault(StatusCode.FailedPrecondition, "Workflow task is not scheduled yet.", new WorkflowNotReadyFailure());
        }

        if (!IsOpen && PreviousStartedEventId == 0)
        {
            throw new Fault(StatusCode.FailedPrecondition, "Workflow closed before a worker has run it; it cannot be queried.", new WorkflowNotReadyFailure());
        }

        if (task.Phase != WorkflowTaskPhase.None && task.Attempt >= FailedTaskAttempt)
        {
            throw new Fault(StatusCode.FailedPrecondition, "Cannot query workflow due to Workflow Task in failed state.", new WorkflowNotReadyFailure());
        }

        var pending = new PendingQuery(Guid.NewGuid().ToString(), query);
        queries.Add(pending.Id, pending);
        DispatchQueries(work);
        return pending;
    }

    /// <summary>The caller has gone.</summary>
    public void Forget(PendingQuery query) => queries.Remove(query.Id);

    /// <summary>Sends the waiting queries as tasks of their own, unless a workflow task is there to carry them.</summary>
    private void DispatchQueries(UnitOfWork work)
    {
        if (queries.Count == 0 || task.Phase != WorkflowTaskPhase.None || PreviousStartedEventId == 0)
        {
            return;
        }

        foreach (var query in queries.Values.Where(q => q is { IsAttached: false, IsDispatched: false }))
        {
            query.IsDispatched = true;
            OfferQuery(work, query);
        }
    }

    private void OfferQuery(UnitOfWork work, PendingQuery query)
    {
        var sticky = stickyQueue is not null && Engine.Matching.IsStickyAlive(WorkflowQueue(stickyQueue)) ? stickyQueue : null;
        work.Offer(new TaskOffer(this, TaskKind.Query, WorkflowQueue(sticky ?? NormalQueue), 0, 0) { QueryId = query.Id });
        if (sticky is not null)
        {
            work.AfterCommit(() => Engine.InBackground(() => ResendUnansweredAsync(query)));
        }
    }

    /// <summary>A worker that has not answered by then may have lost the query, or be lost itself: like the official server, send it to whoever works on the queue.</summary>
    private async Task ResendUnansweredAsync(PendingQuery query)
    {
        await Task.Delay(StickyQueryPatience, Engine.RealTime);
        await Engine.TransitAsync(Chain, work =>
        {
            if (queries.ContainsKey(query.Id))
            {
                LeaveStickyQueue(work);
                OfferQuery(work, query);
            }
        });
    }

    /// <summary>Hands a query out as a task of its own. Null when it is answered or its caller has gone.</summary>
    public PollWorkflowTaskQueueResponse? StartQuery(TaskOffer offer)
    {
        if (!queries.TryGetValue(offer.QueryId!, out var query))
        {
            return null;
        }

        var response = new PollWorkflowTaskQueueResponse
        {
            TaskToken = new TaskToken(TaskKind.Query, Key, 0, 0, query.Id).Encode(),
            WorkflowExecution = ExecutionOf(this),
            WorkflowType = Started.WorkflowType,
            PreviousStartedEventId = PreviousStartedEventId,
            StartedEventId = PreviousStartedEventId,
            Attempt = 1,
            WorkflowExecutionTaskQueue = new TaskQueueName { Name = NormalQueue, Kind = TaskQueueKind.Normal },
            ScheduledTime = ProtoTime.Stamp(Engine.Clock.GetUtcNow()),
            StartedTime = ProtoTime.Stamp(Engine.Clock.GetUtcNow()),
            History = new History(),
            Query = query.Query,
        };
        if (offer.Queue.Name == NormalQueue)
        {
            response.NextPageToken = new HistoryPage(0, HistoryPage.TaskPageSize).Fill(this, response.History, withTransientTask: false);
        }

        return response;
    }

    public void AnswerQuery(TaskToken token, RespondQueryTaskCompletedRequest answer)
    {
        if (!queries.Remove(token.Id, out var query))
        {
            throw Fault.NotFound("query task not found, or already expired");
        }

        if (IsTooLarge(answer.QueryResult))
        {
            query.Fail(QueryResultTooLarge, null);
        }
        else if (answer.CompletedType == QueryResultType.Answered)
        {
            query.TrySetResult(new QueryWorkflowResponse { QueryResult = answer.QueryResult });
        }
        else
        {
            query.Fail(answer.ErrorMessage, answer.Failure);
        }
    }

    private void AttachQueries(PollWorkflowTaskQueueResponse response)
    {
        foreach (var query in queries.Values.Where(q => !q.IsDispatched))
        {
            query.IsAttached = true;
            response.Queries.Add(query.Id, query.Query);
        }
    }

    /// <summary>The task failed: its queries go with the next one.</summary>
    private void TakeBackQueries()
    {
        foreach (var query in queries.Values)
        {
            query.IsAttached = false;
        }
    }

    /// <summary>What the completion does not answer stays and is sent again.</summary>
    private void AnswerQueries(UnitOfWork work, IDictionary<string, WorkflowQueryResult> results)
    {
        foreach (var (id, result) in results)
        {
            if (!queries.Remove(id, out var query))
            {
                continue;
            }

            if (IsTooLarge(result.Answer))
            {
                work.AfterCommit(() => query.Fail(QueryResultTooLarge, null));
            }
            else if (result.ResultType == QueryResultType.Answered)
            {
                work.AfterCommit(() => query.TrySetResult(new QueryWorkflowResponse { QueryResult = result.Answer }));
            }
            else
            {
                work.AfterCommit(() => query.Fail(result.ErrorMessage, result.Failure));
            }
        }

        TakeBackQueries();
    }
}
