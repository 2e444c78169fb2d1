using Temporalio.Api.Activity.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>What an operator does to activities by hand: pause, unpause, reset, other options.</summary>
internal sealed partial class Run
{
    /// <summary>The pending activities that a request means: one by id, all of a type, or all.</summary>
    public IReadOnlyList<PendingActivity> Select(string id, string type, bool all)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        var selected = activities.Values.Where(a => !a.Closing && (all || (id.Length > 0
            ? a.Scheduled.ActivityId == id
            : a.Scheduled.ActivityType.Name == type))).ToList();
        return selected.Count > 0 || all ? selected : throw ActivityNotFound();
    }

    /// <summary>A worker that has the activity learns it in its next heartbeat; no further attempt begins.</summary>
    public void Pause(UnitOfWork work, PendingActivity activity, string identity, string reason)
    {
        activity.Pause ??= new ActivityPause(work.Now, identity, reason);
        work.Touch(this);
    }

    public void Unpause(UnitOfWork work, PendingActivity activity, bool resetAttempts, bool resetHeartbeat)
    {
        if (activity.Pause is null)
        {
            return;
        }

        activity.Pause = null;
        if (resetAttempts)
        {
            activity.Attempt = 1;
        }

        if (resetHeartbeat)
        {
            activity.HeartbeatDetails = null;
        }

        work.Touch(this);
        if (activity.Phase != ActivityPhase.Started)
        {
            BeginNextAttempt(work, activity);
        }
    }

    /// <summary>
    /// The next attempt is the first again, and begins at once. While a worker still has the activity it stays paused if it is, and the worker hears of both.
    /// </summary>
    public void ResetActivity(UnitOfWork work, PendingActivity activity, bool resetHeartbeat, bool keepPaused, bool restoreOptions)
    {
        if (restoreOptions)
        {
            activity.Scheduled = activity.ScheduledEvent.ActivityTaskScheduledEventAttributes;
        }

        work.Touch(this);
        if (activity.Phase == ActivityPhase.Started)
        {
            activity.Reset = new ActivityReset(resetHeartbeat);
            return;
        }

        if (!keepPaused)
        {
            activity.Pause = null;
        }

        activity.Attempt = 1;
        activity.Sequence++;
        if (resetHeartbeat)
        {
            activity.HeartbeatDetails = null;
        }

        BeginNextAttempt(work, activity);
    }

    /// <summary>The changed options apply from the next attempt on, its timeouts also to this one.</summary>
    public ActivityOptions ChangeOptions(UnitOfWork work, PendingActivity activity, ActivityOptions? changes, FieldMask? mask, bool restore)
    {
        var changed = activity.ScheduledEvent.ActivityTaskScheduledEventAttributes;
        if (!restore)
        {
            var options = ActivityOptionsOf(activity);
            mask?.Merge(changes ?? new ActivityOptions(), options);
            changed = activity.Scheduled.Clone();
            changed.TaskQueue = options.TaskQueue;
            changed.ScheduleToCloseTimeout = options.ScheduleToCloseTimeout;
            changed.ScheduleToStartTimeout = options.ScheduleToStartTimeout;
            changed.StartToCloseTimeout = options.StartToCloseTimeout;
            changed.HeartbeatTimeout = options.HeartbeatTimeout;
            changed.RetryPolicy = RetryPolicyRules.WithDefaults(options.RetryPolicy);
            changed.Priority = options.Priority;
            if (RetryPolicyRules.FindFault(changed.RetryPolicy) is { } fault)
            {
                throw Fault.Invalid(fault);
            }
        }

        activity.Scheduled = changed;
        work.Touch(this);
        if (activity is { Phase: ActivityPhase.Scheduled, Pause: null })
        {
            OfferActivity(work, activity);
        }

        Arm();
        return ActivityOptionsOf(activity);
    }

    private static ActivityOptions ActivityOptionsOf(PendingActivity activity) => new()
    {
        TaskQueue = activity.Scheduled.TaskQueue.Clone(),
        ScheduleToCloseTimeout = activity.Scheduled.ScheduleToCloseTimeout,
        ScheduleToStartTimeout = activity.Scheduled.ScheduleToStartTimeout,
        StartToCloseTimeout = activity.Scheduled.StartToCloseTimeout,
        HeartbeatTimeout = activity.Scheduled.HeartbeatTimeout,
        RetryPolicy = activity.Scheduled.RetryPolicy.Clone(),
        Priority = activity.Scheduled.Priority,
    };
}
