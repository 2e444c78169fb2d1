using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// Delivers what one run owes to another. Never under the source's lock: each delivery is a transition of the target, and then one
/// of the source that takes the effect out of its outbox. A crash in between repeats the first, which changes nothing.
/// </summary>
internal sealed partial class EngineHost
{
    public void Dispatch(Run source, Effect effect) => background.Start(() => effect.Kind switch
    {
        EffectKind.StartChild => StartChildAsync(source, effect),
        EffectKind.SignalExternal => SignalExternalAsync(source, effect),
        EffectKind.CancelExternal => CancelExternalAsync(source, effect),
        EffectKind.NotifyParent => NotifyParentAsync(source, effect),
        _ => ApplyParentClosePolicyAsync(source, effect),
    });

    private static T Peek<T>(Run run, Func<T> read)
    {
        lock (run.Chain.Gate)
        {
            return read();
        }
    }

    private static string RequestId(Run source, Effect effect) => $"{source.RunId}:{effect.EventId}";

    private async Task StartChildAsync(Run source, Effect effect)
    {
        if (!Peek(source, () => source.Outbox.Contains(effect)))
        {
            return;
        }

        var initiated = Peek(source, () => source.Event(effect.EventId)).StartChildWorkflowExecutionInitiatedEventAttributes;
        StartChildWorkflowExecutionFailedCause? failed = null;
        Run? child = null;
        try
        {
            if (Namespaces.Contains(initiated.Namespace))
            {
                var outcome = await StartAsync(initiated.Namespace, initiated.WorkflowId, source.ChildStart(effect, RequestId(source, effect)));
                child = outcome.Started || IsChild(outcome.Run, source) ? outcome.Run : null;
                failed = StartChildWorkflowExecutionFailedCause.WorkflowAlreadyExists;
            }
            else
            {
                failed = StartChildWorkflowExecutionFailedCause.NamespaceNotFound;
            }
        }
        catch (Fault fault) when (fault.Code == StatusCode.AlreadyExists)
        {
            failed = StartChildWorkflowExecutionFailedCause.WorkflowAlreadyExists;
        }

        await TransitAsync(source, work =>
        {
            if (child is null)
            {
                source.ChildStartFailed(work, effect, failed!.Value);
            }
            else
            {
                source.ChildStarted(work, effect, Run.ExecutionOf(child));
            }
        });
    }

    private async Task SignalExternalAsync(Run source, Effect effect)
    {
        var initiated = Peek(source, () => source.Event(effect.EventId)).SignalExternalWorkflowExecutionInitiatedEventAttributes;
        SignalExternalWorkflowExecutionFailedCause? failed = null;
        var target = initiated.WorkflowExecution;
        try
        {
            if (!Namespaces.Contains(initiated.Namespace))
            {
                failed = SignalExternalWorkflowExecutionFailedCause.NamespaceNotFound;
            }
            else
            {
                var run = await FindTargetAsync(source, initiated.Namespace, target, initiated.ChildWorkflowOnly);
                await TransitAsync(run, work => run.Signal(work, new WorkflowExecutionSignaledEventAttributes
                {
                    SignalName = initiated.SignalName,
                    Input = initiated.Input,
                    Header = initiated.Header,
                    Identity = "history-service",
                    ExternalWorkflowExecution = Run.ExecutionOf(source),
                    RequestId = RequestId(source, effect),
                }));
            }
        }
        catch (Fault fault) when (fault.Code is StatusCode.NotFound or StatusCode.InvalidArgument)
        {
            failed = SignalExternalWorkflowExecutionFailedCause.ExternalWorkflowExecutionNotFound;
        }

        var result = failed is null
            ? new HistoryEvent
            {
                ExternalWorkflowExecutionSignaledEventAttributes = new ExternalWorkflowExecutionSignaledEventAttributes
                {
                    InitiatedEventId = effect.EventId,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = target,
                    Control = initiated.Control,
                },
            }
            : new HistoryEvent
            {
                SignalExternalWorkflowExecutionFailedEventAttributes = new SignalExternalWorkflowExecutionFailedEventAttributes
                {
                    Cause = failed.Value,
                    WorkflowTaskCompletedEventId = initiated.WorkflowTaskCompletedEventId,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = target,
                    InitiatedEventId = effect.EventId,
                    Control = initiated.Control,
                },
            };
        await TransitAsync(source, work => source.ExternalDelivered(work, effect, result));
    }

    private async Task CancelExternalAsync(Run source, Effect effect)
    {
        var initiated = Peek(source, () => source.Event(effect.EventId)).RequestCancelExternalWorkflowExecutionInitiatedEventAttributes;
        CancelExternalWorkflowExecutionFailedCause? failed = null;
        var target = initiated.WorkflowExecution;
        try
        {
            if (!Namespaces.Contains(initiated.Namespace))
            {
                failed = CancelExternalWorkflowExecutionFailedCause.NamespaceNotFound;
            }
            else
            {
                var run = await FindTargetAsync(source, initiated.Namespace, target, initiated.ChildWorkflowOnly);
                await TransitAsync(run, work => run.RequestCancel(work, new WorkflowExecutionCancelRequestedEventAttributes
                {
                    Cause = initiated.Reason,
                    ExternalInitiatedEventId = effect.EventId,
                    ExternalWorkflowExecution = Run.ExecutionOf(source),
                    Identity = "history-service",
                }));
            }
        }
        catch (Fault fault) when (fault.Code is StatusCode.NotFound or StatusCode.InvalidArgument)
        {
            failed = CancelExternalWorkflowExecutionFailedCause.ExternalWorkflowExecutionNotFound;
        }

        var result = failed is null
            ? new HistoryEvent
            {
                ExternalWorkflowExecutionCancelRequestedEventAttributes = new ExternalWorkflowExecutionCancelRequestedEventAttributes
                {
                    InitiatedEventId = effect.EventId,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = target,
                },
            }
            : new HistoryEvent
            {
                RequestCancelExternalWorkflowExecutionFailedEventAttributes = new RequestCancelExternalWorkflowExecutionFailedEventAttributes
                {
                    Cause = failed.Value,
                    WorkflowTaskCompletedEventId = initiated.WorkflowTaskCompletedEventId,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = target,
                    InitiatedEventId = effect.EventId,
                    Control = initiated.Control,
                },
            };
        await TransitAsync(source, work => source.ExternalDelivered(work, effect, result));
    }

    /// <summary>The target of a signal or cancel; for "child only" it must be this run's child.</summary>
    private async Task<Run> FindTargetAsync(Run source, string @namespace, WorkflowExecution target, bool childOnly)
    {
        var run = await FindAsync(@namespace, target);
        return !childOnly || IsChild(run, source) ? run : throw Fault.WorkflowNotFound(target.WorkflowId);
    }

    private static bool IsChild(Run run, Run source) => run.Started.ParentWorkflowExecution is { } parent
        && parent.WorkflowId == source.Chain.WorkflowId && Peek(source, () => source.Continues(parent.RunId));

    private async Task NotifyParentAsync(Run source, Effect effect)
    {
        var started = source.Started;
        var close = Peek(source, () => source.Event(effect.EventId));
        try
        {
            var parent = await FindParentAsync(started);
            await TransitAsync(parent, work => parent.ChildClosed(
                work, started.ParentInitiatedEventId, source.FirstRunId, Run.ExecutionOf(source), close));
        }
        catch (Fault fault) when (fault.Code == StatusCode.NotFound)
        {
            // The parent was deleted: nobody is left to be told.
        }

        await TransitAsync(source, work => source.Settle(work, effect));
    }

    /// <summary>The run that waits for the child: the one that started it, or the one to which that was reset.</summary>
    private async Task<Run> FindParentAsync(WorkflowExecutionStartedEventAttributes child)
    {
        var parent = await FindAsync(child.ParentWorkflowNamespace, child.ParentWorkflowExecution);
        while (!parent.IsOpen && parent.ResetRunId.Length > 0)
        {
            parent = await FindAsync(child.ParentWorkflowNamespace, parent.Chain.WorkflowId, parent.ResetRunId);
        }

        return parent;
    }

    private async Task ApplyParentClosePolicyAsync(Run source, Effect effect)
    {
        var initiated = Peek(source, () => source.Event(effect.EventId)).StartChildWorkflowExecutionInitiatedEventAttributes;
        try
        {
            var child = await FindChildAsync(source, initiated, effect.ChildRunId);
            await TransitAsync(child, work =>
            {
                if (!child.IsOpen)
                {
                    return;
                }

                if (initiated.ParentClosePolicy == ParentClosePolicy.RequestCancel)
                {
                    child.RequestCancel(work, new WorkflowExecutionCancelRequestedEventAttributes
                    {
                        Cause = "by parent close policy",
                        Identity = "history-service",
                        ExternalInitiatedEventId = effect.EventId,
                        ExternalWorkflowExecution = Run.ExecutionOf(source),
                    });
                }
                else
                {
                    child.Terminate(work, "by parent close policy", null, "history-service");
                }
            });
        }
        catch (Fault fault) when (fault.Code == StatusCode.NotFound)
        {
            // The child never started, or is gone already.
        }

        await TransitAsync(source, work => source.Settle(work, effect));
    }

    /// <summary>The newest run of this run's child, which may have been continued since it was started.</summary>
    private async Task<Run> FindChildAsync(Run source, StartChildWorkflowExecutionInitiatedEventAttributes initiated, string firstRunId)
    {
        var current = await FindAsync(initiated.Namespace, initiated.WorkflowId, "");
        var isOurs = firstRunId.Length == 0 ? IsChild(current, source) : current.FirstRunId == firstRunId;
        return isOurs ? current : throw Fault.WorkflowNotFound(initiated.WorkflowId);
    }
}
