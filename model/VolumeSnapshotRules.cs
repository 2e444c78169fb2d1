namespace SnapshotFlow.Model;

/// <summary>Which volumes a snapshot may be made of. Source: Cinder, the checks of snapshot creation, in its order and with its texts.</summary>
public static class VolumeSnapshotRules
{
    /// <summary>Why nothing is made or deleted on a frozen back end.</summary>
    public const string Frozen = "Invalid input received: Modification operations are not allowed on frozen storage backends.";

    /// <summary>Why no snapshot may be made of a volume right now; null when one may.</summary>
    /// <param name="volume">The volume.</param>
    /// <param name="force">Whether an attached volume will do. It widens nothing else.</param>
    public static string? Refusal(Volume volume, bool force)
    {
        string[] allowed = force ? [VolumeStatus.Available, VolumeStatus.InUse] : [VolumeStatus.Available];
        return volume switch
        {
            { Frozen: true } => Frozen,
            { Backend: null or "" } => "Invalid volume: The snapshot cannot be created because volume has not been scheduled to any host.",
            { Status: VolumeStatus.Maintenance } => "Invalid volume: The snapshot cannot be created when the volume is in maintenance mode.",
            { MigrationStatus: not (null or "" or "none" or "deleting" or "error" or "success") } => "Invalid volume: Snapshot cannot be created while volume is migrating.",
            { Status: VolumeStatus.Error } => "Invalid volume: The snapshot cannot be created when the volume is in error status.",
            { Status: var status } when status.StartsWith(VolumeStatus.ReplicaPrefix, StringComparison.Ordinal) =>
                "Invalid volume: Snapshot of secondary replica is not allowed.",
            { Status: var status } when !allowed.Contains(status) =>
                $"Invalid volume: Volume {volume.Id} status must be {string.Join(", ", allowed)}, but current status is: {status}.",
            _ => null,
        };
    }
}
