using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Attempts at workflow tasks that come to nothing: failed, timed out, never seen, or left on a sticky queue.</summary>
internal sealed partial class Run
{
    /// <summary>A worker, or the server itself, says that the task cannot be completed.</summary>
    /// <param name="work">The transition.</param>
    /// <param name="cause">The kind of failure.</param>
    /// <param name="failure">The failure itself.</param>
    /// <param name="identity">Who says so.</param>
    /// <param name="endOfRun">Why no other attempt can do better, so that the run is terminated; null for another attempt.</param>
    public void FailWorkflowTask(UnitOfWork work, WorkflowTaskFailedCause cause, Failure? failure, string identity, string? endOfRun = null)
    {
        var failed = new HistoryEvent
        {
            WorkflowTaskFailedEventAttributes = new WorkflowTaskFailedEventAttributes
            {
                ScheduledEventId = task.ScheduledEventId,
                StartedEventId = task.StartedEventId,
                Cause = cause,
                Failure = failure,
                Identity = identity,
            },
        };
        EndAttempt(work, failed, endOfRun);
    }

    public void FailWorkflowTask(UnitOfWork work, TaskToken token, RespondWorkflowTaskFailedRequest request)
    {
        RequireStartedTask(token);
        var failure = IsTooLarge(request.Failure) ? Failures.TooLarge("Failure") : request.Failure;
        // A worker whose answer is larger than any request may be would make the same answer again. Source: Temporal history service.
        FailWorkflowTask(work, request.Cause, failure, request.Identity, request.Cause is WorkflowTaskFailedCause.GrpcMessageTooLarge ? $"{request.Cause}" : null);
    }

    private void TimeOutWorkflowTask(UnitOfWork work) => EndAttempt(work, new HistoryEvent
    {
        WorkflowTaskTimedOutEventAttributes = new WorkflowTaskTimedOutEventAttributes
        {
            ScheduledEventId = task.ScheduledEventId,
            StartedEventId = task.StartedEventId,
            TimeoutType = TimeoutType.StartToClose,
        },
    });

    /// <summary>
    /// The poller died before it could see its task. A task whose start is in the history counts as timed out at once; any other is
    /// offered again as it was.
    /// </summary>
    public void TakeBackWorkflowTask(UnitOfWork work, ByteString unseenToken)
    {
        var unseen = TaskToken.Decode(unseenToken, TaskKind.Workflow);
        if (!IsOpen || !IsStartedAs(unseen))
        {
            return;
        }

        if (!task.IsUnwritten)
        {
            TimeOutWorkflowTask(work);
            return;
        }

        task.Phase = WorkflowTaskPhase.Scheduled;
        task.StartedEventId = 0;
        task.StickyQueue = null;
        TakeBackQueries();
        TakeBackUpdates();
        work.Touch(this);
        OfferWorkflowTask(work);
    }

    /// <summary>Nobody took the task from the sticky queue: the worker that has the run in its cache is gone or busy.</summary>
    private void TimeOutStickyTask(UnitOfWork work)
    {
        Append(work, new HistoryEvent
        {
            WorkflowTaskTimedOutEventAttributes = new WorkflowTaskTimedOutEventAttributes
            {
                ScheduledEventId = task.ScheduledEventId,
                TimeoutType = TimeoutType.ScheduleToStart,
            },
        });
        stickyQueue = null;
        ScheduleWorkflowTask(work, 1);
    }

    /// <summary>The sticky queue is given up. A task waiting there is offered to the normal queue at once.</summary>
    public void LeaveStickyQueue(UnitOfWork work)
    {
        if (stickyQueue is null && task.StickyQueue is null)
        {
            return;
        }

        stickyQueue = null;
        work.Touch(this);
        if (task.Phase == WorkflowTaskPhase.Scheduled && task.StickyQueue is not null)
        {
            TimeOutStickyTask(work);
        }
    }

    public string? StickyQueue => stickyQueue;

    /// <summary>Only a first attempt is written to the history. Then whatever was buffered follows, and the next attempt or the end of the run.</summary>
    private void EndAttempt(UnitOfWork work, HistoryEvent e, string? endOfRun = null)
    {
        var attempt = task.Attempt;
        if (attempt == 1)
        {
            Append(work, e);
        }
        else
        {
            task.Phase = WorkflowTaskPhase.None;
            work.Touch(this);
        }

        stickyQueue = null;
        TakeBackQueries();
        TakeBackUpdates();
        var flushed = FlushBuffered(work);
        if (IsOpen && endOfRun is not null)
        {
            Terminate(work, endOfRun, null, "history-service");
        }
        else if (IsOpen)
        {
            ScheduleWorkflowTask(work, flushed ? 1 : attempt + 1);
        }
    }
}
