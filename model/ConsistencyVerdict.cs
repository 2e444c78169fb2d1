namespace SnapshotFlow.Model;

/// <summary>What is known of a freeze once it is over.</summary>
/// <param name="FrozenAt">When the guest confirmed the freeze; null when it never did.</param>
/// <param name="ThawedAt">When the guest confirmed the thaw; null when it never did.</param>
/// <param name="HeldThroughout">Every cut was answered before the thaw was asked for, and the guest was still frozen when it was.</param>
/// <param name="LeaseExpired">The freeze deadline passed first.</param>
/// <param name="AgentError">What the agent said went wrong while thawing, for example that Windows' VSS had given up.</param>
public sealed record FreezeTruth(DateTimeOffset? FrozenAt, DateTimeOffset? ThawedAt, bool HeldThroughout, bool LeaseExpired, string? AgentError);

/// <summary>
/// The rule behind <see cref="Consistency"/>. It compares no clocks of different hosts: the order "freeze confirmed, cuts asked for, cuts answered, thaw
/// asked for" is that of one workflow history, and the guest itself says whether it was still frozen at the end of it.
/// </summary>
public static class ConsistencyVerdict
{
    /// <summary>Judges a set of cuts.</summary>
    /// <param name="running">Whether the server was running.</param>
    /// <param name="freeze">What is known of the freeze; null when none was tried.</param>
    /// <param name="notFrozenBecause">Why none was tried, or why it failed; null when it succeeded.</param>
    /// <param name="cuts">The cuts.</param>
    public static Evidence Judge(bool running, FreezeTruth? freeze, string? notFrozenBecause, IReadOnlyList<VolumeCut> cuts)
    {
        var (consistency, reason) = (running, Doubt(freeze, notFrozenBecause), cuts.FirstOrDefault(c => !c.PointInTime)) switch
        {
            (false, _, _) => (Consistency.Offline, null),
            (true, null, _) => (Consistency.Application, null),
            (true, { } doubt, null) => (Consistency.Crash, doubt),
            (true, { } doubt, { } cut) => (Consistency.None, $"{doubt}; volume {cut.Volume} was copied while it could be written to"),
        };
        return new Evidence(consistency, reason, freeze?.FrozenAt, freeze?.ThawedAt, freeze?.LeaseExpired ?? false, cuts);
    }

    private static string? Doubt(FreezeTruth? freeze, string? notFrozenBecause) => (freeze, notFrozenBecause) switch
    {
        (_, { } why) => why,
        (null, null) => "the guest was not frozen",
        ({ FrozenAt: null }, _) => "the guest never confirmed the freeze",
        ({ ThawedAt: null }, _) => "the guest never confirmed the thaw",
        ({ LeaseExpired: true }, _) => "the freeze deadline passed before the last volume was cut",
        ({ AgentError: { } error }, _) => $"the guest agent reported while thawing: {error}",
        ({ HeldThroughout: false }, _) => "the guest was thawed before the last volume was cut",
        _ => null,
    };
}
