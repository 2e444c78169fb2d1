using SnapshotFlow.Model;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>Make one volume from a snapshot.</summary>
/// <param name="Volume">Chosen before the start, so that a repeated request is the same volume.</param>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="SizeGib">Size in GiB; null for the snapshot's.</param>
/// <param name="Name">Display name; null for none.</param>
/// <param name="Description">Description; null for none.</param>
/// <param name="VolumeType">Must be the snapshot's; null for that.</param>
/// <param name="AvailabilityZone">Must be the source volume's; null for that.</param>
/// <param name="Metadata">Caller's metadata.</param>
/// <param name="Caller">Who asks; the volume is of this project.</param>
/// <param name="RequestId">The HTTP request's id.</param>
public sealed record CreateVolumeInput(
    VolumeId Volume,
    SnapshotId Snapshot,
    int? SizeGib,
    string? Name,
    string? Description,
    string? VolumeType,
    string? AvailabilityZone,
    IReadOnlyDictionary<string, string> Metadata,
    Caller Caller,
    string RequestId);

/// <summary>A volume whose row is there.</summary>
/// <param name="Volume">The row.</param>
/// <param name="ToMake">What the volume worker needs to know.</param>
public sealed record AdmittedVolume(Volume Volume, VolumeToMake ToMake);

/// <summary>The answer to the update <c>Accept</c> of <see cref="CreateVolumeWorkflow"/>.</summary>
/// <param name="Volume">The row as it was admitted; null when refused.</param>
/// <param name="Refusal">Null when accepted.</param>
public sealed record VolumeAcceptance(Volume? Volume, Refusal? Refusal);

/// <summary>A volume that its back end has made.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="NeedsSnapshot">Whether it goes on needing the snapshot it was made from.</param>
public sealed record MadeVolume(VolumeId Volume, bool NeedsSnapshot);

/// <summary>Put a volume that could not be made into <c>error</c> and tell the user.</summary>
/// <param name="Request">What was asked for.</param>
public sealed record FailVolumeInput(CreateVolumeInput Request);

/// <summary>Delete a volume.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Force">Whatever its status: the administrator's <c>os-force_delete</c>.</param>
/// <param name="Caller">Who asks.</param>
/// <param name="RequestId">The HTTP request's id.</param>
/// <param name="Resume">Only if it has begun before: by an attempt whose answer was lost, or by a run that was ended from outside.</param>
public sealed record DeleteVolumeInput(VolumeId Volume, bool Force, Caller Caller, string RequestId, bool Resume = false);

/// <summary>A volume whose row says that it is being deleted.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Backend">Its back end; null when it is nowhere.</param>
public sealed record VolumeToDelete(VolumeId Volume, string? Backend);

/// <summary>Record what became of a volume that was to be deleted.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Failure">Why it is still there; null when it is gone.</param>
public sealed record EndDeleteVolumeInput(DeleteVolumeInput Request, Refusal? Failure);
