namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>How a child's close reads in its parent's history.</summary>
internal static class ChildEvents
{
    public static HistoryEvent Closed(PendingChild pending, WorkflowExecution child, HistoryEvent close)
    {
        var initiated = pending.Initiated;
        return close.AttributesCase switch
        {
            HistoryEvent.AttributesOneofCase.WorkflowExecutionCompletedEventAttributes => new HistoryEvent
            {
                ChildWorkflowExecutionCompletedEventAttributes = new ChildWorkflowExecutionCompletedEventAttributes
                {
                    Result = close.WorkflowExecutionCompletedEventAttributes.Result,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = child,
                    WorkflowType = initiated.WorkflowType,
                    InitiatedEventId = pending.InitiatedEvent.EventId,
                },
            },
            HistoryEvent.AttributesOneofCase.WorkflowExecutionFailedEventAttributes => new HistoryEvent
            {
                ChildWorkflowExecutionFailedEventAttributes = new ChildWorkflowExecutionFailedEventAttributes
                {
                    Failure = close.WorkflowExecutionFailedEventAttributes.Failure,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = child,
                    WorkflowType = initiated.WorkflowType,
                    InitiatedEventId = pending.InitiatedEvent.EventId,
                    RetryState = close.WorkflowExecutionFailedEventAttributes.RetryState,
                },
            },
            HistoryEvent.AttributesOneofCase.WorkflowExecutionCanceledEventAttributes => new HistoryEvent
            {
                ChildWorkflowExecutionCanceledEventAttributes = new ChildWorkflowExecutionCanceledEventAttributes
                {
                    Details = close.WorkflowExecutionCanceledEventAttributes.Details,
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = child,
                    WorkflowType = initiated.WorkflowType,
                    InitiatedEventId = pending.InitiatedEvent.EventId,
                },
            },
            HistoryEvent.AttributesOneofCase.WorkflowExecutionTimedOutEventAttributes => new HistoryEvent
            {
                ChildWorkflowExecutionTimedOutEventAttributes = new ChildWorkflowExecutionTimedOutEventAttributes
                {
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = child,
                    WorkflowType = initiated.WorkflowType,
                    InitiatedEventId = pending.InitiatedEvent.EventId,
                    RetryState = close.WorkflowExecutionTimedOutEventAttributes.RetryState,
                },
            },
            _ => new HistoryEvent
            {
                ChildWorkflowExecutionTerminatedEventAttributes = new ChildWorkflowExecutionTerminatedEventAttributes
                {
                    Namespace = initiated.Namespace,
                    NamespaceId = initiated.NamespaceId,
                    WorkflowExecution = child,
                    WorkflowType = initiated.WorkflowType,
                    InitiatedEventId = pending.InitiatedEvent.EventId,
                },
            },
        };
    }

    /// <summary>The initiated event of a closing child event; null for any other event.</summary>
    public static long? InitiatedEventId(HistoryEvent e) =>
        e.ChildWorkflowExecutionCompletedEventAttributes?.InitiatedEventId
        ?? e.ChildWorkflowExecutionFailedEventAttributes?.InitiatedEventId
        ?? e.ChildWorkflowExecutionCanceledEventAttributes?.InitiatedEventId
        ?? e.ChildWorkflowExecutionTimedOutEventAttributes?.InitiatedEventId
        ?? e.ChildWorkflowExecutionTerminatedEventAttributes?.InitiatedEventId;

    public static void SetStartedEventId(HistoryEvent e, long startedEventId)
    {
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionCompletedEventAttributes:
                e.ChildWorkflowExecutionCompletedEventAttributes.StartedEventId = startedEventId;
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionFailedEventAttributes:
                e.ChildWorkflowExecutionFailedEventAttributes.StartedEventId = startedEventId;
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionCanceledEventAttributes:
                e.ChildWorkflowExecutionCanceledEventAttributes.StartedEventId = startedEventId;
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionTimedOutEventAttributes:
                e.ChildWorkflowExecutionTimedOutEventAttributes.StartedEventId = startedEventId;
                break;
            default:
                e.ChildWorkflowExecutionTerminatedEventAttributes.StartedEventId = startedEventId;
                break;
        }
    }
}
