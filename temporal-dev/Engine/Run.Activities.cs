using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Activities: scheduled by the workflow, attempted by workers, retried by the server without a trace in the history.</summary>
internal sealed partial class Run
{
    private readonly Dictionary<long, PendingActivity> activities = [];

    public int PendingActivityCount => activities.Count;

    public bool HasActivity(string activityId) => activities.Values.Any(a => a.Scheduled.ActivityId == activityId);

    public bool WasActivityScheduled(long scheduledEventId) =>
        scheduledEventId > 0 && scheduledEventId <= history.Count && Event(scheduledEventId).EventType == EventType.ActivityTaskScheduled;

    private void ScheduleActivity(Completion completion, Command command)
    {
        var asked = command.ScheduleActivityTaskCommandAttributes;
        var attributes = new ActivityTaskScheduledEventAttributes
        {
            ActivityId = asked.ActivityId,
            ActivityType = asked.ActivityType,
            TaskQueue = new TaskQueueName { Name = asked.TaskQueue?.Name is { Length: > 0 } name ? name : NormalQueue, Kind = TaskQueueKind.Normal },
            Header = asked.Header,
            Input = asked.Input,
            WorkflowTaskCompletedEventId = completion.CompletedEventId,
            RetryPolicy = RetryPolicyRules.WithDefaults(asked.RetryPolicy),
            UseWorkflowBuildId = asked.UseWorkflowBuildId,
            Priority = MergePriority(asked.Priority),
        };
        SetTimeouts(attributes, asked);
        var e = AppendFrom(completion, command, new HistoryEvent { ActivityTaskScheduledEventAttributes = attributes });
        var activity = activities[e.EventId];
        Arm(new Deadline(DeadlineKind.ActivityScheduleToClose, e.EventId));
        if (asked.RequestEagerExecution && attributes.TaskQueue.Name == NormalQueue)
        {
            completion.Eager.Add(activity);
        }
        else
        {
            OfferActivity(completion.Work, activity);
        }
    }

    /// <summary>Source: Temporal, activity timeout defaults: a missing one follows from the others, none outlives the run.</summary>
    private void SetTimeouts(ActivityTaskScheduledEventAttributes attributes, ScheduleActivityTaskCommandAttributes asked)
    {
        var run = Started.WorkflowRunTimeout;
        var close = asked.ScheduleToCloseTimeout;
        if (ProtoTime.IsSet(close))
        {
            attributes.ScheduleToCloseTimeout = Shorter(close, run);
            attributes.ScheduleToStartTimeout = Shorter(ProtoTime.IsSet(asked.ScheduleToStartTimeout) ? asked.ScheduleToStartTimeout : close, attributes.ScheduleToCloseTimeout);
            attributes.StartToCloseTimeout = Shorter(ProtoTime.IsSet(asked.StartToCloseTimeout) ? asked.StartToCloseTimeout : close, attributes.ScheduleToCloseTimeout);
        }
        else
        {
            attributes.ScheduleToCloseTimeout = run ?? new Duration();
            attributes.ScheduleToStartTimeout = ProtoTime.IsSet(asked.ScheduleToStartTimeout) ? Shorter(asked.ScheduleToStartTimeout, run) : run ?? new Duration();
            attributes.StartToCloseTimeout = Shorter(asked.StartToCloseTimeout, run);
        }

        attributes.HeartbeatTimeout = ProtoTime.IsSet(asked.HeartbeatTimeout)
            ? Shorter(asked.HeartbeatTimeout, attributes.StartToCloseTimeout)
            : new Duration();
    }

    private static Duration Shorter(Duration asked, Duration? limit) =>
        ProtoTime.IsSet(limit) && ProtoTime.Span(limit) < ProtoTime.Span(asked) ? limit! : asked;

    /// <summary>Field by field: what the command leaves out comes from the workflow. Source: Temporal, priority inheritance.</summary>
    private Priority? MergePriority(Priority? own)
    {
        if (own is null || Started.Priority is null)
        {
            return own ?? Started.Priority;
        }

        return new Priority
        {
            PriorityKey = own.PriorityKey > 0 ? own.PriorityKey : Started.Priority.PriorityKey,
            FairnessKey = own.FairnessKey.Length > 0 ? own.FairnessKey : Started.Priority.FairnessKey,
            FairnessWeight = own.FairnessWeight > 0 ? own.FairnessWeight : Started.Priority.FairnessWeight,
        };
    }

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

    public PendingActivity RequireActivity(TaskToken token)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        return activities.TryGetValue(token.EventId, out var activity) && activity is { Phase: ActivityPhase.Started, Closing: false } && activity.Sequence == token.Attempt
            ? activity
            : throw ActivityNotFound();
    }

    /// <summary>By its id, also when no worker has it: that is how an operator closes an activity by hand.</summary>
    public PendingActivity RequireActivity(string activityId)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        return activities.Values.FirstOrDefault(a => a.Scheduled.ActivityId == activityId && !a.Closing) ?? throw ActivityNotFound();
    }

    private static Fault ActivityNotFound() =>
        Fault.NotFound("invalid activityID or activity already timed out or invoking workflow is completed");

    public void CompleteActivity(UnitOfWork work, PendingActivity activity, Payloads? result, string identity, WorkerVersionStamp? worker)
    {
        if (IsTooLarge(result))
        {
            FailActivity(work, activity, Failures.TooLarge("Complete result"), identity, null);
            return;
        }

        Occur(work, new HistoryEvent
        {
            ActivityTaskCompletedEventAttributes = new ActivityTaskCompletedEventAttributes
            {
                Result = result,
                ScheduledEventId = activity.ScheduledEventId,
                Identity = identity,
                WorkerVersion = worker,
            },
        });
    }

    public void FailActivity(UnitOfWork work, PendingActivity activity, Failure? failure, string identity, Payloads? lastHeartbeat)
    {
        failure ??= new Failure { Message = "activity failed", ServerFailureInfo = new ServerFailureInfo() };
        if (IsTooLarge(failure))
        {
            failure = Failures.TooLarge("Failure", nonRetryable: false);
        }

        if (IsTooLarge(lastHeartbeat))
        {
            failure = Failures.TooLarge("Heartbeat details");
        }
        else if (lastHeartbeat is not null)
        {
            activity.HeartbeatDetails = lastHeartbeat;
            activity.LastHeartbeatTime = work.Now;
        }

        if (Retry(work, activity, failure) is { } state)
        {
            Occur(work, new HistoryEvent
            {
                ActivityTaskFailedEventAttributes = new ActivityTaskFailedEventAttributes
                {
                    Failure = failure,
                    ScheduledEventId = activity.ScheduledEventId,
                    Identity = identity,
                    RetryState = state,
                },
            });
        }
    }

    /// <summary>Legal only after the workflow has asked for the cancellation.</summary>
    public void ReportActivityCanceled(UnitOfWork work, PendingActivity activity, Payloads? details, string identity)
    {
        if (!activity.IsCancelRequested)
        {
            throw Fault.Invalid("ActivityTask is not cancel requested.");
        }

        if (IsTooLarge(details))
        {
            FailActivity(work, activity, Failures.TooLarge("Cancel details"), identity, null);
            return;
        }

        CloseCanceled(work, activity, details, identity);
    }

    /// <summary>False when the details are over the size limit: the activity has failed with that, and its worker should stop.</summary>
    public bool Heartbeat(UnitOfWork work, PendingActivity activity, Payloads? details, string identity)
    {
        if (IsTooLarge(details))
        {
            FailActivity(work, activity, Failures.TooLarge("Heartbeat details"), identity, null);
            return false;
        }

        activity.LastHeartbeatTime = work.Now;
        activity.HeartbeatDetails = details;
        work.Touch(this);
        return true;
    }

    private bool IsTooLarge(IMessage? blob) => blob is not null && blob.CalculateSize() > Engine.Options.BlobSizeLimit;

    private void RequestCancelActivity(Completion completion, Command command)
    {
        var scheduledEventId = command.RequestCancelActivityTaskCommandAttributes.ScheduledEventId;
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            ActivityTaskCancelRequestedEventAttributes = new ActivityTaskCancelRequestedEventAttributes
            {
                ScheduledEventId = scheduledEventId,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
            },
        });
        if (!activities.TryGetValue(scheduledEventId, out var activity) || activity.Closing)
        {
            return;
        }

        if (activity.Phase != ActivityPhase.Started)
        {
            Settle(completion.Work, Canceled(activity, null, completion.Request.Identity));
            completion.NeedsTask = true;
        }
    }

    private void CloseCanceled(UnitOfWork work, PendingActivity activity, Payloads? details, string identity) =>
        Occur(work, Canceled(activity, details, identity));

    private static HistoryEvent Canceled(PendingActivity activity, Payloads? details, string identity) => new()
    {
        ActivityTaskCanceledEventAttributes = new ActivityTaskCanceledEventAttributes
        {
            Details = details,
            LatestCancelRequestedEventId = activity.CancelRequestedEventId,
            ScheduledEventId = activity.ScheduledEventId,
            Identity = identity,
        },
    };

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

    private PendingActivity? ActivityClosedBy(HistoryEvent e)
    {
        var scheduledEventId = e.ActivityTaskCompletedEventAttributes?.ScheduledEventId
            ?? e.ActivityTaskFailedEventAttributes?.ScheduledEventId
            ?? e.ActivityTaskTimedOutEventAttributes?.ScheduledEventId
            ?? e.ActivityTaskCanceledEventAttributes?.ScheduledEventId
            ?? 0;
        return activities.GetValueOrDefault(scheduledEventId);
    }

    /// <summary>The started event is written only now, when the activity closes, immediately before the closing event.</summary>
    private void WriteActivityStarted(UnitOfWork work, PendingActivity activity, HistoryEvent closing)
    {
        // Completed by id while no worker had it: the history still needs a started event.
        var byHand = activity.Phase != ActivityPhase.Started && (EventTypes.Of(closing) is EventType.ActivityTaskCompleted or EventType.ActivityTaskFailed);
        if (activity.Phase != ActivityPhase.Started && !byHand)
        {
            return;
        }

        var started = Append(work, new HistoryEvent
        {
            EventTime = ProtoTime.Stamp(activity.StartedTime ?? work.Now),
            ActivityTaskStartedEventAttributes = new ActivityTaskStartedEventAttributes
            {
                ScheduledEventId = activity.ScheduledEventId,
                Identity = activity.StartedIdentity,
                RequestId = activity.StartRequestId,
                Attempt = activity.Attempt,
                LastFailure = activity.LastFailure,
            },
        });
        switch (closing.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.ActivityTaskCompletedEventAttributes:
                closing.ActivityTaskCompletedEventAttributes.StartedEventId = started.EventId;
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskFailedEventAttributes:
                closing.ActivityTaskFailedEventAttributes.StartedEventId = started.EventId;
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskTimedOutEventAttributes:
                closing.ActivityTaskTimedOutEventAttributes.StartedEventId = started.EventId;
                break;
            default:
                closing.ActivityTaskCanceledEventAttributes.StartedEventId = started.EventId;
                closing.ActivityTaskCanceledEventAttributes.LatestCancelRequestedEventId = activity.CancelRequestedEventId;
                break;
        }
    }

    private void ApplyActivity(HistoryEvent e)
    {
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.ActivityTaskScheduledEventAttributes:
                activities.Add(e.EventId, new PendingActivity(e));
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskCancelRequestedEventAttributes:
                if (activities.TryGetValue(e.ActivityTaskCancelRequestedEventAttributes.ScheduledEventId, out var activity))
                {
                    activity.CancelRequestedEventId = e.EventId;
                }

                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskStartedEventAttributes:
                break;
            default:
                activities.Remove(ActivityClosedBy(e)?.ScheduledEventId ?? 0);
                break;
        }
    }
}
