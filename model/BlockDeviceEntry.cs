using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>
/// One entry of an image's <c>block_device_mapping</c>: exactly these 19 keys, all present, null where unset.
/// Source: Nova's block device dictionary as an image carries it; the ids of the running server's own records never appear.
/// </summary>
/// <param name="SourceType"><c>snapshot</c>, <c>blank</c>, <c>image</c> or <c>volume</c>.</param>
/// <param name="DestinationType"><c>volume</c> or <c>local</c>.</param>
/// <param name="SnapshotId">The snapshot that a volume is made from.</param>
/// <param name="BootIndex">0 for the root; null or negative for what is not booted from.</param>
/// <param name="DeviceName">Starts with <c>/dev/</c>.</param>
/// <param name="DiskBus">For example <c>virtio</c>.</param>
/// <param name="DeviceType">For example <c>disk</c>.</param>
/// <param name="DeleteOnTermination">Whether the volume made from the entry goes with its server.</param>
/// <param name="VolumeSize">GiB.</param>
/// <param name="VolumeId">Null in every entry for a snapshot.</param>
/// <param name="ImageId">Source image of a carried entry.</param>
/// <param name="GuestFormat">For example <c>swap</c>.</param>
/// <param name="NoDevice">Null for a snapshot, false for a carried entry.</param>
/// <param name="Tag">Device tag of a carried entry.</param>
/// <param name="VolumeType">Null for a snapshot: whoever restores it takes the type of the original volume.</param>
/// <param name="Encrypted">Null for a snapshot, a boolean for a carried entry.</param>
/// <param name="EncryptionSecretUuid">Of a carried entry.</param>
/// <param name="EncryptionFormat">Of a carried entry.</param>
/// <param name="EncryptionOptions">Of a carried entry.</param>
public sealed record BlockDeviceEntry(
    [property: JsonPropertyName("source_type")] string? SourceType,
    [property: JsonPropertyName("destination_type")] string? DestinationType,
    [property: JsonPropertyName("snapshot_id")] SnapshotId? SnapshotId = null,
    [property: JsonPropertyName("boot_index")] int? BootIndex = null,
    [property: JsonPropertyName("device_name")] string? DeviceName = null,
    [property: JsonPropertyName("disk_bus")] string? DiskBus = null,
    [property: JsonPropertyName("device_type")] string? DeviceType = null,
    [property: JsonPropertyName("delete_on_termination")] bool DeleteOnTermination = false,
    [property: JsonPropertyName("volume_size")] int? VolumeSize = null,
    [property: JsonPropertyName("volume_id")] VolumeId? VolumeId = null,
    [property: JsonPropertyName("image_id")] ImageId? ImageId = null,
    [property: JsonPropertyName("guest_format")] string? GuestFormat = null,
    [property: JsonPropertyName("no_device")] bool? NoDevice = null,
    [property: JsonPropertyName("tag")] string? Tag = null,
    [property: JsonPropertyName("volume_type")] string? VolumeType = null,
    [property: JsonPropertyName("encrypted")] bool? Encrypted = null,
    [property: JsonPropertyName("encryption_secret_uuid")] Guid? EncryptionSecretUuid = null,
    [property: JsonPropertyName("encryption_format")] string? EncryptionFormat = null,
    [property: JsonPropertyName("encryption_options")] string? EncryptionOptions = null);
