namespace SnapshotFlow.Model;

/// <summary>One block device of a server: a row of Nova's block device mapping. See <see cref="BlockDeviceEntry"/> for what an image carries of it.</summary>
public sealed record BlockDevice
{
    /// <summary><c>volume</c>, <c>snapshot</c>, <c>image</c> or <c>blank</c>: what it was made from.</summary>
    public string? SourceType { get; init; }

    /// <summary><c>volume</c> or <c>local</c>: what it is.</summary>
    public string? DestinationType { get; init; }

    /// <summary>0 for the root; null or negative for what is not booted from.</summary>
    public int? BootIndex { get; init; }

    /// <summary>Where the server sees it, with or without <c>/dev/</c>.</summary>
    public string? DeviceName { get; init; }

    /// <summary>For example <c>virtio</c>.</summary>
    public string? DiskBus { get; init; }

    /// <summary>For example <c>disk</c>.</summary>
    public string? DeviceType { get; init; }

    /// <summary>For example <c>swap</c>.</summary>
    public string? GuestFormat { get; init; }

    /// <summary>Whether it goes with its server.</summary>
    public bool DeleteOnTermination { get; init; }

    /// <summary>A device that the image has and this server was told not to have.</summary>
    public bool NoDevice { get; init; }

    /// <summary>The volume, when it is one; null while it is being attached.</summary>
    public VolumeId? VolumeId { get; init; }

    /// <summary>The snapshot it was made from.</summary>
    public SnapshotId? SnapshotId { get; init; }

    /// <summary>The image it was made from.</summary>
    public ImageId? ImageId { get; init; }

    /// <summary>GiB; null in old rows.</summary>
    public int? VolumeSize { get; init; }

    /// <summary>Volume type asked for when it was made.</summary>
    public string? VolumeType { get; init; }

    /// <summary>Device tag.</summary>
    public string? Tag { get; init; }

    /// <summary>Whether an ephemeral disk is encrypted.</summary>
    public bool Encrypted { get; init; }

    /// <summary>Id of the ephemeral disk's secret.</summary>
    public Guid? EncryptionSecretUuid { get; init; }

    /// <summary>Format of the ephemeral disk's encryption.</summary>
    public string? EncryptionFormat { get; init; }

    /// <summary>Options of the ephemeral disk's encryption.</summary>
    public string? EncryptionOptions { get; init; }

    /// <summary>Whether it is a volume of the block storage.</summary>
    public bool IsVolume => DestinationType == "volume";
}
