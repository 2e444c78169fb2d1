using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Matching;

internal enum TaskKind
{
    Workflow,
    Activity,
    Query,
}

/// <summary>Names a queue: <c>(namespace, name, type)</c>. Sticky queues are ordinary queues with a name that a worker made up.</summary>
internal readonly record struct QueueKey(string Namespace, string Name, TaskQueueType Type);

/// <summary>
/// A hint that a run has work. It holds nothing of the work itself: whoever takes it asks the run, under the run's lock, whether
/// the task is still there in this attempt, so that cancelling or timing out a queued task needs no search in any queue.
/// </summary>
internal sealed class TaskOffer(Run run, TaskKind kind, QueueKey queue, long eventId, int attempt, int priority = TaskOffer.DefaultPriority)
{
    /// <summary>Source: temporal.api.common.v1.Priority: keys 1 (first) to 5, default 3.</summary>
    public const int DefaultPriority = 3;

    public Run Run { get; } = run;

    public TaskKind Kind { get; } = kind;

    public QueueKey Queue { get; } = queue;

    /// <summary>The scheduled event of a workflow or activity task; unused for a query.</summary>
    public long EventId { get; } = eventId;

    public int Attempt { get; } = attempt;

    public int Priority { get; } = priority is >= 1 and <= 5 ? priority : DefaultPriority;

    public string? QueryId { get; init; }

    /// <summary>Place in the queue, given at the first offer and kept when a dead poller gives the task back.</summary>
    public long Sequence { get; set; }

    public DateTimeOffset OfferedAt { get; set; }
}
