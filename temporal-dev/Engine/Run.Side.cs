using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Api.Update.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>What a run knows beyond its history, as it is stored. Protocol messages are kept as their bytes.</summary>
internal sealed record RunSide
{
    public required long StateTransitions { get; init; }

    public string ResetRunId { get; init; } = "";

    public Dictionary<string, bool>? LaterChildren { get; init; }

    public bool FirstTaskPending { get; init; }

    public string? StickyQueue { get; init; }

    public TimeSpan StickyTimeout { get; init; }

    public required WorkflowTaskState Task { get; init; }

    public IReadOnlyList<ActivitySide> Activities { get; init; } = [];

    public IReadOnlyList<byte[]> Buffered { get; init; } = [];

    public IReadOnlyList<byte[]> AdmittedUpdates { get; init; } = [];

    public IReadOnlyList<Effect> Outbox { get; init; } = [];

    public sealed record ActivitySide
    {
        public long ScheduledEventId { get; init; }

        public ActivityPhase Phase { get; init; }

        public int Attempt { get; init; }

        public int Sequence { get; init; }

        public byte[]? ChangedOptions { get; init; }

        public ActivityPause? Pause { get; init; }

        public ActivityReset? Reset { get; init; }

        public DateTimeOffset AttemptScheduledTime { get; init; }

        public DateTimeOffset? StartedTime { get; init; }

        public string StartedIdentity { get; init; } = "";

        public string StartRequestId { get; init; } = "";

        public DateTimeOffset? LastHeartbeatTime { get; init; }

        public byte[]? HeartbeatDetails { get; init; }

        public byte[]? LastFailure { get; init; }

        public DateTimeOffset? LastAttemptCompleteTime { get; init; }

        public DateTimeOffset? NextAttemptTime { get; init; }

        public string LastWorkerIdentity { get; init; } = "";
    }
}

[JsonSerializable(typeof(RunSide))]
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
internal sealed partial class RunSideJson : JsonSerializerContext;

/// <summary>Writing a run down, and building it again from what was written.</summary>
internal sealed partial class Run
{
    public byte[] WriteSide() => JsonSerializer.SerializeToUtf8Bytes(Side(), RunSideJson.Default.RunSide);

    public RunSide Side() => new()
    {
        StateTransitions = StateTransitions,
        ResetRunId = ResetRunId,
        LaterChildren = laterChildren.Count == 0 ? null : new(laterChildren),
        FirstTaskPending = firstTaskPending,
        StickyQueue = stickyQueue,
        StickyTimeout = stickyTimeout,
        Task = task,
        Activities = [.. activities.Values.Select(a => new RunSide.ActivitySide
        {
            ScheduledEventId = a.ScheduledEventId,
            Phase = a.Phase,
            Attempt = a.Attempt,
            Sequence = a.Sequence,
            ChangedOptions = a.HasChangedOptions ? a.Scheduled.ToByteArray() : null,
            Pause = a.Pause,
            Reset = a.Reset,
            AttemptScheduledTime = a.AttemptScheduledTime,
            StartedTime = a.StartedTime,
            StartedIdentity = a.StartedIdentity,
            StartRequestId = a.StartRequestId,
            LastHeartbeatTime = a.LastHeartbeatTime,
            HeartbeatDetails = a.HeartbeatDetails?.ToByteArray(),
            LastFailure = a.LastFailure?.ToByteArray(),
            LastAttemptCompleteTime = a.LastAttemptCompleteTime,
            NextAttemptTime = a.NextAttemptTime,
            LastWorkerIdentity = a.LastWorkerIdentity,
        })],
        Buffered = [.. buffered.Select(b => b.ToByteArray())],
        AdmittedUpdates = [.. updates.Values.Where(u => u.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted).Select(u => u.Request!.ToByteArray())],
        Outbox = outbox,
    };

    /// <summary>A run of which only the header is needed so far.</summary>
    public static Run FromHeader(EngineHost engine, WorkflowChain chain, string runId, RunHeader header)
    {
        var run = new Run(engine, chain, runId)
        {
            IsLoaded = false,
            StartRequestId = header.StartRequestId,
            headerInfo = header.Info,
            Status = header.Info.Status,
            FirstRunId = header.Info.FirstRunId,
            StartTime = header.Info.StartTime.ToDateTimeOffset(),
            CloseTime = header.Info.CloseTime?.ToDateTimeOffset(),
        };
        return run;
    }

    /// <summary>Leaves only the header in memory. False while somebody is still owed something that is not in the store.</summary>
    public bool TryUnload()
    {
        if (!IsLoaded || IsOpen || outbox.Count > 0 || queries.Count > 0 || sealedEvents < history.Count)
        {
            return !IsLoaded;
        }

        headerInfo = Info();
        IsLoaded = false;
        history.Clear();
        history.TrimExcess();
        updates.Clear();
        memo.Clear();
        searchAttributes.Clear();
        signalRequestIds.Clear();
        openChildren.Clear();
        Started = new WorkflowExecutionStartedEventAttributes();
        return true;
    }

    /// <summary>Builds the state from the run's own events and the side record.</summary>
    public void Restore(IReadOnlyList<HistoryEvent> events, byte[] side, string startRequestId)
    {
        StartRequestId = startRequestId;
        Status = WorkflowExecutionStatus.Running;
        CloseTime = null;
        CancelRequested = false;
        HistorySize = 0;
        PreviousStartedEventId = 0;
        attachedRequests.Clear();
        attachedCallbacks.Clear();
        IsLoaded = true;
        Fold(events);
        sealedEvents = history.Count;
        visibilityChanged = false;
        openChildren.Clear();
        ReadSide(JsonSerializer.Deserialize(side, RunSideJson.Default.RunSide) ?? throw new InvalidDataException($"run {RunId} has an empty side record"));
    }

    private void Fold(IEnumerable<HistoryEvent> events)
    {
        foreach (var e in events)
        {
            history.Add(e);
            Apply(e);
        }
    }

    private void ReadSide(RunSide side)
    {
        StateTransitions = side.StateTransitions;
        ResetRunId = side.ResetRunId ?? "";
        foreach (var (workflowId, makesWay) in side.LaterChildren ?? [])
        {
            laterChildren[workflowId] = makesWay;
        }

        firstTaskPending = side.FirstTaskPending;
        stickyQueue = side.StickyQueue;
        stickyTimeout = side.StickyTimeout;
        task.CopyFrom(side.Task);
        foreach (var stored in side.Activities)
        {
            if (activities.TryGetValue(stored.ScheduledEventId, out var activity))
            {
                activity.Phase = stored.Phase;
                activity.Attempt = stored.Attempt;
                activity.Sequence = stored.Sequence;
                activity.Pause = stored.Pause;
                activity.Reset = stored.Reset;
                if (stored.ChangedOptions is not null)
                {
                    activity.Scheduled = ActivityTaskScheduledEventAttributes.Parser.ParseFrom(stored.ChangedOptions);
                }

                activity.AttemptScheduledTime = stored.AttemptScheduledTime;
                activity.StartedTime = stored.StartedTime;
                activity.StartedIdentity = stored.StartedIdentity;
                activity.StartRequestId = stored.StartRequestId;
                activity.LastHeartbeatTime = stored.LastHeartbeatTime;
                activity.HeartbeatDetails = stored.HeartbeatDetails is null ? null : Payloads.Parser.ParseFrom(stored.HeartbeatDetails);
                activity.LastFailure = stored.LastFailure is null ? null : Failure.Parser.ParseFrom(stored.LastFailure);
                activity.LastAttemptCompleteTime = stored.LastAttemptCompleteTime;
                activity.NextAttemptTime = stored.NextAttemptTime;
                activity.LastWorkerIdentity = stored.LastWorkerIdentity;
            }
        }

        foreach (var bytes in side.Buffered)
        {
            var occurrence = HistoryEvent.Parser.ParseFrom(bytes);
            buffered.Add(occurrence);
            MarkBuffered(occurrence);
        }

        foreach (var bytes in side.AdmittedUpdates)
        {
            var request = Request.Parser.ParseFrom(bytes);
            updates.Add(request.Meta.UpdateId, new UpdateState(request.Meta.UpdateId, request) { IsSent = task.Phase == WorkflowTaskPhase.Started });
        }

        outbox.Clear();
        outbox.AddRange(side.Outbox);
    }

    /// <summary>After a start of the server: deadlines are armed again, what was in a queue is offered, what is owed is delivered.</summary>
    public void Resume(UnitOfWork work)
    {
        if (IsOpen)
        {
            Arm();
            OfferAgain(work);
        }

        else
        {
            Engine.NoteClosed(this);
        }

        foreach (var effect in outbox)
        {
            work.AfterCommit(() => Engine.Dispatch(this, effect));
        }

        work.Rung(this);
    }

    /// <summary>Arms every deadline that follows from the state. Those that do not apply now arm nothing.</summary>
    private void Arm()
    {
        deadlines.Clear();
        Arm(new Deadline(DeadlineKind.FirstTask));
        Arm(new Deadline(DeadlineKind.Run));
        Arm(new Deadline(DeadlineKind.WorkflowTaskBackoff, task.ScheduledEventId, task.Attempt));
        Arm(new Deadline(DeadlineKind.WorkflowTaskScheduleToStart, task.ScheduledEventId, task.Attempt));
        Arm(new Deadline(DeadlineKind.WorkflowTaskStartToClose, task.ScheduledEventId, task.Attempt));
        foreach (var (timerId, timer) in timers)
        {
            Arm(new Deadline(DeadlineKind.Timer, timer.StartedEventId, 0, timerId));
        }

        foreach (var activity in activities.Values)
        {
            Arm(new Deadline(DeadlineKind.ActivityScheduleToClose, activity.ScheduledEventId));
            Arm(new Deadline(DeadlineKind.ActivityScheduleToStart, activity.ScheduledEventId, activity.Sequence));
            Arm(new Deadline(DeadlineKind.ActivityStartToClose, activity.ScheduledEventId, activity.Sequence));
            Arm(new Deadline(DeadlineKind.ActivityHeartbeat, activity.ScheduledEventId, activity.Sequence));
            Arm(new Deadline(DeadlineKind.ActivityRetry, activity.ScheduledEventId, activity.Sequence));
        }
    }

    private void OfferAgain(UnitOfWork work)
    {
        if (stickyQueue is not null)
        {
            Engine.Matching.Queue(WorkflowQueue(stickyQueue)).MarkPolled();
        }

        if (task is { Phase: WorkflowTaskPhase.Scheduled, BackoffUntil: null })
        {
            OfferWorkflowTask(work);
        }

        foreach (var activity in activities.Values.Where(a => a is { Phase: ActivityPhase.Scheduled, Closing: false, Pause: null }))
        {
            OfferActivity(work, activity);
        }
    }
}
