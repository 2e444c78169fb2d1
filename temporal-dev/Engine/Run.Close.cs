using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>How a run ends, and what its end means for others.</summary>
internal sealed partial class Run
{
    private static WorkflowExecutionStatus? ClosingStatus(HistoryEvent e) => e.AttributesCase switch
    {
        HistoryEvent.AttributesOneofCase.WorkflowExecutionCompletedEventAttributes => WorkflowExecutionStatus.Completed,
        HistoryEvent.AttributesOneofCase.WorkflowExecutionFailedEventAttributes => WorkflowExecutionStatus.Failed,
        HistoryEvent.AttributesOneofCase.WorkflowExecutionCanceledEventAttributes => WorkflowExecutionStatus.Canceled,
        HistoryEvent.AttributesOneofCase.WorkflowExecutionTerminatedEventAttributes => WorkflowExecutionStatus.Terminated,
        HistoryEvent.AttributesOneofCase.WorkflowExecutionTimedOutEventAttributes => WorkflowExecutionStatus.TimedOut,
        HistoryEvent.AttributesOneofCase.WorkflowExecutionContinuedAsNewEventAttributes => WorkflowExecutionStatus.ContinuedAsNew,
        _ => null,
    };

    private void Complete(Completion completion, Command command)
    {
        var result = command.CompleteWorkflowExecutionCommandAttributes.Result;
        var next = NextCronRun(completion.Work, result, null);
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            WorkflowExecutionCompletedEventAttributes = new WorkflowExecutionCompletedEventAttributes
            {
                Result = result,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                NewExecutionRunId = next?.RunId ?? "",
            },
        });
        Close(completion.Work, e, next);
    }

    private void Fail(Completion completion, Command command)
    {
        var failure = command.FailWorkflowExecutionCommandAttributes.Failure;
        var (next, state) = NextRetryRun(completion.Work, failure);
        next ??= NextCronRun(completion.Work, Started.LastCompletionResult, failure);
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            WorkflowExecutionFailedEventAttributes = new WorkflowExecutionFailedEventAttributes
            {
                Failure = failure,
                RetryState = state,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                NewExecutionRunId = next?.RunId ?? "",
            },
        });
        Close(completion.Work, e, next);
    }

    private void Cancel(Completion completion, Command command)
    {
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            WorkflowExecutionCanceledEventAttributes = new WorkflowExecutionCanceledEventAttributes
            {
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                Details = command.CancelWorkflowExecutionCommandAttributes.Details,
            },
        });
        Close(completion.Work, e, null);
    }

    /// <param name="resetTo">The run that takes over; children and parent then stay with it.</param>
    public void Terminate(
        UnitOfWork work, string reason, Payloads? details, string identity, IEnumerable<Link>? links = null, Run? resetTo = null)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        EndStartedTask(work, identity);
        var e = new HistoryEvent
        {
            WorkflowExecutionTerminatedEventAttributes = new WorkflowExecutionTerminatedEventAttributes
            {
                Reason = reason,
                Details = details,
                Identity = identity,
            },
        };
        e.Links.Add(links ?? []);
        Append(work, e);
        if (resetTo is not null)
        {
            openChildren.Clear();
        }

        Close(work, e, null, tellsParent: resetTo is null);
    }

    /// <summary>The run timeout or the execution timeout has come. Only the former leaves room for a retry.</summary>
    private void TimeOut(UnitOfWork work)
    {
        EndStartedTask(work, "");
        var (next, state) = NextRetryRun(work, Failures.WorkflowTimeout());
        next ??= NextCronRun(work, Started.LastCompletionResult, Failures.WorkflowTimeout());
        Close(work, Append(work, new HistoryEvent
        {
            WorkflowExecutionTimedOutEventAttributes = new WorkflowExecutionTimedOutEventAttributes
            {
                RetryState = state,
                NewExecutionRunId = next?.RunId ?? "",
            },
        }), next);
    }

    /// <summary>The run ends while a worker has its task: the task fails, and what was buffered is written before the close.</summary>
    private void EndStartedTask(UnitOfWork work, string identity)
    {
        if (task is { IsSpeculative: true, Phase: WorkflowTaskPhase.Scheduled })
        {
            // Nobody has seen it, and the history has not either.
            task.IsSpeculative = false;
            task.Phase = WorkflowTaskPhase.None;
        }

        if (task.Phase == WorkflowTaskPhase.Started)
        {
            if (!task.IsTransient)
            {
                Append(work, new HistoryEvent
                {
                    WorkflowTaskFailedEventAttributes = new WorkflowTaskFailedEventAttributes
                    {
                        ScheduledEventId = task.ScheduledEventId,
                        StartedEventId = task.StartedEventId,
                        Cause = WorkflowTaskFailedCause.ForceCloseCommand,
                        Identity = identity,
                    },
                });
            }

            task.Phase = WorkflowTaskPhase.None;
            FlushBuffered(work);
        }
    }

    /// <summary>The close event is written. What remains is what others are owed.</summary>
    private void Close(UnitOfWork work, HistoryEvent close, NewRun? next, bool tellsParent = true)
    {
        if (next is not null)
        {
            var run = Begin(work, Engine, Chain, next);
            MoveUpdatesTo(work, run);
        }
        else if (tellsParent && Started.ParentWorkflowExecution is not null)
        {
            Emit(work, new Effect(EffectKind.NotifyParent, close.EventId));
        }

        foreach (var child in openChildren)
        {
            Emit(work, new Effect(EffectKind.ApplyParentClosePolicy, child.InitiatedEvent.EventId, child.Execution?.RunId ?? ""));
        }

        openChildren.Clear();
        CloseUpdates(work);
        DispatchQueries(work);
        var closed = new ClosedRun(Key, FirstRunId, Status, close, next?.RunId);
        Use();
        work.AfterCommit(() => Engine.NoteClosed(this));
        work.AnnounceAfterCommit(() => Engine.Announce(closed));
    }

    private readonly List<PendingChild> openChildren = [];

    private void ApplyClosed(HistoryEvent e, WorkflowExecutionStatus status)
    {
        Status = status;
        CloseTime = ProtoTime.Instant(e.EventTime);
        visibilityChanged = true;
        task.Phase = WorkflowTaskPhase.None;
        stickyQueue = null;
        openChildren.AddRange(children.Values.Where(c => !c.Closing && c.Initiated.ParentClosePolicy != ParentClosePolicy.Abandon));
        AbandonUpdates();
        activities.Clear();
        timers.Clear();
        children.Clear();
        buffered.Clear();
        deadlines.Clear();
        outbox.RemoveAll(o => o.Kind == EffectKind.StartChild && Event(o.EventId).StartChildWorkflowExecutionInitiatedEventAttributes.ParentClosePolicy != ParentClosePolicy.Abandon);
    }
}

/// <summary>A run has closed, for those who wait for it.</summary>
/// <param name="NextRunId">The run that continues it (as new, as a retry, or by cron), or null.</param>
internal sealed record ClosedRun(Store.RunKey Key, string FirstRunId, WorkflowExecutionStatus Status, HistoryEvent Close, string? NextRunId);
