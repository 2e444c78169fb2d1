using SnapshotFlow.Model;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>Make a snapshot of one volume, on its own.</summary>
/// <param name="Snapshot">Chosen before the start, so that a repeated request is the same snapshot.</param>
/// <param name="Volume">The volume.</param>
/// <param name="Name">Display name; null for none.</param>
/// <param name="Description">Description; null for none.</param>
/// <param name="Metadata">Caller's metadata.</param>
/// <param name="AllowInUse">Whether an attached volume will do: <c>force</c>, or microversion 3.66 and later. It widens nothing else.</param>
/// <param name="Caller">Who asks.</param>
/// <param name="RequestId">The HTTP request's id.</param>
public sealed record CreateVolumeSnapshotInput(
    SnapshotId Snapshot, VolumeId Volume, string? Name, string? Description, IReadOnlyDictionary<string, string> Metadata, bool AllowInUse, Caller Caller, string RequestId);

/// <summary>A snapshot whose row is there: every check has passed and its quota is taken.</summary>
/// <param name="Snapshot">The row.</param>
/// <param name="Backend">The back end of its volume.</param>
/// <param name="Bootable">Whether image metadata is copied from the volume.</param>
public sealed record AdmittedSnapshot(Snapshot Snapshot, string Backend, bool Bootable);

/// <summary>The answer to the update <c>Accept</c> of a run that makes a snapshot.</summary>
/// <param name="Snapshot">The row as it was admitted; null when refused.</param>
/// <param name="Refusal">Null when accepted.</param>
public sealed record SnapshotAcceptance(Snapshot? Snapshot, Refusal? Refusal);

/// <summary>How a run ended without failing.</summary>
/// <param name="Status"><see cref="RunStatus.Completed"/> or <see cref="RunStatus.Refused"/>.</param>
/// <param name="Refusal">Of a refused run.</param>
public sealed record RunEnd(RunStatus Status, Refusal? Refusal = null);

/// <summary>Put a snapshot that could not be made into <c>error</c> and tell the user.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Kind">What the user is told.</param>
public sealed record FailSnapshotInput(CreateVolumeSnapshotInput Request, UserMessageKind Kind);

/// <summary>Delete a snapshot.</summary>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="Force">Whatever its status and whoever needs it: the administrator's <c>os-force_delete</c>.</param>
/// <param name="Caller">Who asks.</param>
/// <param name="RequestId">The HTTP request's id.</param>
/// <param name="Resume">Only if it has begun before: by an attempt whose answer was lost, or by a run that was ended from outside.</param>
public sealed record DeleteSnapshotInput(SnapshotId Snapshot, bool Force, Caller Caller, string RequestId, bool Resume = false);

/// <summary>The answer to the update <c>Accept</c> of a run that deletes.</summary>
/// <param name="Refusal">Null when accepted.</param>
public sealed record DeleteAcceptance(Refusal? Refusal);

/// <summary>What became of a snapshot that was to be deleted.</summary>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="Failure">Why it is still there; null when it is gone. <see cref="ErrorKind.Busy"/>: something needs it, and it is <c>available</c> again.</param>
public sealed record DeletedSnapshot(SnapshotId Snapshot, Refusal? Failure);

/// <summary>Record what became of a snapshot that was to be deleted.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Outcome">What became of it.</param>
public sealed record EndDeleteSnapshotInput(DeleteSnapshotInput Request, DeletedSnapshot Outcome);
