using System.Text.Json.Serialization;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// The right of one run to keep one guest frozen, written before the freeze and ended after the thaw. It lies on the compute host, so that the truth about a
/// freeze survives every process that took part in it.
/// </summary>
/// <param name="Server">The server; a guest has at most one open lease.</param>
/// <param name="RunToken">Whose freeze it is. The same token again is the same lease.</param>
/// <param name="AgentAddress">Where the guest agent listens.</param>
/// <param name="RequestedAt">When the lease was written, before the freeze call; wall clock of the host, for people.</param>
/// <param name="DeadlineAt">When the freeze has to be over, on the same clock.</param>
/// <param name="Deadline">When the freeze has to be over; only this decides.</param>
/// <param name="Holder">The process that last talked to the agent under this lease.</param>
/// <param name="FreezePending">The holder may still call for a freeze, or is waiting for the answer: while it lives, a thawed guest may freeze later.</param>
/// <param name="FrozenAt">When the agent confirmed the freeze; null while that is not known.</param>
/// <param name="End">How the freeze ended; null while it may go on.</param>
public sealed record FreezeLease(
    ServerId Server,
    string RunToken,
    string AgentAddress,
    DateTimeOffset RequestedAt,
    DateTimeOffset DeadlineAt,
    HostInstant Deadline,
    ProcessIdentity Holder,
    bool FreezePending,
    DateTimeOffset? FrozenAt,
    FreezeLeaseEnd? End)
{
    /// <summary>The request that the freeze is part of, <c>req-…</c>, for the log of whoever ends it; null when nobody said.</summary>
    public string? RequestId { get; init; }

    /// <summary>The caller's own id of that request; null when there is none.</summary>
    public string? GlobalRequestId { get; init; }

    /// <summary>The project on whose behalf the guest is frozen; null when nobody said.</summary>
    public string? ProjectId { get; init; }

    /// <summary>The run of the workflow that holds the freeze, as Temporal counts runs; null when nobody said.</summary>
    public string? RunId { get; init; }

    /// <summary>The trace that the freeze is part of, 32 hexadecimal digits; null when nothing is traced.</summary>
    public string? TraceId { get; init; }

    /// <summary>Whether the guest may still be frozen under this lease.</summary>
    [JsonIgnore]
    public bool IsOpen => End is null;

    /// <summary>
    /// Whether somebody may still freeze the guest under this lease. Whoever finds the guest thawed may end the lease only if this was false <i>before</i> he
    /// asked the guest.
    /// </summary>
    [JsonIgnore]
    public bool MayFreezeLater => FreezePending && Holder.IsAlive;

    /// <summary>Whether the deadline has passed.</summary>
    public bool HasExpired(HostInstant now) => now.Until(Deadline) <= TimeSpan.Zero;
}

/// <summary>Who ended a lease. Stored as the lower-case name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LeaseEnder>))]
public enum LeaseEnder
{
    /// <summary>The run that took it, through its compute worker.</summary>
    [JsonStringEnumMemberName("run")] Run,

    /// <summary>The guard, because the deadline had passed.</summary>
    [JsonStringEnumMemberName("guard")] Guard,
}

/// <summary>How a freeze ended.</summary>
/// <param name="By">Who thawed the guest for good.</param>
/// <param name="ThawedAt">When the agent confirmed that the guest is thawed, wall clock of the host.</param>
/// <param name="WasFrozen">Whether it was still frozen when the thaw was asked for.</param>
/// <param name="Expired">The deadline had passed by then, or somebody else had thawed a guest whose freeze was confirmed.</param>
/// <param name="AgentError">What the agent reported while thawing; null when nothing.</param>
public sealed record FreezeLeaseEnd(LeaseEnder By, DateTimeOffset ThawedAt, bool WasFrozen, bool Expired, string? AgentError);
