using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>
/// The agent inside one guest, as far as snapshots need it: it can make the guest's file systems stand still.
/// <para><b>Words.</b> <i>Freeze</i>: flush every mounted file system and hold back all writes to it; <i>thaw</i>: let them go on. A frozen guest runs,
/// but whatever writes in it waits: each second counts.</para>
/// <para><b>What a caller must know.</b></para>
/// <list type="bullet">
/// <item><description>A freeze outlives its caller, its connection and the agent itself. Nothing thaws a guest but a thaw. So whoever calls
/// <see cref="FreezeAsync"/> owes a <see cref="ThawAsync"/>, <i>whatever came back</i>: after <see cref="ErrorKind.BackendUnavailable"/> the guest may
/// be frozen, or become so when the agent gets to the request.</description></item>
/// <item><description>A freeze that succeeded proves only that the guest was frozen at that moment. The set of cuts is application-consistent only when the
/// thaw after the last cut reports <see cref="GuestThaw.WasFrozen"/> and no fewer <see cref="GuestThaw.ThawedFileSystems"/> than were frozen.</description></item>
/// <item><description>The channel to an agent has one user at a time. An implementation queues its own callers; another process that holds the channel
/// makes calls fail with <see cref="ErrorKind.BackendUnavailable"/> when the deadline passes.</description></item>
/// </list>
/// <para><b>Rules that hold for every method.</b> Each call has a deadline of its own (an option) that includes waiting, connecting and every answer, and it
/// ends by then whatever the agent does. No connection, no answer in time, answer not understood → <see cref="ErrorKind.BackendUnavailable"/>, outcome
/// unknown. The agent answers with an error → <see cref="ErrorKind.BackendRefused"/> with the agent's own text. Cancelling ends the call with
/// <see cref="OperationCanceledException"/> and, like a missed deadline, leaves the outcome unknown. Nothing is retried inside. Safe for concurrent use.</para>
/// <para>Source of the behaviour: QEMU guest agent protocol reference, and measurements with qemu-ga 7.2.</para>
/// </summary>
public interface IGuestAgent
{
    /// <summary>
    /// Asks whether a freeze could work now. An agent that does not answer or refuses is an answer here (<see cref="GuestProbe.Answers"/>,
    /// <see cref="GuestProbe.Reason"/>), not a failure; only cancellation throws. Changes nothing. Cost: about 10 ms.
    /// </summary>
    Task<GuestProbe> ProbeAsync(CancellationToken ct);

    /// <summary>
    /// Freezes all file systems of the guest and confirms it by asking for the status afterwards. Not repeatable: a guest that is already frozen →
    /// <see cref="ErrorKind.StaleStatus"/>, because it is somebody else's freeze, or an earlier one whose answer was lost. Cost: about 40 ms per file
    /// system, more under load, and as long as the guest's freeze hooks take.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.BackendRefused"/>: the agent said no, froze nothing (count 0), or says "thawed" right
    /// after the freeze. <see cref="ErrorKind.BackendUnavailable"/>: unknown, the caller thaws.</exception>
    Task<GuestFreeze> FreezeAsync(CancellationToken ct);

    /// <summary>
    /// Thaws the guest: asks for the status, thaws in any case, confirms. Repeatable: a guest that is not frozen → success with
    /// <see cref="GuestThaw.WasFrozen"/> false. Cost: 15–40 ms.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.BackendRefused"/>: the agent said no, or the guest is still frozen;
    /// <see cref="ErrorKind.BackendUnavailable"/>: unknown, try again until it succeeds.</exception>
    Task<GuestThaw> ThawAsync(CancellationToken ct);

    /// <summary>Whether the guest is frozen, as its agent sees it. Changes nothing. Cost: about 5 ms.</summary>
    Task<GuestFreezeStatus> StatusAsync(CancellationToken ct);
}

/// <summary>Whether a guest's file systems stand still. Source: QEMU guest agent, <c>GuestFsfreezeStatus</c>.</summary>
public enum GuestFreezeStatus
{
    /// <summary>Writes go on.</summary>
    Thawed,

    /// <summary>Writes wait for a thaw.</summary>
    Frozen,
}

/// <summary>What a guest's agent says of itself.</summary>
/// <param name="Answers">Whether it answered at all.</param>
/// <param name="Version">The agent's version; null when it did not answer.</param>
/// <param name="CanFreeze">Whether freeze, thaw and status are there and enabled. They count as enabled in a frozen guest, where the agent disables the freeze
/// itself. Whether a freeze is possible <i>now</i> is this and <paramref name="Status"/> = thawed.</param>
/// <param name="Status">Frozen or thawed; null when unknown.</param>
/// <param name="Reason">Why not, in words for an operator, when <paramref name="Answers"/> or <paramref name="CanFreeze"/> is false; else null.</param>
public sealed record GuestProbe(bool Answers, string? Version, bool CanFreeze, GuestFreezeStatus? Status, string? Reason);

/// <summary>A confirmed freeze.</summary>
/// <param name="FrozenFileSystems">How many file systems stand still, at least 1.</param>
/// <param name="At">When the agent's answer to the freeze arrived, UTC, by this host's clock: the guest writes nothing from here on.</param>
public sealed record GuestFreeze(int FrozenFileSystems, DateTimeOffset At);

/// <summary>A confirmed thaw.</summary>
/// <param name="ThawedFileSystems">How many file systems were let go; 0 when none was frozen. Fewer than were frozen: the freeze did not last.</param>
/// <param name="At">When the agent's answer to the thaw arrived, UTC, by this host's clock: the guest writes again from here on at the latest.</param>
/// <param name="WasFrozen">What the agent said right before the thaw.</param>
public sealed record GuestThaw(int ThawedFileSystems, DateTimeOffset At, bool WasFrozen);

/// <summary>Finds the agent of a guest by its address.</summary>
public interface IGuestAgents
{
    /// <summary>
    /// The agent at an address. The same address gives the same agent, so that its callers in this process queue instead of disturbing each other.
    /// Nothing is connected yet.
    /// </summary>
    /// <param name="address"><c>qga:unix:/absolute/path</c>: QEMU guest agent on a unix socket; <c>libvirt:URI#DOMAIN</c>: the agent of a libvirt domain, by name or UUID; <c>none</c>, empty or null: the server has no agent.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: not an address; the message says which forms there are.</exception>
    IGuestAgent Open(string? address);
}
