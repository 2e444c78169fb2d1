using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>What can be out of order. Stored as the spelling given here.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FindingKind>))]
public enum FindingKind
{
    /// <summary>A guest is frozen past its deadline, and the run that froze it does not live.</summary>
    [JsonStringEnumMemberName("frozen_guest")] FrozenGuest,

    /// <summary>A run is going on by its row, and Temporal has no such run open.</summary>
    [JsonStringEnumMemberName("stranded_run")] StrandedRun,

    /// <summary>A run that has ended lists leftovers.</summary>
    [JsonStringEnumMemberName("run_with_leftovers")] RunWithLeftovers,

    /// <summary>A snapshot in a back end has no row.</summary>
    [JsonStringEnumMemberName("snapshot_without_row")] SnapshotWithoutRow,

    /// <summary>A row names a snapshot that its back end does not have.</summary>
    [JsonStringEnumMemberName("row_without_snapshot")] RowWithoutSnapshot,

    /// <summary>A snapshot row is on its way to another status, or waits to be undone, and nobody is at work on it.</summary>
    [JsonStringEnumMemberName("stuck_snapshot")] StuckSnapshot,

    /// <summary>An image row is on its way to another status, or waits to be undone, and nobody is at work on it.</summary>
    [JsonStringEnumMemberName("stuck_image")] StuckImage,

    /// <summary>A volume that is made or deleted here is on its way to another status, and nobody is at work on it.</summary>
    [JsonStringEnumMemberName("stuck_volume")] StuckVolume,

    /// <summary>The deletion or restore of an image is going on by its row, and Temporal has no such run open.</summary>
    [JsonStringEnumMemberName("stranded_operation")] StrandedOperation,

    /// <summary>An image is active, and a snapshot of it is gone.</summary>
    [JsonStringEnumMemberName("image_without_snapshots")] ImageWithoutSnapshots,

    /// <summary>Quota is reserved for a run that does not live.</summary>
    [JsonStringEnumMemberName("stranded_reservation")] StrandedReservation,

    /// <summary>A server has the task state of a run that does not live.</summary>
    [JsonStringEnumMemberName("stranded_server")] StrandedServer,
}

/// <summary>How something is put in order.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RepairKind>))]
public enum RepairKind
{
    /// <summary>Thaw a guest and end its lease.</summary>
    Thaw,

    /// <summary>Undo a run as a whole: its door is closed, its snapshots, rows, reservation and task state go, its row says that it failed and why.</summary>
    UndoRun,

    /// <summary>Delete one snapshot in a back end, whose row says that it is deleted.</summary>
    DeleteSnapshot,

    /// <summary>Drop a quota reservation.</summary>
    ReleaseReservation,

    /// <summary>Clear a server's task state.</summary>
    ReleaseServer,

    /// <summary>Start the run of a deletion again, which goes on where the records say that it stands: of an image by its operation, of a snapshot or a volume.</summary>
    FinishDeletion,

    /// <summary>
    /// Give up what was being made: a restore, by its operation, is undone as a whole; a snapshot or a volume is left as <c>error</c>, with nothing in the back end.
    /// </summary>
    GiveUpCreation,
}

/// <summary>One thing to do; which members are there follows from the kind.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="Image">The run.</param>
/// <param name="Server">The server.</param>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="Queue">Task queue of the worker that can reach the guest or the back end.</param>
/// <param name="AgentAddress">Where the guest agent listens.</param>
/// <param name="Operation">The deletion or restore of an image.</param>
public sealed record Repair(
    RepairKind Kind,
    ImageId? Image = null,
    ServerId? Server = null,
    VolumeId? Volume = null,
    SnapshotId? Snapshot = null,
    string? Queue = null,
    string? AgentAddress = null,
    OperationId? Operation = null);

/// <summary>What tells one finding from another.</summary>
/// <param name="Kind">What is out of order.</param>
/// <param name="Subject">Id or name of the thing.</param>
public sealed record FindingKey(FindingKind Kind, string Subject);

/// <summary>Something that is out of order.</summary>
/// <param name="Key">What, and with which thing.</param>
/// <param name="Place">Task queue of the host or back end that has to be asked about it; null when the records say it all.</param>
/// <param name="Detail">For a person: what speaks for it, and why it is not repaired if it never will be.</param>
/// <param name="FirstSeenAt">When it was seen first, without interruption since.</param>
/// <param name="LastSeenAt">When it was seen last.</param>
public sealed record Finding(FindingKey Key, string? Place, string Detail, DateTimeOffset FirstSeenAt, DateTimeOffset LastSeenAt);

/// <summary>A repair that is certain.</summary>
/// <param name="Repair">What to do.</param>
/// <param name="Findings">What it puts in order.</param>
public sealed record PlannedRepair(Repair Repair, IReadOnlyList<FindingKey> Findings);

/// <summary>What follows from a look.</summary>
/// <param name="Findings">Everything that is out of order now, by kind and subject.</param>
/// <param name="Gone">What was out of order at the look before and is not any more.</param>
/// <param name="Repairs">What is to be done about it now.</param>
public sealed record ReconciliationDecision(IReadOnlyList<Finding> Findings, IReadOnlyList<FindingKey> Gone, IReadOnlyList<PlannedRepair> Repairs);

/// <summary>When a finding is certain.</summary>
/// <param name="Interval">The least time between the look that finds and the look that repairs.</param>
/// <param name="LongestRun">Nothing of a run that makes an image is touched when it is younger: its last steps may still be on their way.</param>
/// <param name="LongestOperation">The same for runs that delete or restore an image, and that make or delete a snapshot or a volume on its own.</param>
public sealed record ReconciliationRules(TimeSpan Interval, TimeSpan LongestRun, TimeSpan LongestOperation);
