using System.Text.Json.Serialization;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// The right of one run to keep one guest frozen, written before the freeze and ended by the thaw. It lies on the compute host, so that the truth about a
/// freeze survives every process that took part in it.
/// </summary>
/// <param name="Server">The server; a guest has at most one lease.</param>
/// <param name="RunToken">The holder. The same token again is the same lease.</param>
/// <param name="AgentAddress">Where the guest agent listens.</param>
/// <param name="RequestedAt">When the lease was written, before the freeze call; wall clock of the host.</param>
/// <param name="DeadlineAt">When the freeze has to be over.</param>
/// <param name="FrozenAt">When the agent confirmed the freeze; null while that is not known.</param>
/// <param name="End">How the freeze ended; null while it may go on.</param>
public sealed record FreezeLease(
    ServerId Server, string RunToken, string AgentAddress, DateTimeOffset RequestedAt, DateTimeOffset DeadlineAt, DateTimeOffset? FrozenAt, FreezeLeaseEnd? End)
{
    /// <summary>Whether the guest may still be frozen under this lease.</summary>
    [JsonIgnore]
    public bool IsOpen => End is null;
}

/// <summary>How a freeze ended.</summary>
/// <param name="ThawedAt">When the agent confirmed that the guest is thawed.</param>
/// <param name="WasFrozen">Whether it was still frozen when the thaw was asked for.</param>
/// <param name="Expired">The deadline had passed by then, or somebody else had thawed the guest.</param>
/// <param name="AgentError">What the agent reported while thawing; null when nothing.</param>
public sealed record FreezeLeaseEnd(DateTimeOffset ThawedAt, bool WasFrozen, bool Expired, string? AgentError);
