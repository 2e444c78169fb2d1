using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

internal enum ActivityPhase
{
    /// <summary>In its task queue.</summary>
    Scheduled,

    /// <summary>With a worker.</summary>
    Started,

    /// <summary>Failed, waiting for its next attempt.</summary>
    Backoff,
}

/// <summary>An activity that has been scheduled and has not closed. Its attempts are not in the history.</summary>
internal sealed class PendingActivity(HistoryEvent scheduled)
{
    public HistoryEvent ScheduledEvent { get; } = scheduled;

    /// <summary>As the workflow scheduled it, or as an operator has changed it since.</summary>
    public ActivityTaskScheduledEventAttributes Scheduled { get; set; } = scheduled.ActivityTaskScheduledEventAttributes;

    public bool HasChangedOptions => !ReferenceEquals(Scheduled, ScheduledEvent.ActivityTaskScheduledEventAttributes);

    public long ScheduledEventId => ScheduledEvent.EventId;

    public DateTimeOffset ScheduledTime { get; } = ProtoTime.Instant(scheduled.EventTime);

    public long CancelRequestedEventId { get; set; }

    public bool IsCancelRequested => CancelRequestedEventId > 0;

    public ActivityPhase Phase { get; set; } = ActivityPhase.Scheduled;

    /// <summary>The attempt as workers and descriptions see it. An operator's reset begins to count anew.</summary>
    public int Attempt { get; set; } = 1;

    /// <summary>Counts attempts and is never reset, so that it tells every attempt from every other: in tokens, offers and deadlines.</summary>
    public int Sequence { get; set; } = 1;

    public DateTimeOffset AttemptScheduledTime { get; set; } = ProtoTime.Instant(scheduled.EventTime);

    public DateTimeOffset? StartedTime { get; set; }

    public string StartedIdentity { get; set; } = "";

    public string StartRequestId { get; set; } = "";

    public DateTimeOffset? LastHeartbeatTime { get; set; }

    public Payloads? HeartbeatDetails { get; set; }

    public Failure? LastFailure { get; set; }

    public DateTimeOffset? LastAttemptCompleteTime { get; set; }

    public DateTimeOffset? NextAttemptTime { get; set; }

    public string LastWorkerIdentity { get; set; } = "";

    /// <summary>Its closing event waits for the end of the started workflow task.</summary>
    public bool Closing { get; set; }

    /// <summary>Set while an operator keeps the activity from being attempted again.</summary>
    public ActivityPause? Pause { get; set; }

    /// <summary>An operator has reset the activity while a worker had it: the next attempt is the first again.</summary>
    public ActivityReset? Reset { get; set; }

    public bool HoldsTime => !Closing && (Phase == ActivityPhase.Started || (Phase == ActivityPhase.Scheduled && Pause is null));

    public DateTimeOffset? ScheduleToCloseDeadline => Due(ScheduledTime, Scheduled.ScheduleToCloseTimeout);

    public DateTimeOffset? DueTime(Deadline deadline)
    {
        if (Closing || (deadline.Kind != DeadlineKind.ActivityScheduleToClose && deadline.Attempt != Sequence))
        {
            return null;
        }

        return (deadline.Kind, Phase) switch
        {
            (DeadlineKind.ActivityScheduleToClose, _) => ScheduleToCloseDeadline,
            (DeadlineKind.ActivityScheduleToStart, ActivityPhase.Scheduled) when Pause is null => Due(AttemptScheduledTime, Scheduled.ScheduleToStartTimeout),
            (DeadlineKind.ActivityStartToClose, ActivityPhase.Started) => Due(StartedTime!.Value, Scheduled.StartToCloseTimeout),
            (DeadlineKind.ActivityHeartbeat, ActivityPhase.Started) => Due(LastHeartbeatInAttempt, Scheduled.HeartbeatTimeout),
            (DeadlineKind.ActivityRetry, ActivityPhase.Backoff) => NextAttemptTime,
            _ => null,
        };
    }

    private DateTimeOffset LastHeartbeatInAttempt =>
        LastHeartbeatTime > StartedTime ? LastHeartbeatTime.Value : StartedTime!.Value;

    private static DateTimeOffset? Due(DateTimeOffset from, Duration? timeout) =>
        ProtoTime.IsSet(timeout) ? ProtoTime.Later(from, ProtoTime.Span(timeout)) : null;
}

internal sealed record ActivityPause(DateTimeOffset Time, string Identity, string Reason);

internal sealed record ActivityReset(bool ForgetsHeartbeat);
