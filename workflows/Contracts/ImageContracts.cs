using SnapshotFlow.Model;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>Delete an image.</summary>
/// <param name="Operation">Names the deletion in the records.</param>
/// <param name="Image">The image.</param>
/// <param name="KeepSnapshots">Whether the image's snapshots stay, as ordinary snapshots.</param>
/// <param name="Caller">Who asks.</param>
/// <param name="RequestId">The HTTP request's id.</param>
/// <param name="Resume">Only if it has begun before: by an attempt whose answer was lost, or by a run that was ended from outside.</param>
public sealed record DeleteImageInput(OperationId Operation, ImageId Image, bool KeepSnapshots, Caller Caller, string RequestId, bool Resume = false);

/// <summary>The answer to the update <c>Accept</c> of <see cref="DeleteImageWorkflow"/>.</summary>
/// <param name="Operation">Where the report will be.</param>
/// <param name="Refusal">Null when accepted: from then on nobody finds the image.</param>
public sealed record DeleteImageAcceptance(OperationId Operation, Refusal? Refusal);

/// <summary>Record what became of an image that was to be deleted, and of its snapshots.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Snapshots">What became of each.</param>
public sealed record EndDeleteImageInput(DeleteImageInput Request, IReadOnlyList<DeletedSnapshot> Snapshots);

/// <summary>Make a volume from each snapshot of an image.</summary>
/// <param name="Operation">Chosen before the start; the volumes' ids follow from it.</param>
/// <param name="Image">The image.</param>
/// <param name="Name">What the volumes are called, followed by the device they were; null for the image's name.</param>
/// <param name="Caller">Who asks; the volumes are of this project.</param>
/// <param name="RequestId">The HTTP request's id.</param>
public sealed record RestoreImageInput(OperationId Operation, ImageId Image, string? Name, Caller Caller, string RequestId);

/// <summary>A volume to make, whose row is there.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Source">The volume that the snapshot was cut of.</param>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="Backend">The back end of both.</param>
/// <param name="SizeGib">Size of the new volume.</param>
public sealed record VolumeToMake(VolumeId Volume, VolumeId Source, SnapshotId Snapshot, string Backend, int SizeGib);

/// <summary>A restore whose rows are there: every check has passed and the quota is taken.</summary>
/// <param name="Volumes">What to make.</param>
/// <param name="Restored">The same as callers see it.</param>
public sealed record PreparedRestore(IReadOnlyList<VolumeToMake> Volumes, IReadOnlyList<RestoredVolume> Restored);

/// <summary>The answer to the update <c>Accept</c> of <see cref="RestoreImageWorkflow"/>.</summary>
/// <param name="Operation">Names the restore.</param>
/// <param name="Volumes">The volumes that will be there; empty when refused.</param>
/// <param name="Refusal">Null when accepted.</param>
public sealed record RestoreAcceptance(OperationId Operation, IReadOnlyList<RestoredVolume> Volumes, Refusal? Refusal);

/// <summary>All volumes of a restore are made.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Volumes">The volumes.</param>
public sealed record CompleteRestoreInput(RestoreImageInput Request, IReadOnlyList<MadeVolume> Volumes);

/// <summary>Take back the rows of a restore.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Volumes">The volumes whose rows were written; empty when nobody knows.</param>
/// <param name="LeftBehind">The volumes that their back end still has: their rows stay, as <c>error</c>.</param>
public sealed record UndoRestoreInput(RestoreImageInput Request, IReadOnlyList<VolumeId> Volumes, IReadOnlyList<VolumeId> LeftBehind);

/// <summary>Record how a restore ended that did not complete.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Status">How.</param>
/// <param name="Reason">Why.</param>
/// <param name="Leftovers">What could not be undone.</param>
public sealed record CloseRestoreInput(RestoreImageInput Request, RunStatus Status, Refusal Reason, IReadOnlyList<Leftover> Leftovers);
