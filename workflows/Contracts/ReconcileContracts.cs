using SnapshotFlow.Model;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>One look.</summary>
/// <param name="Interval">The least time between the look that finds and the look that repairs: the interval of the schedule.</param>
public sealed record ReconcileInput(TimeSpan Interval);

/// <summary>What a look found and did.</summary>
/// <param name="Findings">Everything that is out of order, by kind and subject.</param>
/// <param name="Gone">What was out of order at the look before and is not any more.</param>
/// <param name="Repairs">What was put in order, or tried.</param>
/// <param name="Unseen">Task queues of hosts and back ends that gave no answer.</param>
public sealed record ReconcileResult(
    IReadOnlyList<Finding> Findings, IReadOnlyList<FindingKey> Gone, IReadOnlyList<RepairOutcome> Repairs, IReadOnlyList<string> Unseen);

/// <summary>How a repair went.</summary>
/// <param name="Repair">What was to be done.</param>
/// <param name="Findings">What it was to put in order.</param>
/// <param name="Done">What was done, for a person; or why it was not.</param>
/// <param name="Succeeded">Whether it is in order now. Otherwise the next look tries again.</param>
public sealed record RepairOutcome(Repair Repair, IReadOnlyList<FindingKey> Findings, string Done, bool Succeeded);

/// <summary>What the records alone tell.</summary>
/// <param name="Hosts">Every compute host that a server is recorded with.</param>
/// <param name="Backends">Every back end that a volume is recorded with.</param>
/// <param name="Images">Images whose run or row needs a look.</param>
/// <param name="Snapshots">Rows that may be stuck.</param>
/// <param name="Reservations">Every open quota reservation.</param>
/// <param name="TaskStates">Every server that an image is being made of.</param>
public sealed record SuspiciousRecords(
    IReadOnlyList<string> Hosts,
    IReadOnlyList<string> Backends,
    IReadOnlyList<ImageId> Images,
    IReadOnlyList<SnapshotFact> Snapshots,
    IReadOnlyList<ReservationFact> Reservations,
    IReadOnlyList<TaskStateFact> TaskStates)
{
    /// <summary>Deletions and restores of images that are going on by their rows.</summary>
    public IReadOnlyList<OperationFact> Operations { get; init; } = [];

    /// <summary>Rows of volumes in transition.</summary>
    public IReadOnlyList<VolumeFact> Volumes { get; init; } = [];
}

/// <summary>Which page of a back end's snapshots.</summary>
/// <param name="After">Null for the first page, then <see cref="StoredPage.Next"/>.</param>
/// <param name="Limit">Largest number of snapshots in it.</param>
public sealed record ListSnapshotsInput(string? After, int Limit);

/// <summary>One page of a back end's snapshots, ordered by id as text.</summary>
/// <param name="Snapshots">May be empty.</param>
/// <param name="Next">How to ask for the next one; null when this was the last.</param>
public sealed record StoredPage(IReadOnlyList<StoredSnapshot> Snapshots, string? Next);

/// <summary>A snapshot as a back end lists it.</summary>
/// <param name="Snapshot">Its id.</param>
/// <param name="Volume">The volume it is of.</param>
/// <param name="CutAt">When it was cut.</param>
public sealed record StoredSnapshot(SnapshotId Snapshot, VolumeId Volume, DateTimeOffset CutAt);

/// <summary>Compare a page with the rows of the same range of ids.</summary>
/// <param name="Backend">The back end, "host@backend".</param>
/// <param name="After">The range begins after this id; null for the first page.</param>
/// <param name="Through">The range ends with this id; null for the last page, whose range has no end.</param>
/// <param name="Snapshots">The page.</param>
public sealed record CompareInput(string Backend, SnapshotId? After, SnapshotId? Through, IReadOnlyList<StoredSnapshot> Snapshots);

/// <summary>Where a page and the rows differ.</summary>
/// <param name="Stored">In the back end, without a live row.</param>
/// <param name="Missing">Live rows of finished snapshots that the back end does not have.</param>
public sealed record ComparedPage(IReadOnlyList<StoredFact> Stored, IReadOnlyList<SnapshotFact> Missing);

/// <summary>What is known of some images and their runs.</summary>
/// <param name="Runs">One per image that was asked for.</param>
/// <param name="Images">The live rows among them.</param>
public sealed record RunLookup(IReadOnlyList<RunFact> Runs, IReadOnlyList<ImageFact> Images);

/// <summary>Decide on a look.</summary>
/// <param name="World">What it saw.</param>
/// <param name="Interval">The least time between finding and repairing.</param>
public sealed record DecideInput(ReconciliationWorld World, TimeSpan Interval);

/// <summary>How to undo a run whose door has just been closed.</summary>
/// <param name="Request">The run, as its undo steps want it named; what they do not use is empty.</param>
/// <param name="Status">How its row will say it ended.</param>
/// <param name="Reason">Why.</param>
/// <param name="Evidence">What its row has.</param>
/// <param name="Steps">What its row has.</param>
/// <param name="Snapshots">Every snapshot it may have cut.</param>
public sealed record UndoPlan(
    CreateImageInput Request, RunStatus Status, Refusal Reason, Evidence? Evidence, IReadOnlyList<RunStep> Steps, IReadOnlyList<SnapshotToDelete> Snapshots);

/// <summary>A snapshot that a run may have cut.</summary>
/// <param name="Backend">The back end of its volume; null when the volume's record names none any more.</param>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot.</param>
public sealed record SnapshotToDelete(string? Backend, VolumeId Volume, SnapshotId Snapshot);

/// <summary>A deletion whose run is over and that is to go on; exactly one member is there.</summary>
/// <param name="Image">Of an image.</param>
/// <param name="Snapshot">Of a snapshot.</param>
/// <param name="Volume">Of a volume.</param>
public sealed record DeletionToFinish(DeleteImageInput? Image = null, DeleteSnapshotInput? Snapshot = null, DeleteVolumeInput? Volume = null);

/// <summary>What was being made and is given up: from now on no step of its run does anything any more.</summary>
/// <param name="Snapshot">A snapshot; its row is <c>error</c>.</param>
/// <param name="Volumes">A volume, whose row is <c>error</c>, or all that the restore may have made.</param>
/// <param name="Restore">How the restore is closed when nothing of it is left; null when it is none.</param>
public sealed record CreationToGiveUp(SnapshotToDelete? Snapshot, IReadOnlyList<VolumeToDelete> Volumes, CloseRestoreInput? Restore);
