using System.Text;
using System.Text.Json;

namespace SnapshotFlow.Model;

/// <summary>
/// What becomes of a server's block devices in an image: volumes are cut, other devices are carried as they are. Source: Nova, <c>snapshot_volume_backed</c>.
/// </summary>
/// <param name="Mapping">The future <c>block_device_mapping</c>: carried entries first, then one per volume, each in the order of the devices.</param>
/// <param name="Volumes">
/// The volumes to cut, each once and in the order of the devices. A volume that is attached twice is cut once, and both entries name the one snapshot.
/// </param>
public sealed record BlockDeviceMapping(IReadOnlyList<BlockDeviceEntry> Mapping, IReadOnlyList<VolumeDevice> Volumes)
{
    /// <summary>The longest mapping an image property holds, in bytes of UTF-8. Source: Glance stores properties as TEXT, 65,535 bytes in MySQL.</summary>
    public const int MaxBytes = 65_535;

    /// <summary>
    /// Whether a server starts from a volume: its root device (boot index 0) is one, or, when no device is marked as root, it names no image. Data volumes do
    /// not matter. Source: Nova, <c>is_volume_backed_instance</c>.
    /// </summary>
    public static bool IsVolumeBacked(IEnumerable<BlockDevice> devices, string? imageRef) =>
        devices.FirstOrDefault(d => d.BootIndex == 0) is { } root ? root.IsVolume : string.IsNullOrEmpty(imageRef);

    /// <summary>Sorts the devices into what is cut and what is carried.</summary>
    /// <param name="image">The image to be; the snapshots' ids follow from it.</param>
    /// <param name="devices">The server's devices in the order of their records.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.StaleStatus"/>: a volume is still being attached.</exception>
    public static BlockDeviceMapping Partition(ImageId image, IEnumerable<BlockDevice> devices)
    {
        var carried = new List<BlockDeviceEntry>();
        var cut = new List<BlockDeviceEntry>();
        var volumes = new List<VolumeDevice>();
        foreach (var device in devices.Where(d => !d.NoDevice))
        {
            if (!device.IsVolume)
            {
                carried.Add(Carry(device));
                continue;
            }

            var volume = device.VolumeId ?? throw new SnapshotFlowException(
                ErrorKind.StaleStatus, $"Block device {device.DeviceName ?? "without a name"} has no volume yet: it is still being attached. Try again when it is.");
            var snapshot = DeterministicId.Snapshot(image, volume);
            cut.Add(Cut(device, snapshot));
            if (volumes.TrueForAll(v => v.Volume != volume))
            {
                volumes.Add(new VolumeDevice(volume, snapshot, DevicePath(device.DeviceName)));
            }
        }

        return new BlockDeviceMapping([.. carried, .. cut], volumes);
    }

    /// <summary>The entry of a volume that becomes a snapshot: device tag and volume type are dropped, as Nova does.</summary>
    public static BlockDeviceEntry Cut(BlockDevice device, SnapshotId snapshot) => new(
        "snapshot", "volume", snapshot, device.BootIndex, DevicePath(device.DeviceName), device.DiskBus, device.DeviceType, device.DeleteOnTermination, device.VolumeSize);

    /// <summary>The entry of a device that is carried as it is: everything but what belongs to the running server.</summary>
    public static BlockDeviceEntry Carry(BlockDevice device) => new(
        device.SourceType, device.DestinationType, device.SnapshotId, device.BootIndex, DevicePath(device.DeviceName), device.DiskBus, device.DeviceType,
        device.DeleteOnTermination, device.VolumeSize, device.VolumeId, device.ImageId, device.GuestFormat, device.NoDevice, device.Tag, device.VolumeType,
        device.Encrypted, device.EncryptionSecretUuid, device.EncryptionFormat, device.EncryptionOptions);

    /// <summary>The text of the image property <c>block_device_mapping</c>: numbers stay numbers inside it.</summary>
    public static string Serialize(IReadOnlyList<BlockDeviceEntry> mapping) => JsonSerializer.Serialize(mapping);

    /// <summary>Refuses a mapping that no image property can hold.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>.</exception>
    public static void RequireFits(IReadOnlyList<BlockDeviceEntry> mapping)
    {
        var bytes = Encoding.UTF8.GetByteCount(Serialize(mapping));
        if (bytes > MaxBytes)
        {
            throw new SnapshotFlowException(
                ErrorKind.InvalidRequest, $"The block device mapping of {mapping.Count} devices takes {bytes} bytes, an image holds {MaxBytes}: detach volumes.");
        }
    }

    private static string? DevicePath(string? name) => name is null || name.StartsWith("/dev/", StringComparison.Ordinal) ? name : "/dev/" + name;
}

/// <summary>A volume of a server and the snapshot it becomes.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="DeviceName">Where the server sees it; null when unknown.</param>
public sealed record VolumeDevice(VolumeId Volume, SnapshotId Snapshot, string? DeviceName);
