namespace SnapshotFlow.Model;

/// <summary>A volume snapshot as the records know it.</summary>
public sealed record Snapshot
{
    /// <summary>Its id, from which its name in the back end follows.</summary>
    public required SnapshotId Id { get; init; }

    /// <summary>The volume it is of.</summary>
    public required VolumeId VolumeId { get; init; }

    /// <summary>The image whose run made it; null when it was made on its own.</summary>
    public ImageId? ImageId { get; init; }

    /// <summary>
    /// The project it belongs to and counts against: its volume's. Cinder takes the caller's, so that an administrator's snapshot of a tenant's
    /// volume is the administrator's; a deliberate deviation.
    /// </summary>
    public required string ProjectId { get; init; }

    /// <summary>The user who asked for it.</summary>
    public required string UserId { get; init; }

    /// <summary>Display name; null when it has none.</summary>
    public string? Name { get; init; }

    /// <summary>Description; null when it has none.</summary>
    public string? Description { get; init; }

    /// <summary>Where it stands.</summary>
    public required SnapshotStatus Status { get; init; }

    /// <summary>Percent, 0 to 100, as text with a percent sign on the wire.</summary>
    public required int ProgressPercent { get; init; }

    /// <summary>Size of its volume in GiB at the time of the cut.</summary>
    public required int SizeGib { get; init; }

    /// <summary>Name of its volume's type; null when it had none.</summary>
    public string? VolumeType { get; init; }

    /// <summary>Id (never the value) of the key that its contents are encrypted with; null when they are not.</summary>
    public string? EncryptionKeyId { get; init; }

    /// <summary>Whether it counts against its project's quota.</summary>
    public bool ConsumesQuota { get; init; } = true;

    /// <summary>Caller's metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>When its row was written.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its row last changed; null before that.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }
}
