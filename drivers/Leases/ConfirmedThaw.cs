using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>A guest that its agent says is thawed.</summary>
/// <param name="At">When the agent confirmed it, wall clock of the host.</param>
/// <param name="WasFrozen">Whether it was frozen right before.</param>
/// <param name="AgentError">What the agent reported while thawing; null when nothing.</param>
public sealed record ConfirmedThaw(DateTimeOffset At, bool WasFrozen, string? AgentError)
{
    /// <summary>
    /// Thaws a guest and believes nothing but its status. An agent may answer the thaw with an error and have thawed all the same: Windows' VSS ends a freeze by
    /// itself after 10 s, and the thaw then fails.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.BackendUnavailable"/>: not confirmed; ask again until it is.</exception>
    public static async Task<ConfirmedThaw> AskAsync(IGuestAgent agent, TimeProvider time, CancellationToken ct)
    {
        try
        {
            var thaw = await agent.ThawAsync(ct).ConfigureAwait(false);
            return new(thaw.At, thaw.WasFrozen, null);
        }
        catch (SnapshotFlowException e) when (e.Kind is ErrorKind.BackendRefused)
        {
            return await agent.StatusAsync(ct).ConfigureAwait(false) is GuestFreezeStatus.Thawed
                ? new(time.GetUtcNow(), WasFrozen: false, e.Message)
                : throw new SnapshotFlowException(ErrorKind.BackendUnavailable, e.Message, e);
        }
    }
}
