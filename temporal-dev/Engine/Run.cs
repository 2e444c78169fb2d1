using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// One run of a workflow: its history and the state that follows from it. Every transition appends events through
/// <see cref="Append"/>, and <see cref="Apply"/> alone turns an event into state, so that a run rebuilt from its history is the
/// run that wrote it. What the history does not say is in the side record (<c>Run.Side.cs</c>).
/// </summary>
/// <remarks>All members are used under the lock of <see cref="Chain"/>. Transitions of one topic share a file.</remarks>
internal sealed partial class Run
{
    private readonly List<HistoryEvent> history = [];
    private readonly Dictionary<string, Payload> memo = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Payload> searchAttributes = new(StringComparer.Ordinal);
    private TaskCompletionSource? waiters;
    private int sealedEvents;
    private bool visibilityChanged;
    private bool headerDue = true;
    private (string StartRequestId, bool IsCurrent, bool IsLive) storedHeader;

    public Run(EngineHost engine, WorkflowChain chain, string runId)
    {
        Engine = engine;
        Chain = chain;
        RunId = runId;
        Alarm = engine.Clock.CreateAlarm($"workflow {chain.WorkflowId}", () => engine.Ring(this));
    }

    public EngineHost Engine { get; }

    public WorkflowChain Chain { get; }

    public string RunId { get; }

    /// <summary>An id for a new run: a UUID of version 7, as the official server gives them, so that ids of later runs sort after those of earlier ones.</summary>
    public static string NewId() => Guid.CreateVersion7().ToString();

    public RunKey Key => new(Chain.Namespace, Chain.WorkflowId, RunId);

    public VirtualClock.Alarm Alarm { get; }

    /// <summary>False for a closed run of which only the header is in memory.</summary>
    public bool IsLoaded { get; private set; } = true;

    /// <summary>When somebody last asked for this run, as a timestamp of real time.</summary>
    public long LastUsed { get; private set; }

    public WorkflowExecutionStatus Status { get; private set; } = WorkflowExecutionStatus.Running;

    public bool IsOpen => Status == WorkflowExecutionStatus.Running;

    public string StartRequestId { get; private set; } = "";

    /// <summary>The run with which this chain of continuations, retries and cron runs began.</summary>
    public string FirstRunId { get; private set; } = "";

    public WorkflowExecutionStartedEventAttributes Started { get; private set; } = new();

    public DateTimeOffset StartTime { get; private set; }

    public DateTimeOffset? CloseTime { get; private set; }

    public IReadOnlyList<HistoryEvent> History => history;

    public HistoryEvent? CloseEvent => IsOpen ? null : history[^1];

    public long HistorySize { get; private set; }

    public long StateTransitions { get; private set; }

    private long NextEventId => history.Count + 1;

    public void Use() => LastUsed = Engine.RealTime.GetTimestamp();

    public static WorkflowExecution ExecutionOf(Run run) => new() { WorkflowId = run.Chain.WorkflowId, RunId = run.RunId };

    public HistoryEvent Event(long eventId) => history[(int)eventId - 1];

    /// <summary>Completes at the run's next appended event.</summary>
    public Task NextChange() => (waiters ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public TaskCompletionSource? TakeWaiters()
    {
        var taken = history.Count > sealedEvents || !IsOpen ? waiters : null;
        waiters = taken is null ? waiters : null;
        if (!Engine.Commits.IsDurable)
        {
            sealedEvents = history.Count;
        }

        return taken;
    }

    public bool TakeVisibilityChange()
    {
        var changed = visibilityChanged;
        visibilityChanged = false;
        headerDue |= changed;
        return changed;
    }

    public void CountTransition() => StateTransitions++;

    /// <summary>What this transition did to the run, for the store.</summary>
    public RunChange TakeChange()
    {
        var first = sealedEvents;
        sealedEvents = history.Count;
        return new RunChange(Key, first + 1, history.GetRange(first, history.Count - first), WriteSide(), TakeHeader());
    }

    /// <summary>The header if it says something new. An open run's counters do not count as new: they follow from its history.</summary>
    private RunHeader? TakeHeader()
    {
        var (requestId, isCurrent, isLive) = (StartRequestId, Chain.Current == this, IsOpen || outbox.Count > 0);
        if (IsOpen && !headerDue && storedHeader == (requestId, isCurrent, isLive))
        {
            return null;
        }

        headerDue = false;
        storedHeader = (requestId, isCurrent, isLive);
        return Header();
    }

    public RunHeader Header() => new(Info(), StartRequestId, Chain.Current == this, IsOpen || outbox.Count > 0);

    /// <summary>Appends one event: id, time and type are filled in here.</summary>
    private HistoryEvent Append(UnitOfWork work, HistoryEvent e)
    {
        if (task.IsSpeculative)
        {
            WriteSpeculativeTask(work);
        }

        e.EventId = NextEventId;
        e.EventTime ??= ProtoTime.Stamp(work.Now);
        e.EventType = EventTypes.Of(e);
        e.TaskId = Engine.NextTaskId();
        history.Add(e);
        Apply(e);
        work.Touch(this);
        return e;
    }

    private void Apply(HistoryEvent e)
    {
        HistorySize += e.CalculateSize();
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionStartedEventAttributes:
                ApplyStarted(e);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskScheduledEventAttributes:
            case HistoryEvent.AttributesOneofCase.WorkflowTaskStartedEventAttributes:
            case HistoryEvent.AttributesOneofCase.WorkflowTaskCompletedEventAttributes:
            case HistoryEvent.AttributesOneofCase.WorkflowTaskFailedEventAttributes:
            case HistoryEvent.AttributesOneofCase.WorkflowTaskTimedOutEventAttributes:
                ApplyWorkflowTask(e);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskScheduledEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskStartedEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskCancelRequestedEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskCompletedEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskFailedEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskTimedOutEventAttributes:
            case HistoryEvent.AttributesOneofCase.ActivityTaskCanceledEventAttributes:
                ApplyActivity(e);
                break;
            case HistoryEvent.AttributesOneofCase.TimerStartedEventAttributes:
            case HistoryEvent.AttributesOneofCase.TimerFiredEventAttributes:
            case HistoryEvent.AttributesOneofCase.TimerCanceledEventAttributes:
                ApplyTimer(e);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionSignaledEventAttributes:
                ApplySignaled(e);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionCancelRequestedEventAttributes:
                CancelRequested = true;
                break;
            case HistoryEvent.AttributesOneofCase.UpsertWorkflowSearchAttributesEventAttributes:
                Merge(searchAttributes, e.UpsertWorkflowSearchAttributesEventAttributes.SearchAttributes?.IndexedFields, SearchAttributePayload.IsRemoval);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowPropertiesModifiedEventAttributes:
                Merge(memo, e.WorkflowPropertiesModifiedEventAttributes.UpsertedMemo?.Fields, IsMemoRemoval);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionUpdateAcceptedEventAttributes:
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionUpdateCompletedEventAttributes:
                ApplyUpdate(e);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionOptionsUpdatedEventAttributes:
                ApplyOptions(e);
                break;
            default:
                if (ClosingStatus(e) is { } status)
                {
                    ApplyClosed(e, status);
                }
                else
                {
                    ApplyChildOrExternal(e);
                }

                break;
        }
    }

    private void ApplyStarted(HistoryEvent e)
    {
        Started = e.WorkflowExecutionStartedEventAttributes;
        StartTime = ProtoTime.Instant(e.EventTime);
        FirstRunId = Started.FirstExecutionRunId;
        firstTaskPending = true;
        Merge(memo, Started.Memo?.Fields, IsMemoRemoval);
        Merge(searchAttributes, Started.SearchAttributes?.IndexedFields, SearchAttributePayload.IsRemoval);
        visibilityChanged = true;
        Arm(new Deadline(DeadlineKind.FirstTask));
        Arm(new Deadline(DeadlineKind.Run));
    }

    /// <summary>Merges key by key; a null or empty value removes the key.</summary>
    private void Merge(Dictionary<string, Payload> target, IEnumerable<KeyValuePair<string, Payload>>? changes, Func<Payload, bool> isRemoval)
    {
        foreach (var (key, value) in changes ?? [])
        {
            if (isRemoval(value))
            {
                target.Remove(key);
            }
            else
            {
                target[key] = value;
            }
        }

        visibilityChanged = true;
    }

    /// <summary>Unlike a search attribute, a memo may hold an empty value; only a null removes its key.</summary>
    private static bool IsMemoRemoval(Payload value) =>
        value.Metadata.TryGetValue("encoding", out var encoding)
            ? encoding.ToStringUtf8() == "binary/null" || (encoding.ToStringUtf8() == "json/plain" && value.Data.ToStringUtf8() == "null")
            : value.Data.IsEmpty;
}
