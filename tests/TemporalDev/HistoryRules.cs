using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>What is true of every history, whatever happened to the server that wrote it.</summary>
internal static class HistoryRules
{
    private static readonly HashSet<EventType> Closing =
    [
        EventType.WorkflowExecutionCompleted, EventType.WorkflowExecutionFailed, EventType.WorkflowExecutionCanceled, EventType.WorkflowExecutionTerminated,
        EventType.WorkflowExecutionTimedOut, EventType.WorkflowExecutionContinuedAsNew,
    ];

    public static bool Closes(HistoryEvent e) => Closing.Contains(e.EventType);

    /// <summary>Every rule that the history breaks, in words.</summary>
    public static IEnumerable<string> Broken(IReadOnlyList<HistoryEvent> history)
    {
        var closed = new HashSet<long>();
        var timers = new Dictionary<string, long>();
        var updates = new HashSet<string>();
        var answered = new HashSet<string>();
        var signals = new HashSet<string>();
        for (var i = 0; i < history.Count; i++)
        {
            var e = history[i];
            if (e.EventId != i + 1)
            {
                yield return $"event {i + 1} has id {e.EventId}";
                yield break;
            }

            if (i == 0 != (e.EventType == EventType.WorkflowExecutionStarted))
            {
                yield return $"event {e.EventId} is {e.EventType}";
            }

            if (Closes(e) && i != history.Count - 1)
            {
                yield return $"{e.EventType} is event {e.EventId} of {history.Count}: something follows the close";
            }

            foreach (var (id, types, once) in References(e))
            {
                if (id < 1 || id >= e.EventId || !types.Contains(history[(int)id - 1].EventType))
                {
                    yield return $"{e.EventType} {e.EventId} refers to event {id}, which is {(id >= 1 && id < e.EventId ? history[(int)id - 1].EventType : "not before it")}";
                }
                else if (once && !closed.Add(id))
                {
                    yield return $"{e.EventType} {e.EventId} closes event {id} a second time";
                }
            }

            if (e.TimerStartedEventAttributes is { } timer && !timers.TryAdd(timer.TimerId, e.EventId))
            {
                yield return $"timer {timer.TimerId} is started while it runs";
            }

            if ((e.TimerFiredEventAttributes?.TimerId ?? e.TimerCanceledEventAttributes?.TimerId) is { } ended && !timers.Remove(ended))
            {
                yield return $"timer {ended} ends and was not running";
            }

            if (e.WorkflowExecutionUpdateAcceptedEventAttributes is { } accepted && !updates.Add(accepted.ProtocolInstanceId))
            {
                yield return $"update {accepted.ProtocolInstanceId} is accepted twice";
            }

            if (e.WorkflowExecutionUpdateCompletedEventAttributes is { } completed && (!updates.Contains(completed.Meta.UpdateId) || !answered.Add(completed.Meta.UpdateId)))
            {
                yield return $"update {completed.Meta.UpdateId} is completed twice or without acceptance";
            }

            if (e.WorkflowExecutionSignaledEventAttributes is { RequestId.Length: > 0 } signaled && !signals.Add(signaled.RequestId))
            {
                yield return $"signal request {signaled.RequestId} is written twice";
            }
        }
    }

    /// <summary>The earlier events to which an event refers, what those must be, and whether this reference closes them.</summary>
    private static IEnumerable<(long Id, EventType[] Types, bool Once)> References(HistoryEvent e)
    {
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.WorkflowTaskStartedEventAttributes:
                yield return (e.WorkflowTaskStartedEventAttributes.ScheduledEventId, [EventType.WorkflowTaskScheduled], false);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskCompletedEventAttributes:
                yield return (e.WorkflowTaskCompletedEventAttributes.ScheduledEventId, [EventType.WorkflowTaskScheduled], true);
                yield return (e.WorkflowTaskCompletedEventAttributes.StartedEventId, [EventType.WorkflowTaskStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskFailedEventAttributes:
                yield return (e.WorkflowTaskFailedEventAttributes.ScheduledEventId, [EventType.WorkflowTaskScheduled], true);
                yield return (e.WorkflowTaskFailedEventAttributes.StartedEventId, [EventType.WorkflowTaskStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowTaskTimedOutEventAttributes:
                yield return (e.WorkflowTaskTimedOutEventAttributes.ScheduledEventId, [EventType.WorkflowTaskScheduled], true);
                if (e.WorkflowTaskTimedOutEventAttributes.TimeoutType != TimeoutType.ScheduleToStart)
                {
                    yield return (e.WorkflowTaskTimedOutEventAttributes.StartedEventId, [EventType.WorkflowTaskStarted], true);
                }

                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskScheduledEventAttributes:
                yield return (e.ActivityTaskScheduledEventAttributes.WorkflowTaskCompletedEventId, [EventType.WorkflowTaskCompleted], false);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskStartedEventAttributes:
                yield return (e.ActivityTaskStartedEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], false);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskCompletedEventAttributes:
                yield return (e.ActivityTaskCompletedEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], true);
                yield return (e.ActivityTaskCompletedEventAttributes.StartedEventId, [EventType.ActivityTaskStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskFailedEventAttributes:
                yield return (e.ActivityTaskFailedEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], true);
                yield return (e.ActivityTaskFailedEventAttributes.StartedEventId, [EventType.ActivityTaskStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskTimedOutEventAttributes:
                yield return (e.ActivityTaskTimedOutEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], true);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskCancelRequestedEventAttributes:
                yield return (e.ActivityTaskCancelRequestedEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], false);
                break;
            case HistoryEvent.AttributesOneofCase.ActivityTaskCanceledEventAttributes:
                yield return (e.ActivityTaskCanceledEventAttributes.ScheduledEventId, [EventType.ActivityTaskScheduled], true);
                break;
            case HistoryEvent.AttributesOneofCase.TimerFiredEventAttributes:
                yield return (e.TimerFiredEventAttributes.StartedEventId, [EventType.TimerStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.TimerCanceledEventAttributes:
                yield return (e.TimerCanceledEventAttributes.StartedEventId, [EventType.TimerStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionStartedEventAttributes:
                yield return (e.ChildWorkflowExecutionStartedEventAttributes.InitiatedEventId, [EventType.StartChildWorkflowExecutionInitiated], false);
                break;
            case HistoryEvent.AttributesOneofCase.StartChildWorkflowExecutionFailedEventAttributes:
                yield return (e.StartChildWorkflowExecutionFailedEventAttributes.InitiatedEventId, [EventType.StartChildWorkflowExecutionInitiated], true);
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionCompletedEventAttributes:
                yield return (e.ChildWorkflowExecutionCompletedEventAttributes.InitiatedEventId, [EventType.StartChildWorkflowExecutionInitiated], true);
                yield return (e.ChildWorkflowExecutionCompletedEventAttributes.StartedEventId, [EventType.ChildWorkflowExecutionStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.ChildWorkflowExecutionFailedEventAttributes:
                yield return (e.ChildWorkflowExecutionFailedEventAttributes.InitiatedEventId, [EventType.StartChildWorkflowExecutionInitiated], true);
                yield return (e.ChildWorkflowExecutionFailedEventAttributes.StartedEventId, [EventType.ChildWorkflowExecutionStarted], true);
                break;
            case HistoryEvent.AttributesOneofCase.ExternalWorkflowExecutionSignaledEventAttributes:
                yield return (e.ExternalWorkflowExecutionSignaledEventAttributes.InitiatedEventId, [EventType.SignalExternalWorkflowExecutionInitiated], true);
                break;
            case HistoryEvent.AttributesOneofCase.SignalExternalWorkflowExecutionFailedEventAttributes:
                yield return (e.SignalExternalWorkflowExecutionFailedEventAttributes.InitiatedEventId, [EventType.SignalExternalWorkflowExecutionInitiated], true);
                break;
            case HistoryEvent.AttributesOneofCase.WorkflowExecutionUpdateCompletedEventAttributes:
                yield return (e.WorkflowExecutionUpdateCompletedEventAttributes.AcceptedEventId, [EventType.WorkflowExecutionUpdateAccepted], true);
                break;
        }
    }
}
