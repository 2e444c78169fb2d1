using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Reset: a new run that shares the history of this one up to a workflow task, and goes on from there.</summary>
internal sealed partial class Run
{
    /// <summary>The run to which this one was reset; empty when it was not.</summary>
    public string ResetRunId { get; private set; } = "";

    /// <summary>Children that the run before the reset had started behind the cut, and whether a new start of them ends the old one.</summary>
    private readonly Dictionary<string, bool> laterChildren = new(StringComparer.Ordinal);

    /// <param name="request">Names the workflow task by the event that finished it.</param>
    public Run Reset(UnitOfWork work, ResetWorkflowExecutionRequest request)
    {
        var kept = (int)request.WorkflowTaskFinishEventId - 1;
        if (kept < 2 || kept >= history.Count || Event(kept).EventType is not (EventType.WorkflowTaskStarted or EventType.WorkflowTaskScheduled))
        {
            throw Fault.Invalid($"WorkflowTaskFinishEventId {request.WorkflowTaskFinishEventId} does not follow a scheduled or started workflow task.");
        }

        var later = LaterRuns(request);
        var reset = new Run(Engine, Chain, NewId()) { StartRequestId = request.RequestId };
        reset.Fold(history.Take(kept));
        ResetRunId = reset.RunId;
        work.Touch(this);
        if (Chain.Current is { IsOpen: true } current)
        {
            current.Terminate(work, $"Terminated by reset to run {reset.RunId}: {request.Reason}", null, request.Identity, resetTo: reset);
        }

        Chain.Add(reset);
        reset.RememberLaterChildren(later);
        reset.Begin(work, this, request);
        reset.Reapply(work, later, request);
        reset.ScheduleWorkflowTask(work, 1);
        reset.Arm();
        return reset;
    }

    /// <summary>The runs whose later events are applied again: this one, and those that continued it unless only this is wanted.</summary>
    private List<(Run Run, int From)> LaterRuns(ResetWorkflowExecutionRequest request)
    {
        var runs = new List<(Run, int)> { (this, (int)request.WorkflowTaskFinishEventId - 1) };
        var last = this;
        while (last.CloseEvent?.WorkflowExecutionContinuedAsNewEventAttributes?.NewExecutionRunId is { } next
            && Chain.Runs.TryGetValue(next, out var continued))
        {
            runs.Add((continued, 0));
            last = continued;
        }

        return runs;
    }

    /// <summary>Source: Temporal: a child that was started behind the cut makes way for its new start, unless it is to outlive its parent.</summary>
    private void RememberLaterChildren(List<(Run Run, int From)> later)
    {
        foreach (var child in later.SelectMany(run => run.Run.history.Skip(run.From)).Select(e => e.StartChildWorkflowExecutionInitiatedEventAttributes).OfType<StartChildWorkflowExecutionInitiatedEventAttributes>())
        {
            laterChildren[child.WorkflowId] = child.ParentClosePolicy == ParentClosePolicy.Terminate;
        }
    }

    /// <summary>Whether this run goes on where the run of that id was cut.</summary>
    public bool Continues(string runId)
    {
        while (runId != RunId)
        {
            if (!Chain.Runs.TryGetValue(runId, out var earlier) || earlier.ResetRunId.Length == 0)
            {
                return false;
            }

            runId = earlier.ResetRunId;
        }

        return true;
    }

    /// <summary>The workflow task at which the history is cut fails, and that failure gives the workflow its new random seed.</summary>
    private void Begin(UnitOfWork work, Run from, ResetWorkflowExecutionRequest request)
    {
        work.Touch(this);
        if (task.Phase == WorkflowTaskPhase.Scheduled)
        {
            Append(work, new HistoryEvent { WorkflowTaskStartedEventAttributes = StartedTaskAttributes(request.Identity, Guid.NewGuid().ToString()) });
        }

        Append(work, new HistoryEvent
        {
            WorkflowTaskFailedEventAttributes = new WorkflowTaskFailedEventAttributes
            {
                ScheduledEventId = task.ScheduledEventId,
                StartedEventId = task.StartedEventId,
                Cause = WorkflowTaskFailedCause.ResetWorkflow,
                Failure = new Failure { Message = request.Reason, Source = "Server", ResetWorkflowFailureInfo = new ResetWorkflowFailureInfo() },
                Identity = request.Identity,
                BaseRunId = from.RunId,
                NewRunId = RunId,
            },
        });
        stickyQueue = null;
        foreach (var child in children.Values.Where(c => c.Execution is null))
        {
            Emit(work, new Effect(EffectKind.StartChild, child.InitiatedEvent.EventId));
        }

        foreach (var effect in UnansweredRequests())
        {
            Emit(work, effect);
        }

        foreach (var activity in activities.Values)
        {
            OfferActivity(work, activity);
        }
    }

    /// <summary>Signals to and cancels of other workflows that were asked for and whose result lies behind the cut.</summary>
    private IEnumerable<Effect> UnansweredRequests()
    {
        var answered = history.Select(e => e.ExternalWorkflowExecutionSignaledEventAttributes?.InitiatedEventId
            ?? e.SignalExternalWorkflowExecutionFailedEventAttributes?.InitiatedEventId
            ?? e.ExternalWorkflowExecutionCancelRequestedEventAttributes?.InitiatedEventId
            ?? e.RequestCancelExternalWorkflowExecutionFailedEventAttributes?.InitiatedEventId
            ?? 0).ToHashSet();
        return history.Where(e => !answered.Contains(e.EventId)).SelectMany(e => e.EventType switch
        {
            EventType.SignalExternalWorkflowExecutionInitiated => [new Effect(EffectKind.SignalExternal, e.EventId)],
            EventType.RequestCancelExternalWorkflowExecutionInitiated => [new Effect(EffectKind.CancelExternal, e.EventId)],
            _ => Array.Empty<Effect>(),
        });
    }

    /// <summary>What came from outside after the cut comes again: signals, cancel requests, accepted updates; then what the caller adds.</summary>
    private void Reapply(UnitOfWork work, List<(Run Run, int From)> later, ResetWorkflowExecutionRequest request)
    {
        var all = request.ResetReapplyType is ResetReapplyType.Unspecified or ResetReapplyType.AllEligible;
        var signals = (all || request.ResetReapplyType == ResetReapplyType.Signal) && !request.ResetReapplyExcludeTypes.Contains(ResetReapplyExcludeType.Signal);
        var updates = all && !request.ResetReapplyExcludeTypes.Contains(ResetReapplyExcludeType.Update);
        var cancels = all && !request.ResetReapplyExcludeTypes.Contains(ResetReapplyExcludeType.CancelRequest);
        foreach (var e in later.SelectMany(run => run.Run.history.Skip(run.From)))
        {
            if (signals && e.WorkflowExecutionSignaledEventAttributes is { } signal)
            {
                Reappend(work, e, new HistoryEvent { WorkflowExecutionSignaledEventAttributes = signal.Clone() });
            }
            else if (cancels && e.WorkflowExecutionCancelRequestedEventAttributes is { } cancel && !CancelRequested)
            {
                Reappend(work, e, new HistoryEvent { WorkflowExecutionCancelRequestedEventAttributes = cancel.Clone() });
            }
            else if (updates && e.WorkflowExecutionUpdateAcceptedEventAttributes?.AcceptedRequest is { } update)
            {
                this.updates.TryAdd(update.Meta.UpdateId, new UpdateState(update.Meta.UpdateId, update.Clone()));
            }
        }

        foreach (var signal in request.PostResetOperations.Select(o => o.SignalWorkflow).OfType<PostResetOperation.Types.SignalWorkflow>())
        {
            var e = Append(work, new HistoryEvent
            {
                WorkflowExecutionSignaledEventAttributes = new WorkflowExecutionSignaledEventAttributes
                {
                    SignalName = signal.SignalName,
                    Input = signal.Input,
                    Header = signal.Header,
                    Identity = request.Identity,
                },
            });
            e.Links.Add(signal.Links);
        }
    }

    private void Reappend(UnitOfWork work, HistoryEvent original, HistoryEvent copy)
    {
        copy.UserMetadata = original.UserMetadata;
        copy.Links.Add(original.Links);
        Append(work, copy);
    }
}
