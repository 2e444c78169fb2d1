using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>A run of the server in the words of <see cref="RunModel"/>.</summary>
internal static class RunView
{
    public static string Describe(Run run)
    {
        var names = new Dictionary<long, string>();
        var attempts = new Dictionary<long, int>();
        var timers = new SortedSet<string>(StringComparer.Ordinal);
        var lines = new List<string> { "history:" };
        foreach (var e in run.History)
        {
            if (Entry(e, names, attempts, timers) is { } entry)
            {
                lines.Add(entry);
            }
        }

        lines.Add(run.IsOpen ? "open" : "closed");
        if (run.IsOpen)
        {
            var side = run.Side();
            lines.Add(side.Task.Phase == WorkflowTaskPhase.None ? "no task" : $"task {side.Task.Phase} attempt {side.Task.Attempt}");
            lines.AddRange(side.Activities.Select(a => $"pending activity {names[a.ScheduledEventId]} {a.Phase} attempt {a.Attempt}").Order(StringComparer.Ordinal));
            lines.AddRange(timers.Select(t => $"pending timer {t}"));
            lines.Add($"{side.Buffered.Count} buffered");
        }

        return string.Join('\n', lines);
    }

    private static string? Entry(HistoryEvent e, Dictionary<long, string> names, Dictionary<long, int> attempts, SortedSet<string> timers)
    {
        switch (e.EventType)
        {
            case EventType.ActivityTaskScheduled:
                names[e.EventId] = e.ActivityTaskScheduledEventAttributes.ActivityId;
                return $"activity {names[e.EventId]} scheduled";
            case EventType.ActivityTaskStarted:
                attempts[e.ActivityTaskStartedEventAttributes.ScheduledEventId] = e.ActivityTaskStartedEventAttributes.Attempt;
                return null;
            case EventType.ActivityTaskCancelRequested:
                return $"activity {names[e.ActivityTaskCancelRequestedEventAttributes.ScheduledEventId]} asked to cancel";
            case EventType.ActivityTaskCompleted:
                return Closed(e.ActivityTaskCompletedEventAttributes.ScheduledEventId, "completed");
            case EventType.ActivityTaskFailed:
                return Closed(e.ActivityTaskFailedEventAttributes.ScheduledEventId, "failed");
            case EventType.ActivityTaskTimedOut:
                return Closed(e.ActivityTaskTimedOutEventAttributes.ScheduledEventId, "timed out");
            case EventType.ActivityTaskCanceled:
                return Closed(e.ActivityTaskCanceledEventAttributes.ScheduledEventId, "canceled");
            case EventType.TimerStarted:
                timers.Add(e.TimerStartedEventAttributes.TimerId);
                return $"timer {e.TimerStartedEventAttributes.TimerId} started";
            case EventType.TimerFired:
                timers.Remove(e.TimerFiredEventAttributes.TimerId);
                return $"timer {e.TimerFiredEventAttributes.TimerId} fired";
            case EventType.TimerCanceled:
                timers.Remove(e.TimerCanceledEventAttributes.TimerId);
                return $"timer {e.TimerCanceledEventAttributes.TimerId} canceled";
            default:
                return e.EventType switch
                {
                    EventType.WorkflowExecutionSignaled => $"signal {e.WorkflowExecutionSignaledEventAttributes.SignalName}",
                    EventType.WorkflowExecutionCancelRequested => "cancel requested",
                    EventType.MarkerRecorded => $"marker {e.MarkerRecordedEventAttributes.MarkerName}",
                    EventType.WorkflowTaskCompleted => "task completed",
                    EventType.WorkflowTaskFailed => "task failed",
                    EventType.WorkflowTaskTimedOut => "task timed out",
                    EventType.WorkflowExecutionCompleted => "completed",
                    EventType.WorkflowExecutionFailed => "failed",
                    EventType.WorkflowExecutionTerminated => "terminated",
                    EventType.WorkflowExecutionContinuedAsNew => "continued as new",
                    _ => null,
                };
        }

        string Closed(long scheduled, string how) => attempts.TryGetValue(scheduled, out var attempt)
            ? $"activity {names[scheduled]} {how} attempt {attempt}"
            : $"activity {names[scheduled]} {how}";
    }
}
