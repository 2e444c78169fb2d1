using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>A timer that a workflow has started.</summary>
internal sealed class PendingTimer(long startedEventId, DateTimeOffset due)
{
    public long StartedEventId { get; } = startedEventId;

    public DateTimeOffset Due { get; } = due;

    /// <summary>It has fired, and its event waits for the end of the started workflow task.</summary>
    public bool Fired { get; set; }
}

/// <summary>Timers of the workflow.</summary>
internal sealed partial class Run
{
    private readonly Dictionary<string, PendingTimer> timers = new(StringComparer.Ordinal);

    public bool HasTimer(string timerId) => timers.ContainsKey(timerId);

    private void StartTimer(Completion completion, Command command)
    {
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            TimerStartedEventAttributes = new TimerStartedEventAttributes
            {
                TimerId = command.StartTimerCommandAttributes.TimerId,
                StartToFireTimeout = command.StartTimerCommandAttributes.StartToFireTimeout,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
            },
        });
        Arm(new Deadline(DeadlineKind.Timer, e.EventId, 0, command.StartTimerCommandAttributes.TimerId));
    }

    private void CancelTimer(Completion completion, Command command)
    {
        var timerId = command.CancelTimerCommandAttributes.TimerId;
        AppendFrom(completion, command, new HistoryEvent
        {
            TimerCanceledEventAttributes = new TimerCanceledEventAttributes
            {
                TimerId = timerId,
                StartedEventId = timers[timerId].StartedEventId,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                Identity = completion.Request.Identity,
            },
        });
    }

    private void FireTimer(UnitOfWork work, string timerId) => Occur(work, new HistoryEvent
    {
        TimerFiredEventAttributes = new TimerFiredEventAttributes { TimerId = timerId, StartedEventId = timers[timerId].StartedEventId },
    });

    private void ApplyTimer(HistoryEvent e)
    {
        switch (e.AttributesCase)
        {
            case HistoryEvent.AttributesOneofCase.TimerStartedEventAttributes:
                var started = e.TimerStartedEventAttributes;
                var due = ProtoTime.Later(ProtoTime.Instant(e.EventTime), ProtoTime.Span(started.StartToFireTimeout));
                timers[started.TimerId] = new PendingTimer(e.EventId, due);
                break;
            case HistoryEvent.AttributesOneofCase.TimerFiredEventAttributes:
                timers.Remove(e.TimerFiredEventAttributes.TimerId);
                break;
            default:
                timers.Remove(e.TimerCanceledEventAttributes.TimerId);
                break;
        }
    }
}
