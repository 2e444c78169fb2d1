namespace SnapshotFlow.Model;

/// <summary>A volume as the records know it.</summary>
public sealed record Volume
{
    /// <summary>Its id.</summary>
    public required VolumeId Id { get; init; }

    /// <summary>The project it belongs to; its snapshots belong to the same, and count against its quota.</summary>
    public required string ProjectId { get; init; }

    /// <summary>The user who made it.</summary>
    public required string UserId { get; init; }

    /// <summary>Display name; null when it has none.</summary>
    public string? Name { get; init; }

    /// <summary>Description; null when it has none. Its snapshots are described by it.</summary>
    public string? Description { get; init; }

    /// <summary>See <see cref="VolumeStatus"/>.</summary>
    public required string Status { get; init; }

    /// <summary>Size in GiB.</summary>
    public required int SizeGib { get; init; }

    /// <summary>Name of the volume type, which has quotas of its own; null when it has none.</summary>
    public string? VolumeType { get; init; }

    /// <summary>Whether a server can be started from it; its image metadata is then copied to its snapshots.</summary>
    public bool Bootable { get; init; }

    /// <summary>Whether its contents are encrypted. A snapshot is then ciphertext.</summary>
    public bool Encrypted { get; init; }

    /// <summary>Id (never the value) of its key in the key manager; null when it has none.</summary>
    public string? EncryptionKeyId { get; init; }

    /// <summary>Whether several servers may have it attached. Freezing one guest says nothing about the others.</summary>
    public bool Multiattach { get; init; }

    /// <summary>Progress of a migration between back ends; null, <c>deleting</c>, <c>error</c> and <c>success</c> mean that none is going on.</summary>
    public string? MigrationStatus { get; init; }

    /// <summary><c>host@backend</c>: the volume worker that can reach it; null while it is nowhere.</summary>
    public string? Backend { get; init; }

    /// <summary>Whether an administrator has frozen that back end: nothing is made or deleted there.</summary>
    public bool Frozen { get; init; }

    /// <summary>Availability zone; null when unknown.</summary>
    public string? AvailabilityZone { get; init; }

    /// <summary>The snapshot it was made from; null when it was made from none.</summary>
    public SnapshotId? SnapshotId { get; init; }

    /// <summary>Whether that snapshot cannot be deleted while this volume is there: while it is being made, and afterwards where the back end's clones depend on it.</summary>
    public bool NeedsSnapshot { get; init; }

    /// <summary>Caller's metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>When it was registered.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its record last changed.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }
}
