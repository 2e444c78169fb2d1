using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

internal enum DeadlineKind
{
    /// <summary>The first workflow task of a delayed, retried or cron run.</summary>
    FirstTask,

    /// <summary>The run or execution timeout, whichever is earlier.</summary>
    Run,
    WorkflowTaskBackoff,
    WorkflowTaskScheduleToStart,
    WorkflowTaskStartToClose,
    Timer,
    ActivityScheduleToStart,
    ActivityScheduleToClose,
    ActivityStartToClose,
    ActivityHeartbeat,
    ActivityRetry,
}

/// <summary>Something that happens to a run by itself. It names a thing and its attempt; when it is due follows from the run's state.</summary>
internal readonly record struct Deadline(DeadlineKind Kind, long EventId = 0, int Attempt = 0, string? TimerId = null);

/// <summary>
/// Time in one run. The run has one alarm in the clock, set to its earliest deadline; deadlines that no longer apply, or
/// have moved (a heartbeat), are found out when they reach the top, so nothing is ever searched for and removed.
/// </summary>
internal sealed partial class Run
{
    private readonly PriorityQueue<Deadline, (DateTimeOffset Due, long Sequence)> deadlines = new();
    private long deadlineSequence;

    /// <summary>The time of the earliest deadline that still applies.</summary>
    public DateTimeOffset? NextDue()
    {
        while (deadlines.TryPeek(out var deadline, out var at))
        {
            var due = DueTime(deadline);
            if (due == at.Due)
            {
                return due;
            }

            deadlines.Dequeue();
            if (due is { } later)
            {
                deadlines.Enqueue(deadline, (later, ++deadlineSequence));
            }
        }

        return null;
    }

    /// <summary>How much work of this run holds virtual time still.</summary>
    public int Holds =>
        (task.Phase != WorkflowTaskPhase.None ? 1 : 0) + activities.Values.Count(a => a.HoldsTime) + outbox.Count;

    /// <summary>Everything that is due happens now, in order.</summary>
    public void RingAlarms(UnitOfWork work)
    {
        while (NextDue() is { } due && due <= work.Now)
        {
            Fire(work, deadlines.Dequeue());
            work.Touch(this);
        }

        work.Rung(this);
    }

    private void Arm(Deadline deadline)
    {
        if (DueTime(deadline) is { } due)
        {
            deadlines.Enqueue(deadline, (due, ++deadlineSequence));
        }
    }

    /// <summary>When the deadline is due; null when what it names is over.</summary>
    private DateTimeOffset? DueTime(Deadline deadline)
    {
        if (!IsOpen)
        {
            return null;
        }

        return deadline.Kind switch
        {
            DeadlineKind.FirstTask => firstTaskPending && ProtoTime.IsSet(Started.FirstWorkflowTaskBackoff) ? FirstTaskTime : null,
            DeadlineKind.Run => RunDeadline(),
            DeadlineKind.Timer => timers.TryGetValue(deadline.TimerId!, out var timer) && timer.StartedEventId == deadline.EventId && !timer.Fired
                ? timer.Due
                : null,
            DeadlineKind.WorkflowTaskBackoff or DeadlineKind.WorkflowTaskScheduleToStart or DeadlineKind.WorkflowTaskStartToClose =>
                WorkflowTaskDueTime(deadline),
            _ => activities.TryGetValue(deadline.EventId, out var activity) ? activity.DueTime(deadline) : null,
        };
    }

    private void Fire(UnitOfWork work, Deadline deadline)
    {
        switch (deadline.Kind)
        {
            case DeadlineKind.FirstTask:
                EndFirstTaskBackoff(work);
                break;
            case DeadlineKind.Run:
                TimeOut(work);
                break;
            case DeadlineKind.Timer:
                FireTimer(work, deadline.TimerId!);
                break;
            case DeadlineKind.WorkflowTaskBackoff:
                task.BackoffUntil = null;
                OfferWorkflowTask(work);
                break;
            case DeadlineKind.WorkflowTaskScheduleToStart:
                TimeOutStickyTask(work);
                break;
            case DeadlineKind.WorkflowTaskStartToClose:
                TimeOutWorkflowTask(work);
                break;
            case DeadlineKind.ActivityRetry:
                BeginNextAttempt(work, activities[deadline.EventId]);
                break;
            default:
                TimeOutActivity(work, activities[deadline.EventId], deadline.Kind);
                break;
        }
    }

    /// <summary>Source: Temporal: the run timeout counts from the first workflow task's time, the execution timeout is absolute.</summary>
    private DateTimeOffset? RunDeadline()
    {
        var run = ProtoTime.IsSet(Started.WorkflowRunTimeout)
            ? ProtoTime.Later(FirstTaskTime, ProtoTime.Span(Started.WorkflowRunTimeout))
            : (DateTimeOffset?)null;
        var execution = ProtoTime.InstantOrNull(Started.WorkflowExecutionExpirationTime);
        return run is null ? execution : execution is null || run < execution ? run : execution;
    }
}
