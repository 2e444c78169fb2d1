namespace SnapshotFlow.TemporalDev.Engine;

internal enum WorkflowTaskPhase
{
    None,
    Scheduled,
    Started,
}

/// <summary>The one workflow task that a run may have.</summary>
internal sealed class WorkflowTaskState
{
    public WorkflowTaskPhase Phase { get; set; }

    public long ScheduledEventId { get; set; }

    public long StartedEventId { get; set; }

    /// <summary>1 for an ordinary task. From 2 on the task is transient: its events are written only when it completes.</summary>
    public int Attempt { get; set; } = 1;

    public DateTimeOffset ScheduledTime { get; set; }

    /// <summary>When the first attempt was scheduled.</summary>
    public DateTimeOffset OriginalScheduledTime { get; set; }

    public DateTimeOffset StartedTime { get; set; }

    /// <summary>The sticky queue to which the task was offered; null for the normal queue.</summary>
    public string? StickyQueue { get; set; }

    /// <summary>A broken workflow's next attempt waits until then.</summary>
    public DateTimeOffset? BackoffUntil { get; set; }

    public string RequestId { get; set; } = "";

    public string Identity { get; set; } = "";

    /// <summary>
    /// Made only to carry updates: its events are written when anything else happens to the run or when it has an effect. If its worker
    /// rejects all that it carries, it leaves no trace.
    /// </summary>
    public bool IsSpeculative { get; set; }

    [System.Text.Json.Serialization.JsonIgnore]
    public bool IsTransient => Attempt > 1;

    /// <summary>Its events are not in the history yet.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool IsUnwritten => IsTransient || IsSpeculative;

    public void CopyFrom(WorkflowTaskState other)
    {
        Phase = other.Phase;
        ScheduledEventId = other.ScheduledEventId;
        StartedEventId = other.StartedEventId;
        Attempt = other.Attempt;
        ScheduledTime = other.ScheduledTime;
        OriginalScheduledTime = other.OriginalScheduledTime;
        StartedTime = other.StartedTime;
        StickyQueue = other.StickyQueue;
        BackoffUntil = other.BackoffUntil;
        RequestId = other.RequestId;
        Identity = other.Identity;
        IsSpeculative = other.IsSpeculative;
    }
}
