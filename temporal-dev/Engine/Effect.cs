namespace SnapshotFlow.TemporalDev.Engine;

internal enum EffectKind
{
    StartChild,
    SignalExternal,
    CancelExternal,

    /// <summary>Tell the parent that this run has closed.</summary>
    NotifyParent,

    /// <summary>Do to a child what its parent close policy says.</summary>
    ApplyParentClosePolicy,
}

/// <summary>
/// What a run owes to another run. It is delivered after the run's own transition is durable, and repeated after a restart, so
/// every delivery is safe to repeat: its request id is this run's id and the event id.
/// </summary>
/// <param name="EventId">The initiated event, or the close event of <see cref="EffectKind.NotifyParent"/>.</param>
/// <param name="ChildRunId">The child's run where the history alone does not say it.</param>
internal sealed record Effect(EffectKind Kind, long EventId, string ChildRunId = "");
