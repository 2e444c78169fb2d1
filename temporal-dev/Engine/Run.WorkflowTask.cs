using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.TaskQueue.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Life of workflow tasks: scheduled and started. How an attempt fails is in <c>Run.WorkflowTaskFailures.cs</c>, completion in <c>Run.Completion.cs</c>.</summary>
internal sealed partial class Run
{
    /// <summary>Source: Temporal, default workflow task timeout.</summary>
    public static readonly TimeSpan DefaultWorkflowTaskTimeout = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LongestTaskBackoff = TimeSpan.FromSeconds(10);

    private readonly WorkflowTaskState task = new();
    private bool firstTaskPending;
    private string? stickyQueue;
    private TimeSpan stickyTimeout;

    /// <summary>The started event of the last completed workflow task; 0 before the first.</summary>
    public long PreviousStartedEventId { get; private set; }

    private DateTimeOffset FirstTaskTime => ProtoTime.Later(StartTime, ProtoTime.Span(Started.FirstWorkflowTaskBackoff));

    private TimeSpan WorkflowTaskTimeout => ProtoTime.Span(Started.WorkflowTaskTimeout);

    private string NormalQueue => Started.TaskQueue.Name;

    /// <summary>Schedules a workflow task unless there is one, or the run is closed or still waits for its first.</summary>
    private void EnsureWorkflowTask(UnitOfWork work)
    {
        if (IsOpen && task.Phase == WorkflowTaskPhase.None && !IsDelayed)
        {
            ScheduleWorkflowTask(work, 1);
        }
    }

    private bool IsDelayed => firstTaskPending && ProtoTime.IsSet(Started.FirstWorkflowTaskBackoff);

    /// <summary>The delay before the first workflow task is over, or has been cut short.</summary>
    private void EndFirstTaskBackoff(UnitOfWork work)
    {
        firstTaskPending = false;
        EnsureWorkflowTask(work);
    }

    private void ScheduleWorkflowTask(UnitOfWork work, int attempt)
    {
        firstTaskPending = false;
        if (attempt == 1)
        {
            task.BackoffUntil = null;
            Append(work, new HistoryEvent { WorkflowTaskScheduledEventAttributes = ScheduledTaskAttributes(LiveStickyQueue, 1) });
        }
        else
        {
            task.Phase = WorkflowTaskPhase.Scheduled;
            task.ScheduledEventId = NextEventId;
            task.StartedEventId = 0;
            task.Attempt = attempt;
            task.ScheduledTime = work.Now;
            task.StickyQueue = null;
            task.BackoffUntil = attempt >= 3 ? work.Now + TaskBackoff(attempt) : null;
            work.Touch(this);
        }

        if (task.BackoffUntil is null)
        {
            OfferWorkflowTask(work);
        }
        else
        {
            Arm(new Deadline(DeadlineKind.WorkflowTaskBackoff, task.ScheduledEventId, attempt));
        }
    }

    /// <summary>Schedules a task that carries updates and is written down only if it turns out to have an effect.</summary>
    private void ScheduleSpeculativeTask(UnitOfWork work)
    {
        if (!IsOpen || task.Phase != WorkflowTaskPhase.None)
        {
            return;
        }

        task.Phase = WorkflowTaskPhase.Scheduled;
        task.IsSpeculative = true;
        task.ScheduledEventId = NextEventId;
        task.StartedEventId = 0;
        task.Attempt = 1;
        task.ScheduledTime = work.Now;
        task.OriginalScheduledTime = work.Now;
        task.StickyQueue = LiveStickyQueue;
        task.BackoffUntil = null;
        work.Touch(this);
        OfferWorkflowTask(work);
    }

    /// <summary>The speculative task becomes an ordinary one: its events take the ids that were kept for them.</summary>
    private void WriteSpeculativeTask(UnitOfWork work)
    {
        task.IsSpeculative = false;
        var isStarted = task.Phase == WorkflowTaskPhase.Started;
        var startedTime = ProtoTime.Stamp(task.StartedTime);
        var started = isStarted ? StartedTaskAttributes(task.Identity, task.RequestId) : null;
        Append(work, new HistoryEvent
        {
            EventTime = ProtoTime.Stamp(task.ScheduledTime),
            WorkflowTaskScheduledEventAttributes = ScheduledTaskAttributes(task.StickyQueue, 1),
        });
        if (isStarted)
        {
            Append(work, new HistoryEvent { EventTime = startedTime, WorkflowTaskStartedEventAttributes = started });
        }
    }

    private WorkflowTaskScheduledEventAttributes ScheduledTaskAttributes(string? sticky, int attempt) => new()
    {
        TaskQueue = sticky is null
            ? new TaskQueueName { Name = NormalQueue, Kind = TaskQueueKind.Normal }
            : new TaskQueueName { Name = sticky, Kind = TaskQueueKind.Sticky, NormalName = NormalQueue },
        StartToCloseTimeout = Started.WorkflowTaskTimeout,
        Attempt = attempt,
    };

    /// <summary>The sticky queue, unless its worker is gone.</summary>
    private string? LiveStickyQueue => stickyQueue is not null && Engine.Matching.IsStickyAlive(WorkflowQueue(stickyQueue)) ? stickyQueue : null;

    private static TimeSpan TaskBackoff(int attempt)
    {
        var span = TimeSpan.FromMilliseconds(100 * Math.Pow(2, Math.Min(attempt, 20) - 2));
        return span < LongestTaskBackoff ? span : LongestTaskBackoff;
    }

    private void OfferWorkflowTask(UnitOfWork work)
    {
        work.Offer(new TaskOffer(this, TaskKind.Workflow, WorkflowQueue(task.StickyQueue ?? NormalQueue), task.ScheduledEventId, task.Attempt, PriorityKey));
        if (task.StickyQueue is not null)
        {
            Arm(new Deadline(DeadlineKind.WorkflowTaskScheduleToStart, task.ScheduledEventId, task.Attempt));
        }
    }

    private int PriorityKey => Started.Priority?.PriorityKey ?? 0;

    private QueueKey WorkflowQueue(string name) => new(Chain.Namespace, name, TaskQueueType.Workflow);

    private DateTimeOffset? WorkflowTaskDueTime(Deadline deadline)
    {
        if (task.ScheduledEventId != deadline.EventId || task.Attempt != deadline.Attempt)
        {
            return null;
        }

        return (deadline.Kind, task.Phase) switch
        {
            (DeadlineKind.WorkflowTaskBackoff, WorkflowTaskPhase.Scheduled) => task.BackoffUntil,
            (DeadlineKind.WorkflowTaskScheduleToStart, WorkflowTaskPhase.Scheduled) when task.StickyQueue is not null => task.ScheduledTime + stickyTimeout,
            (DeadlineKind.WorkflowTaskStartToClose, WorkflowTaskPhase.Started) => ProtoTime.Later(task.StartedTime, WorkflowTaskTimeout),
            _ => null,
        };
    }

    /// <summary>Whether the workflow or activity task is still to be had, in the attempt that was offered.</summary>
    public bool IsWaiting(TaskOffer offer) => offer.Kind == TaskKind.Workflow
        ? IsOpen && task.Phase == WorkflowTaskPhase.Scheduled && task.ScheduledEventId == offer.EventId && task.Attempt == offer.Attempt
        : WaitingActivity(offer) is not null;

    /// <summary>Hands the task out. Null when the offer is out of date.</summary>
    public PollWorkflowTaskQueueResponse? StartWorkflowTask(UnitOfWork work, TaskOffer offer, string identity, string requestId)
    {
        if (!IsWaiting(offer))
        {
            return null;
        }

        if (task.IsTransient && NextEventId != task.ScheduledEventId)
        {
            // Events have come since the failure, so this is not a repetition any more and is written down like any first attempt.
            task.Phase = WorkflowTaskPhase.None;
            Append(work, new HistoryEvent { WorkflowTaskScheduledEventAttributes = ScheduledTaskAttributes(null, 1) });
        }

        if (task.IsUnwritten)
        {
            task.Phase = WorkflowTaskPhase.Started;
            task.StartedEventId = task.ScheduledEventId + 1;
            task.StartedTime = work.Now;
            task.Identity = identity;
            task.RequestId = requestId;
            work.Touch(this);
        }
        else
        {
            Append(work, new HistoryEvent { WorkflowTaskStartedEventAttributes = StartedTaskAttributes(identity, requestId) });
        }

        Arm(new Deadline(DeadlineKind.WorkflowTaskStartToClose, task.ScheduledEventId, task.Attempt));
        return DescribeStartedTask(work, offer.Queue.Name == task.StickyQueue);
    }

    private WorkflowTaskStartedEventAttributes StartedTaskAttributes(string identity, string requestId)
    {
        var attributes = new WorkflowTaskStartedEventAttributes
        {
            ScheduledEventId = task.ScheduledEventId,
            Identity = identity,
            RequestId = requestId,
            HistorySizeBytes = HistorySize,
        };
        if (history.Count >= Engine.Options.SuggestContinueAsNewAt)
        {
            attributes.SuggestContinueAsNewReasons.Add(SuggestContinueAsNewReason.TooManyHistoryEvents);
        }

        if (HistorySize >= Engine.Options.SuggestContinueAsNewAtBytes)
        {
            attributes.SuggestContinueAsNewReasons.Add(SuggestContinueAsNewReason.HistorySizeTooLarge);
        }

        attributes.SuggestContinueAsNew = attributes.SuggestContinueAsNewReasons.Count > 0;

        return attributes;
    }

    private PollWorkflowTaskQueueResponse DescribeStartedTask(UnitOfWork work, bool sticky)
    {
        var response = new PollWorkflowTaskQueueResponse
        {
            TaskToken = new TaskToken(TaskKind.Workflow, Key, task.ScheduledEventId, task.Attempt, task.RequestId).Encode(),
            WorkflowExecution = ExecutionOf(this),
            WorkflowType = Started.WorkflowType,
            PreviousStartedEventId = PreviousStartedEventId,
            StartedEventId = task.StartedEventId,
            Attempt = task.Attempt,
            WorkflowExecutionTaskQueue = new TaskQueueName { Name = NormalQueue, Kind = TaskQueueKind.Normal },
            ScheduledTime = ProtoTime.Stamp(task.ScheduledTime),
            StartedTime = ProtoTime.Stamp(task.StartedTime),
            History = new History(),
        };
        var first = sticky ? (int)PreviousStartedEventId : 0;
        var page = new HistoryPage(first, HistoryPage.TaskPageSize);
        response.NextPageToken = page.Fill(this, response.History, withTransientTask: task.IsUnwritten);
        AttachQueries(response);
        SendUpdates(response);
        return response;
    }

    /// <summary>The scheduled and started event of a transient or speculative task, with the ids they will have if it completes.</summary>
    public IEnumerable<HistoryEvent> TransientTaskEvents()
    {
        if (!task.IsUnwritten || task.Phase != WorkflowTaskPhase.Started || task.ScheduledEventId != NextEventId)
        {
            yield break;
        }

        var scheduled = new HistoryEvent { EventTime = ProtoTime.Stamp(task.ScheduledTime), WorkflowTaskScheduledEventAttributes = ScheduledTaskAttributes(task.StickyQueue, task.Attempt) };
        var started = new HistoryEvent
        {
            EventTime = ProtoTime.Stamp(task.StartedTime),
            WorkflowTaskStartedEventAttributes = StartedTaskAttributes(task.Identity, task.RequestId),
        };
        scheduled.EventId = task.ScheduledEventId;
        started.EventId = task.StartedEventId;
        scheduled.EventType = EventType.WorkflowTaskScheduled;
        started.EventType = EventType.WorkflowTaskStarted;
        yield return scheduled;
        yield return started;
    }

    private void RequireStartedTask(TaskToken token)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        if (!IsStartedAs(token))
        {
            throw Fault.NotFound("Workflow task not found.");
        }
    }

    private bool IsStartedAs(TaskToken token) => task.Phase == WorkflowTaskPhase.Started
        && task.ScheduledEventId == token.EventId && task.Attempt == token.Attempt && task.RequestId == token.Id;

    private void ApplyWorkflowTask(HistoryEvent e)
    {
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.WorkflowTaskScheduledEventAttributes:
                var scheduled = e.WorkflowTaskScheduledEventAttributes;
                firstTaskPending = false;
                task.Phase = WorkflowTaskPhase.Scheduled;
                task.ScheduledEventId = e.EventId;
                task.StartedEventId = 0;
                task.Attempt = scheduled.Attempt;
                task.ScheduledTime = ProtoTime.Instant(e.EventTime);
                if (scheduled.Attempt == 1)
                {
                    task.OriginalScheduledTime = task.ScheduledTime;
                }

                task.StickyQueue = scheduled.TaskQueue.Kind == TaskQueueKind.Sticky ? scheduled.TaskQueue.Name : null;
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskStartedEventAttributes:
                task.Phase = WorkflowTaskPhase.Started;
                task.StartedEventId = e.EventId;
                task.StartedTime = ProtoTime.Instant(e.EventTime);
                task.Identity = e.WorkflowTaskStartedEventAttributes.Identity;
                task.RequestId = e.WorkflowTaskStartedEventAttributes.RequestId;
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskCompletedEventAttributes:
                PreviousStartedEventId = e.WorkflowTaskCompletedEventAttributes.StartedEventId;
                task.Phase = WorkflowTaskPhase.None;
                task.Attempt = 1;
                break;
            default:
                task.Phase = WorkflowTaskPhase.None;
                break;
        }
    }
}
