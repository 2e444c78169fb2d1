using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Activities: scheduled by the workflow, ended by workers, by time or by the workflow. What happens to single attempts is in <c>Run.ActivityAttempts.cs</c>.</summary>
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
