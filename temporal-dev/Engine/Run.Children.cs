using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>A child workflow that has been initiated and has not closed.</summary>
internal sealed class PendingChild(HistoryEvent initiated)
{
    public HistoryEvent InitiatedEvent { get; } = initiated;

    public StartChildWorkflowExecutionInitiatedEventAttributes Initiated => InitiatedEvent.StartChildWorkflowExecutionInitiatedEventAttributes;

    /// <summary>The first run of the child; null before it has started.</summary>
    public WorkflowExecution? Execution { get; set; }

    public long StartedEventId { get; set; }

    /// <summary>Its closing event waits for the end of the started workflow task.</summary>
    public bool Closing { get; set; }
}

/// <summary>Children and other workflows, seen from the run that asked for them.</summary>
internal sealed partial class Run
{
    private readonly Dictionary<long, PendingChild> children = [];
    private readonly List<Effect> outbox = [];

    public IReadOnlyList<Effect> Outbox => outbox;

    public int PendingChildCount => children.Count;

    public int OwedCount(EffectKind kind) => outbox.Count(o => o.Kind == kind);

    private void InitiateChild(Completion completion, Command command)
    {
        var asked = command.StartChildWorkflowExecutionCommandAttributes;
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            StartChildWorkflowExecutionInitiatedEventAttributes = new StartChildWorkflowExecutionInitiatedEventAttributes
            {
                Namespace = asked.Namespace.Length > 0 ? asked.Namespace : Chain.Namespace,
                NamespaceId = Engine.Namespaces.IdOf(asked.Namespace.Length > 0 ? asked.Namespace : Chain.Namespace),
                WorkflowId = asked.WorkflowId,
                WorkflowType = asked.WorkflowType,
                TaskQueue = new TaskQueueName { Name = asked.TaskQueue?.Name is { Length: > 0 } name ? name : NormalQueue, Kind = TaskQueueKind.Normal },
                Input = asked.Input,
                WorkflowExecutionTimeout = asked.WorkflowExecutionTimeout,
                WorkflowRunTimeout = asked.WorkflowRunTimeout,
                WorkflowTaskTimeout = asked.WorkflowTaskTimeout,
                ParentClosePolicy = asked.ParentClosePolicy == ParentClosePolicy.Unspecified ? ParentClosePolicy.Terminate : asked.ParentClosePolicy,
                Control = asked.Control,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                WorkflowIdReusePolicy = asked.WorkflowIdReusePolicy == WorkflowIdReusePolicy.Unspecified
                    ? WorkflowIdReusePolicy.AllowDuplicate
                    : asked.WorkflowIdReusePolicy,
                RetryPolicy = asked.RetryPolicy is null ? null : RetryPolicyRules.WithDefaults(asked.RetryPolicy),
                CronSchedule = asked.CronSchedule,
                Header = asked.Header,
                Memo = asked.Memo,
                SearchAttributes = Engine.SearchAttributes.Complete(Chain.Namespace, asked.SearchAttributes),
                InheritBuildId = asked.InheritBuildId,
                Priority = MergePriority(asked.Priority),
                VersioningOverride = asked.VersioningOverride,
            },
        });
        Emit(completion.Work, new Effect(EffectKind.StartChild, e.EventId));
    }

    private void InitiateExternalSignal(Completion completion, Command command)
    {
        var asked = command.SignalExternalWorkflowExecutionCommandAttributes;
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            SignalExternalWorkflowExecutionInitiatedEventAttributes = new SignalExternalWorkflowExecutionInitiatedEventAttributes
            {
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                Namespace = asked.Namespace.Length > 0 ? asked.Namespace : Chain.Namespace,
                WorkflowExecution = asked.Execution,
                SignalName = asked.SignalName,
                Input = asked.Input,
                Control = asked.Control,
                ChildWorkflowOnly = asked.ChildWorkflowOnly,
                Header = asked.Header,
            },
        });
        Emit(completion.Work, new Effect(EffectKind.SignalExternal, e.EventId));
    }

    private void InitiateExternalCancel(Completion completion, Command command)
    {
        var asked = command.RequestCancelExternalWorkflowExecutionCommandAttributes;
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            RequestCancelExternalWorkflowExecutionInitiatedEventAttributes = new RequestCancelExternalWorkflowExecutionInitiatedEventAttributes
            {
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                Namespace = asked.Namespace.Length > 0 ? asked.Namespace : Chain.Namespace,
                WorkflowExecution = new WorkflowExecution { WorkflowId = asked.WorkflowId, RunId = asked.RunId },
                Control = asked.Control,
                ChildWorkflowOnly = asked.ChildWorkflowOnly,
                Reason = asked.Reason,
            },
        });
        Emit(completion.Work, new Effect(EffectKind.CancelExternal, e.EventId));
    }

    /// <summary>Something is owed to another run. It stays in the outbox, and holds time, until that run has it.</summary>
    private void Emit(UnitOfWork work, Effect effect)
    {
        outbox.Add(effect);
        work.Touch(this);
        work.AfterCommit(() => Engine.Dispatch(this, effect));
    }

    /// <summary>Takes the effect out of the outbox. False when that has happened before.</summary>
    public bool Settle(UnitOfWork work, Effect effect)
    {
        work.Touch(this);
        return outbox.Remove(effect);
    }

    /// <summary>The child's start, as this run has initiated it.</summary>
    public StartRequest ChildStart(Effect effect, string requestId)
    {
        var initiated = Event(effect.EventId).StartChildWorkflowExecutionInitiatedEventAttributes;
        var attributes = StartAttributes.OfChild(this, effect.EventId, initiated, Engine.Clock.GetUtcNow());
        var run = new NewRun(NewId(), requestId, attributes) { UserMetadata = Event(effect.EventId).UserMetadata };
        var conflict = laterChildren.TryGetValue(initiated.WorkflowId, out var makesWay)
            ? makesWay ? WorkflowIdConflictPolicy.TerminateExisting : WorkflowIdConflictPolicy.UseExisting
            : WorkflowIdConflictPolicy.Fail;
        return new StartRequest(run, initiated.WorkflowIdReusePolicy, conflict);
    }

    public void ChildStarted(UnitOfWork work, Effect effect, WorkflowExecution child)
    {
        if (Settle(work, effect) && IsOpen && children.TryGetValue(effect.EventId, out var pending) && pending is { Execution: null, Closing: false })
        {
            pending.Execution = child;
            Occur(work, ChildStartedEvent(pending));
        }
    }

    public void ChildStartFailed(UnitOfWork work, Effect effect, StartChildWorkflowExecutionFailedCause cause)
    {
        if (!Settle(work, effect) || !IsOpen || !children.TryGetValue(effect.EventId, out var pending))
        {
            return;
        }

        Occur(work, new HistoryEvent
        {
            StartChildWorkflowExecutionFailedEventAttributes = new StartChildWorkflowExecutionFailedEventAttributes
            {
                Namespace = pending.Initiated.Namespace,
                NamespaceId = pending.Initiated.NamespaceId,
                WorkflowId = pending.Initiated.WorkflowId,
                WorkflowType = pending.Initiated.WorkflowType,
                Cause = cause,
                Control = pending.Initiated.Control,
                InitiatedEventId = effect.EventId,
                WorkflowTaskCompletedEventId = pending.Initiated.WorkflowTaskCompletedEventId,
            },
        });
    }

    /// <summary>The last run of a child has closed. A repeated notice finds no pending child and changes nothing.</summary>
    /// <param name="first">The run that this parent started; its close may be that of a later run.</param>
    public void ChildClosed(UnitOfWork work, long initiatedEventId, string firstRunId, WorkflowExecution child, HistoryEvent close)
    {
        var pending = children.GetValueOrDefault(initiatedEventId);
        if (pending is null || pending.Initiated.WorkflowId != child.WorkflowId)
        {
            // A run to which the parent was reset may have taken the child over under another event.
            pending = children.Values.FirstOrDefault(c => c.Execution is { } taken && taken.WorkflowId == child.WorkflowId && taken.RunId == firstRunId);
        }

        if (!IsOpen || pending is null || pending.Closing || (pending.Execution is { } known && known.RunId != firstRunId))
        {
            return;
        }

        pending.Execution ??= new WorkflowExecution { WorkflowId = child.WorkflowId, RunId = firstRunId };
        Occur(work, ChildEvents.Closed(pending, child, close));
    }

    public void ExternalDelivered(UnitOfWork work, Effect effect, HistoryEvent result)
    {
        if (Settle(work, effect) && IsOpen)
        {
            Occur(work, result);
        }
    }

    private static HistoryEvent ChildStartedEvent(PendingChild child) => new()
    {
        ChildWorkflowExecutionStartedEventAttributes = new ChildWorkflowExecutionStartedEventAttributes
        {
            Namespace = child.Initiated.Namespace,
            NamespaceId = child.Initiated.NamespaceId,
            InitiatedEventId = child.InitiatedEvent.EventId,
            WorkflowExecution = child.Execution,
            WorkflowType = child.Initiated.WorkflowType,
            Header = child.Initiated.Header,
        },
    };

    private PendingChild? ChildClosedBy(HistoryEvent e) =>
        ChildEvents.InitiatedEventId(e) is { } initiated ? children.GetValueOrDefault(initiated) : null;

    /// <summary>A fast child may close before its start was noted here; the history still says it in order.</summary>
    private void WriteChildStarted(UnitOfWork work, PendingChild child, HistoryEvent closing)
    {
        if (child.StartedEventId == 0)
        {
            Append(work, ChildStartedEvent(child));
        }

        ChildEvents.SetStartedEventId(closing, child.StartedEventId);
    }

    private void ApplyChildOrExternal(HistoryEvent e)
    {
        if (e.StartChildWorkflowExecutionInitiatedEventAttributes is not null)
        {
            children.Add(e.EventId, new PendingChild(e));
        }
        else if (e.ChildWorkflowExecutionStartedEventAttributes is { } started && children.TryGetValue(started.InitiatedEventId, out var child))
        {
            child.StartedEventId = e.EventId;
            child.Execution = started.WorkflowExecution;
        }
        else if (e.StartChildWorkflowExecutionFailedEventAttributes is { } failed)
        {
            children.Remove(failed.InitiatedEventId);
        }
        else if (ChildEvents.InitiatedEventId(e) is { } initiated)
        {
            children.Remove(initiated);
        }
    }
}
