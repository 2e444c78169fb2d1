namespace SnapshotFlow.Model;

/// <summary>
/// What one look saw of everything that a run takes or leaves: the records, the back ends, the leases on the compute hosts, and whether the runs live. What
/// is in order may be missing from it; <see cref="Runs"/> has every image that anything in it names.
/// </summary>
public sealed record ReconciliationWorld
{
    /// <summary>The runs.</summary>
    public IReadOnlyList<RunFact> Runs { get; init; } = [];

    /// <summary>Open freeze leases.</summary>
    public IReadOnlyList<LeaseFact> Leases { get; init; } = [];

    /// <summary>Snapshots in back ends without a live row.</summary>
    public IReadOnlyList<StoredFact> Stored { get; init; } = [];

    /// <summary>Live snapshot rows.</summary>
    public IReadOnlyList<SnapshotFact> Snapshots { get; init; } = [];

    /// <summary>Live image rows.</summary>
    public IReadOnlyList<ImageFact> Images { get; init; } = [];

    /// <summary>Open quota reservations, one per image.</summary>
    public IReadOnlyList<ReservationFact> Reservations { get; init; } = [];

    /// <summary>Servers with the task state <see cref="TaskState.ImageSnapshot"/>.</summary>
    public IReadOnlyList<TaskStateFact> TaskStates { get; init; } = [];

    /// <summary>Deletions and restores of images that are going on by their rows.</summary>
    public IReadOnlyList<OperationFact> Operations { get; init; } = [];

    /// <summary>Live volume rows in transition.</summary>
    public IReadOnlyList<VolumeFact> Volumes { get; init; } = [];

    /// <summary>Task queues of hosts and back ends that gave no answer: nothing is known of what is there, and nothing there is called gone.</summary>
    public IReadOnlyList<string> Unseen { get; init; } = [];
}

/// <summary>A run, by its workflow and its row.</summary>
/// <param name="Image">Names it.</param>
/// <param name="Live">Whether Temporal has it open.</param>
/// <param name="Workflow">How Temporal says it ended, or that it knows nothing of it; for people.</param>
/// <param name="Row">The status in its row; null when there is none.</param>
/// <param name="StartedAt">When it began, by its row; null when there is none.</param>
/// <param name="UndoBegun">Whether an undo has closed its door.</param>
/// <param name="Leftovers">How many leftovers its row lists.</param>
public sealed record RunFact(ImageId Image, bool Live, string Workflow, RunStatus? Row, DateTimeOffset? StartedAt, bool UndoBegun, int Leftovers);

/// <summary>A freeze lease that nobody has ended.</summary>
/// <param name="Host">The compute host it lies on.</param>
/// <param name="Server">The server.</param>
/// <param name="RunToken">Whose freeze it is: the image id of a run.</param>
/// <param name="AgentAddress">Where the guest agent listens.</param>
/// <param name="RequestedAt">When it was written, clock of the host.</param>
/// <param name="DeadlineAt">When the freeze had to be over, same clock.</param>
public sealed record LeaseFact(string Host, ServerId Server, string RunToken, string AgentAddress, DateTimeOffset RequestedAt, DateTimeOffset DeadlineAt);

/// <summary>A snapshot in a back end that has no live row.</summary>
/// <param name="Backend">The back end, "host@backend".</param>
/// <param name="Volume">The volume it is of.</param>
/// <param name="Snapshot">Its id, from its name.</param>
/// <param name="CutAt">When it was cut, by the back end.</param>
/// <param name="Tombstone">The row it had: the proof that this product made it. Null when it never had one.</param>
public sealed record StoredFact(string Backend, VolumeId Volume, SnapshotId Snapshot, DateTimeOffset CutAt, SnapshotTombstone? Tombstone);

/// <summary>The row of a snapshot that is deleted.</summary>
/// <param name="Volume">The volume it was of.</param>
/// <param name="Image">The image whose run made it; null when it was made on its own.</param>
/// <param name="DeletedAt">When the row was.</param>
public sealed record SnapshotTombstone(VolumeId Volume, ImageId? Image, DateTimeOffset DeletedAt);

/// <summary>A live snapshot row.</summary>
/// <param name="Snapshot">Its id.</param>
/// <param name="Backend">The back end of its volume; null when the volume's record names none.</param>
/// <param name="Image">The image whose run made it; null when it was made on its own.</param>
/// <param name="Status">Its status.</param>
/// <param name="ChangedAt">When the row last changed.</param>
/// <param name="Missing">The back end was listed to its end, and does not have it.</param>
/// <param name="Work">The run that makes it on its own or deletes it, of one that is <c>creating</c> or <c>deleting</c>; otherwise null.</param>
/// <param name="ByItsRun">Whether the records prove that a run of its own has put it into that status, and nobody has changed the row since: an administrator may write any.</param>
public sealed record SnapshotFact(
    SnapshotId Snapshot, string? Backend, ImageId? Image, SnapshotStatus Status, DateTimeOffset ChangedAt, bool Missing, WorkFact? Work = null, bool ByItsRun = false);

/// <summary>A live image row.</summary>
/// <param name="Image">Its id.</param>
/// <param name="Status">Its status.</param>
/// <param name="ChangedAt">When the row last changed.</param>
/// <param name="DeletedSnapshots">How many of the snapshots that its run made have been deleted since.</param>
/// <param name="Work">The run that deletes it, of one that is <c>pending_delete</c>; otherwise null.</param>
public sealed record ImageFact(ImageId Image, ImageStatus Status, DateTimeOffset ChangedAt, int DeletedSnapshots, WorkFact? Work = null);

/// <summary>The deletion or restore of an image whose row says that it is going on.</summary>
/// <param name="Operation">Its id.</param>
/// <param name="Kind">What it does.</param>
/// <param name="Image">The image.</param>
/// <param name="StartedAt">When it began, by its row.</param>
/// <param name="InUse">How many of the volumes of a restore are neither being made nor failed: somebody has got hold of them.</param>
/// <param name="Work">Its run.</param>
public sealed record OperationFact(OperationId Operation, OperationKind Kind, ImageId Image, DateTimeOffset StartedAt, int InUse, WorkFact Work);

/// <summary>A live volume row in transition.</summary>
/// <param name="Volume">Its id.</param>
/// <param name="Status"><see cref="VolumeStatus.Creating"/> or <see cref="VolumeStatus.Deleting"/>.</param>
/// <param name="MadeHere">Whether this product made it, from a snapshot; otherwise somebody has registered it.</param>
/// <param name="Restore">The restore that makes it, if one does.</param>
/// <param name="ChangedAt">When the row last changed.</param>
/// <param name="Work">The run that makes it on its own or deletes it.</param>
/// <param name="ByItsRun">Of one that is being made: nobody has changed the row since it was written. Of one that is being deleted: Temporal knows the run.</param>
public sealed record VolumeFact(VolumeId Volume, string Status, bool MadeHere, OperationId? Restore, DateTimeOffset ChangedAt, WorkFact Work, bool ByItsRun);

/// <summary>What Temporal says of the run that is at work on something.</summary>
/// <param name="Live">Whether it is open.</param>
/// <param name="Words">How it ended, or that nothing is known of it; for people.</param>
/// <param name="StartedAt">When its last run began; null when nothing is known of it.</param>
public sealed record WorkFact(bool Live, string Words, DateTimeOffset? StartedAt);

/// <summary>An open quota reservation.</summary>
/// <param name="Image">The image it is for.</param>
/// <param name="ReservedAt">When it was made.</param>
public sealed record ReservationFact(ImageId Image, DateTimeOffset ReservedAt);

/// <summary>A server that an image is being made of, by its record.</summary>
/// <param name="Server">The server.</param>
/// <param name="Image">The image whose run took the task state; null when nobody knows who did.</param>
/// <param name="ChangedAt">When the record last changed.</param>
public sealed record TaskStateFact(ServerId Server, ImageId? Image, DateTimeOffset ChangedAt);
