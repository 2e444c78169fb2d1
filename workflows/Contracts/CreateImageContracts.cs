using System.Text.Json.Serialization;
using SnapshotFlow.Model;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>What a caller asks for. Identical for <c>createImage</c> and for <c>POST /runs</c>; the first leaves the optional members at their defaults.</summary>
/// <param name="Image">Chosen before the start, so that a repeated request is the same run.</param>
/// <param name="Server">The server to make an image of.</param>
/// <param name="Name">Name of the image; valid by the image name rules of the model.</param>
/// <param name="Metadata">Custom properties the caller adds; valid by its image metadata rules.</param>
/// <param name="Caller">Who asks.</param>
/// <param name="RequestId">The HTTP request's id, <c>req-&lt;uuid&gt;</c>: key of the instance action.</param>
/// <param name="Quiesce">What the caller wants of the freeze.</param>
/// <param name="FreezeDeadline">Longest freeze, between <see cref="Model.FreezeDeadline.Minimum"/> and <see cref="Model.FreezeDeadline.Maximum"/>; null for the server's, or else <see cref="Model.FreezeDeadline.Default"/>.</param>
/// <param name="OnExpiry">What happens when the deadline passes first.</param>
public sealed record CreateImageInput(
    ImageId Image,
    ServerId Server,
    string Name,
    IReadOnlyDictionary<string, string> Metadata,
    Caller Caller,
    string RequestId,
    QuiesceMode Quiesce = QuiesceMode.Try,
    TimeSpan? FreezeDeadline = null,
    ExpiryPolicy OnExpiry = ExpiryPolicy.Downgrade)
{
    /// <summary>The caller's own id of the request, <c>req-&lt;uuid&gt;</c>, by which it is followed through several services; null when it gave none.</summary>
    public string? GlobalRequestId { get; init; }
}

/// <summary>How a run ended without failing.</summary>
/// <param name="Status"><see cref="RunStatus.Completed"/> or <see cref="RunStatus.Refused"/>.</param>
/// <param name="Evidence">Of a completed run.</param>
/// <param name="Refusal">Of a refused run.</param>
public sealed record CreateImageResult(RunStatus Status, Evidence? Evidence = null, Refusal? Refusal = null);

/// <summary>The answer to the update <c>Accept</c>: whether the API may say 202.</summary>
/// <param name="Image">The image.</param>
/// <param name="Refusal">Null when the request is accepted.</param>
public sealed record Acceptance(ImageId Image, Refusal? Refusal);

/// <summary>The server as the run needs to know it, read in the same transaction that took its task state.</summary>
/// <param name="Running">Whether it is ACTIVE: only then can it be frozen, and must it be.</param>
/// <param name="Host">The hypervisor; null when it runs nowhere.</param>
/// <param name="AgentAddress">Address of the guest agent on that host, for example <c>qga:unix:/run/guest.sock</c>; null when it has none.</param>
/// <param name="RequireQuiesce">Image property <c>os_require_quiesce</c>.</param>
/// <param name="ProjectId">The project it belongs to.</param>
/// <param name="FreezeDeadline">Longest freeze by its image property <c>snapshotflow_freeze_deadline</c>; null when it does not say.</param>
public sealed record ServerView(bool Running, string? Host, string? AgentAddress, bool RequireQuiesce, string ProjectId, TimeSpan? FreezeDeadline = null);

/// <summary>Everything worked out before the first side effect outside the records.</summary>
public sealed record PreparedImage(ServerView Server, ImageDraft Draft);

/// <summary>Whether the guest can be frozen right now.</summary>
/// <param name="CanFreeze">The agent answers, has the freeze commands, and is not frozen.</param>
/// <param name="Reason">Why not; null when it can.</param>
public sealed record GuestAnswer(bool CanFreeze, string? Reason);

/// <summary>Input of the guest activities.</summary>
/// <param name="Server">The server.</param>
/// <param name="AgentAddress">Where its agent listens.</param>
public sealed record ProbeGuestInput(ServerId Server, string? AgentAddress);

/// <summary>Freeze a guest under a lease.</summary>
/// <param name="Server">The server.</param>
/// <param name="AgentAddress">Where its agent listens.</param>
/// <param name="RunToken">Names the holder of the freeze. The same token again is the same freeze; another token is refused.</param>
/// <param name="Deadline">Longest freeze, counted from before the freeze call.</param>
/// <param name="RequestId">The request that asked for it, for the log of the guard; null in histories of before the guard was told.</param>
/// <param name="GlobalRequestId">The caller's own id of that request, likewise.</param>
/// <param name="ProjectId">The project that it was asked for, likewise.</param>
public sealed record QuiesceInput(
    ServerId Server, string AgentAddress, string RunToken, TimeSpan Deadline, string? RequestId = null, string? GlobalRequestId = null, string? ProjectId = null);

/// <summary>The guest is frozen.</summary>
/// <param name="FrozenAt">When the agent confirmed, clock of the compute host.</param>
/// <param name="DeadlineAt">When the freeze lease ends, same clock.</param>
public sealed record QuiesceResult(DateTimeOffset FrozenAt, DateTimeOffset DeadlineAt);

/// <summary>Thaw a guest, whether or not the freeze is known to have happened.</summary>
/// <param name="Server">The server.</param>
/// <param name="AgentAddress">Where its agent listens.</param>
/// <param name="RunToken">The holder of the freeze; a freeze of another holder is left alone.</param>
/// <param name="MovedTo">The host that the server runs on now and was thawed on: its lease here ends, and no agent is asked. Null when it is here.</param>
public sealed record UnquiesceInput(ServerId Server, string AgentAddress, string RunToken, string? MovedTo = null);

/// <summary>Where a server is.</summary>
/// <param name="Host">The hypervisor; null when it runs nowhere.</param>
/// <param name="AgentAddress">Address of the guest agent on that host; null when it has none.</param>
public sealed record ServerLocation(string? Host, string? AgentAddress);

/// <summary>The truth about a freeze that is over.</summary>
/// <param name="WasFrozen">Whether the guest was still frozen when the thaw was asked for: only then was it frozen throughout.</param>
/// <param name="FrozenAt">When the agent confirmed the freeze, from the lease; null when it never did.</param>
/// <param name="ThawedAt">When the agent confirmed that it is thawed.</param>
/// <param name="LeaseExpired">The deadline had passed by then, or somebody else thawed the guest.</param>
/// <param name="AgentError">What the agent said went wrong while thawing; null when nothing did.</param>
public sealed record UnquiesceResult(bool WasFrozen, DateTimeOffset? FrozenAt, DateTimeOffset ThawedAt, bool LeaseExpired, string? AgentError);

/// <summary>Cut or delete one volume snapshot.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot; its id is the idempotency key.</param>
public sealed record VolumeSnapshotInput(VolumeId Volume, SnapshotId Snapshot);

/// <summary>What decides how a back end is asked to cut.</summary>
/// <param name="Group">Whether, and when, it cuts several volumes at one instant.</param>
public sealed record BackendFacts(GroupCut Group);

/// <summary>When volumes of a server in one back end are cut at one instant.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<GroupCut>))]
public enum GroupCut
{
    /// <summary>Never: it cannot.</summary>
    Never,

    /// <summary>When the guest could not be frozen: only then is it worth what it costs.</summary>
    UnlessFrozen,

    /// <summary>Always.</summary>
    Always,
}

/// <summary>Input of the record-keeping steps that need the prepared image.</summary>
public sealed record PreparedInput(CreateImageInput Request, PreparedImage Prepared);

/// <summary>Make the image active.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Prepared">What was worked out.</param>
/// <param name="Evidence">What was observed.</param>
/// <param name="Steps">The steps so far, for the run's row.</param>
public sealed record CreateImageRecordInput(CreateImageInput Request, PreparedImage Prepared, Evidence Evidence, IReadOnlyList<RunStep> Steps);

/// <summary>Record how a run ended that did not complete.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Status">Anything but <see cref="RunStatus.Running"/> and <see cref="RunStatus.Completed"/>.</param>
/// <param name="Reason">Why.</param>
/// <param name="Evidence">What was observed of the freeze and the cuts, if it came to that.</param>
/// <param name="Steps">The steps.</param>
/// <param name="Leftovers">What could not be undone.</param>
public sealed record CloseRunInput(
    CreateImageInput Request, RunStatus Status, Refusal Reason, Evidence? Evidence, IReadOnlyList<RunStep> Steps, IReadOnlyList<Leftover> Leftovers);

/// <summary>What would happen if the request were made for real.</summary>
/// <param name="Refusal">Why it would be refused; null when it would be accepted.</param>
/// <param name="Consistency">What the image would be, as far as can be told before; null when refused.</param>
/// <param name="Reason">Why the consistency would not be better; null when it would be the best.</param>
/// <param name="Volumes">The volumes that would be cut.</param>
public sealed record ImagePlan(Refusal? Refusal, Consistency? Consistency, string? Reason, IReadOnlyList<VolumeToCut> Volumes);

/// <summary>Where a run stands: the answer of the query <c>Progress</c>.</summary>
/// <param name="Status">Running, or how it ended.</param>
/// <param name="Step">The step it is at.</param>
/// <param name="Frozen">Whether the run holds a freeze right now.</param>
/// <param name="FreezeDeadlineAt">When that freeze ends at the latest; null when it holds none.</param>
/// <param name="Evidence">What was observed so far; null before the first cut.</param>
/// <param name="Reason">Why it was refused, failed or was cancelled.</param>
/// <param name="Steps">Every step so far, in the order they began.</param>
/// <param name="Leftovers">What could not be undone.</param>
public sealed record Progress(
    RunStatus Status,
    Step Step,
    bool Frozen,
    DateTimeOffset? FreezeDeadlineAt,
    Evidence? Evidence,
    Refusal? Reason,
    IReadOnlyList<RunStep> Steps,
    IReadOnlyList<Leftover> Leftovers);
