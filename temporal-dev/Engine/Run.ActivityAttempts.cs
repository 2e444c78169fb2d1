using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Attempts at activities: offered, started, taken back, timed out and retried by the server without a trace in the history.</summary>
internal sealed partial class Run
{
    private void OfferActivity(UnitOfWork work, PendingActivity activity)
    {
        var queue = new QueueKey(Chain.Namespace, activity.Scheduled.TaskQueue.Name, TaskQueueType.Activity);
        work.Offer(new TaskOffer(this, TaskKind.Activity, queue, activity.ScheduledEventId, activity.Sequence, activity.Scheduled.Priority?.PriorityKey ?? 0));
        Arm(new Deadline(DeadlineKind.ActivityScheduleToStart, activity.ScheduledEventId, activity.Sequence));
    }

    /// <summary>A worker asked for these at once, and it is there: it has just completed the workflow task.</summary>
    private void StartEagerActivities(Completion completion, RespondWorkflowTaskCompletedResponse response)
    {
        foreach (var activity in completion.Eager.Where(a => activities.ContainsKey(a.ScheduledEventId)))
        {
            response.ActivityTasks.Add(StartActivity(completion.Work, activity, completion.Request.Identity));
        }
    }

    /// <summary>Hands the activity out. Null when the offer is out of date.</summary>
    public PollActivityTaskQueueResponse? StartActivity(UnitOfWork work, TaskOffer offer, string identity) =>
        WaitingActivity(offer) is { } activity ? StartActivity(work, activity, identity) : null;

    private PendingActivity? WaitingActivity(TaskOffer offer) =>
        activities.TryGetValue(offer.EventId, out var activity) && activity is { Phase: ActivityPhase.Scheduled, Closing: false, Pause: null }
            && activity.Sequence == offer.Attempt && activity.Scheduled.TaskQueue.Name == offer.Queue.Name
            ? activity
            : null;

    private PollActivityTaskQueueResponse StartActivity(UnitOfWork work, PendingActivity activity, string identity)
    {
        activity.Phase = ActivityPhase.Started;
        activity.StartedTime = work.Now;
        activity.StartedIdentity = identity;
        activity.LastWorkerIdentity = identity;
        activity.StartRequestId = Guid.NewGuid().ToString();
        activity.LastHeartbeatTime = null;
        Arm(new Deadline(DeadlineKind.ActivityStartToClose, activity.ScheduledEventId, activity.Sequence));
        Arm(new Deadline(DeadlineKind.ActivityHeartbeat, activity.ScheduledEventId, activity.Sequence));
        work.Touch(this);
        var scheduled = activity.Scheduled;
        return new PollActivityTaskQueueResponse
        {
            TaskToken = new TaskToken(TaskKind.Activity, Key, activity.ScheduledEventId, activity.Sequence).Encode(),
            WorkflowNamespace = Chain.Namespace,
            WorkflowType = Started.WorkflowType,
            WorkflowExecution = ExecutionOf(this),
            ActivityType = scheduled.ActivityType,
            ActivityId = scheduled.ActivityId,
            Header = scheduled.Header,
            Input = scheduled.Input,
            HeartbeatDetails = activity.HeartbeatDetails,
            ScheduledTime = activity.ScheduledEvent.EventTime,
            CurrentAttemptScheduledTime = ProtoTime.Stamp(activity.AttemptScheduledTime),
            StartedTime = ProtoTime.Stamp(work.Now),
            Attempt = activity.Attempt,
            ScheduleToCloseTimeout = scheduled.ScheduleToCloseTimeout,
            StartToCloseTimeout = scheduled.StartToCloseTimeout,
            HeartbeatTimeout = scheduled.HeartbeatTimeout,
            RetryPolicy = scheduled.RetryPolicy,
            Priority = scheduled.Priority,
        };
    }

    /// <summary>A dead poller's activity: nobody has seen this attempt, so it is offered again as it was.</summary>
    public void TakeBackActivity(UnitOfWork work, ByteString unseenToken)
    {
        var unseen = TaskToken.Decode(unseenToken, TaskKind.Activity);
        if (activities.TryGetValue(unseen.EventId, out var activity) && activity.Phase == ActivityPhase.Started && activity.Sequence == unseen.Attempt && !activity.Closing)
        {
            activity.Phase = ActivityPhase.Scheduled;
            activity.StartedTime = null;
            work.Touch(this);
            OfferActivity(work, activity);
        }
    }

    /// <summary>The tasks that a completion's answer carried, when nobody has seen that answer.</summary>
    public void TakeBack(UnitOfWork work, RespondWorkflowTaskCompletedResponse unseen)
    {
        foreach (var activity in unseen.ActivityTasks)
        {
            TakeBackActivity(work, activity.TaskToken);
        }

        if (unseen.WorkflowTask is { } next)
        {
            TakeBackWorkflowTask(work, next.TaskToken);
        }
    }

    private void TimeOutActivity(UnitOfWork work, PendingActivity activity, DeadlineKind deadline)
    {
        var type = deadline switch
        {
            DeadlineKind.ActivityScheduleToStart => TimeoutType.ScheduleToStart,
            DeadlineKind.ActivityScheduleToClose => TimeoutType.ScheduleToClose,
            DeadlineKind.ActivityStartToClose => TimeoutType.StartToClose,
            _ => TimeoutType.Heartbeat,
        };
        var failure = Failures.ActivityTimeout(type, activity);
        RetryState? state = type switch
        {
            TimeoutType.ScheduleToStart => RetryState.NonRetryableFailure,
            TimeoutType.ScheduleToClose => RetryState.Timeout,
            _ => Retry(work, activity, failure),
        };
        if (state is null)
        {
            return;
        }

        if (activity.LastFailure is not null)
        {
            failure.Cause = activity.LastFailure;
        }

        Occur(work, new HistoryEvent
        {
            ActivityTaskTimedOutEventAttributes = new ActivityTaskTimedOutEventAttributes
            {
                Failure = failure,
                ScheduledEventId = activity.ScheduledEventId,
                RetryState = state.Value,
            },
        });
    }

    /// <summary>Prepares the next attempt. Returns null if there will be one, otherwise why not.</summary>
    private RetryState? Retry(UnitOfWork work, PendingActivity activity, Failure failure)
    {
        if (activity.IsCancelRequested)
        {
            return failure.ApplicationFailureInfo?.NonRetryable == true ? RetryState.NonRetryableFailure : RetryState.CancelRequested;
        }

        var (next, state) = RetryPolicyRules.Decide(activity.Scheduled.RetryPolicy, activity.Attempt, failure, work.Now, activity.ScheduleToCloseDeadline);
        if (state != RetryState.NonRetryableFailure && (activity.Pause is not null || activity.Reset is not null))
        {
            // What an operator has paused or reset gets another attempt, however many it has had.
            next ??= work.Now;
        }

        if (next is null)
        {
            return state;
        }

        activity.Phase = ActivityPhase.Backoff;
        activity.Attempt = activity.Reset is null ? activity.Attempt + 1 : 1;
        activity.Sequence++;
        if (activity.Reset is { ForgetsHeartbeat: true })
        {
            activity.HeartbeatDetails = null;
        }

        activity.Reset = null;
        activity.LastFailure = failure;
        activity.LastAttemptCompleteTime = work.Now;
        activity.NextAttemptTime = next;
        activity.StartedTime = null;
        work.Touch(this);
        if (next <= work.Now)
        {
            BeginNextAttempt(work, activity);
        }
        else
        {
            Arm(new Deadline(DeadlineKind.ActivityRetry, activity.ScheduledEventId, activity.Sequence));
        }

        return null;
    }

    private void BeginNextAttempt(UnitOfWork work, PendingActivity activity)
    {
        activity.Phase = ActivityPhase.Scheduled;
        activity.AttemptScheduledTime = work.Now;
        activity.NextAttemptTime = null;
        work.Touch(this);
        if (activity.Pause is null)
        {
            OfferActivity(work, activity);
        }
    }
}
