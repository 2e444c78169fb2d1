namespace SnapshotFlow.Model;

/// <summary>Everything an image record will say, worked out before any side effect.</summary>
/// <param name="Name">Display name, 1 to 255 characters.</param>
/// <param name="OwnerProjectId">The project the image belongs to: the caller's.</param>
/// <param name="Visibility"><c>private</c>, or <c>shared</c> when an administrator makes an image of another project's server.</param>
/// <param name="MemberProjectId">The project a <c>shared</c> image is shared with: the server's; null otherwise.</param>
/// <param name="MinDisk">GiB the root disk of a server made from the image needs.</param>
/// <param name="MinRam">MiB of memory a server made from the image needs.</param>
/// <param name="Properties">Custom properties, all text, without the three generated ones that describe the block devices.</param>
/// <param name="RootDeviceName">For example <c>/dev/vda</c>; null when the server has none.</param>
/// <param name="Mapping">The future <c>block_device_mapping</c>: carried entries first, then one per snapshot, in the order of the block devices.</param>
/// <param name="Volumes">The volumes to cut, in the order of the block devices.</param>
public sealed record ImageDraft(
    string Name,
    string OwnerProjectId,
    string Visibility,
    string? MemberProjectId,
    int MinDisk,
    int MinRam,
    IReadOnlyDictionary<string, string> Properties,
    string? RootDeviceName,
    IReadOnlyList<BlockDeviceEntry> Mapping,
    IReadOnlyList<VolumeToCut> Volumes);

/// <summary>A volume that the run will cut, with what later steps need to know of it.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot it will become; follows from image and volume.</param>
/// <param name="ProjectId">The project the snapshot and its quota belong to: the volume's own.</param>
/// <param name="Backend"><c>host@backend</c>: the volume worker that can reach it.</param>
/// <param name="DeviceName">Where the server sees it, for example <c>/dev/vdb</c>.</param>
/// <param name="SizeGib">Size in GiB.</param>
/// <param name="VolumeType">Name of the volume type, which has quotas of its own; null when it has none.</param>
/// <param name="Bootable">Whether image metadata is copied from the volume to the snapshot.</param>
public sealed record VolumeToCut(
    VolumeId Volume, SnapshotId Snapshot, string ProjectId, string Backend, string? DeviceName, int SizeGib, string? VolumeType, bool Bootable);
