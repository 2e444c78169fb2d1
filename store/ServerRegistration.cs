using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>A server with everything that hangs on it, as an inventory knows it.</summary>
/// <param name="Server">The server.</param>
/// <param name="BlockDevices">Its block devices, in order.</param>
/// <param name="Volumes">The volumes that the block devices name, each once.</param>
public sealed record ServerRegistration(Server Server, IReadOnlyList<BlockDevice> BlockDevices, IReadOnlyList<VolumeRegistration> Volumes)
{
    internal void Require()
    {
        var known = Volumes.Select(v => v.Volume.Id).ToHashSet();
        var problem =
            known.Count != Volumes.Count ? $"Instance {Server.Id} is registered with the same volume twice: name each volume once."
            : Volumes.FirstOrDefault(v => v.Volume.ProjectId != Server.ProjectId) is { } foreign
                ? $"Volume {foreign.Volume.Id} is of project {foreign.Volume.ProjectId}, instance {Server.Id} of project {Server.ProjectId}: they must be the same."
            : Volumes.FirstOrDefault(v => v.Volume.SizeGib <= 0) is { } empty ? $"Volume {empty.Volume.Id} has {empty.Volume.SizeGib} GiB: a volume has at least 1."
            : Volumes.FirstOrDefault(v => v.Volume.Name?.Length > 255 || v.Volume.Description?.Length > 255) is { } wordy
                ? $"Volume {wordy.Volume.Id} has a name or description of more than 255 characters."
            : BlockDevices.FirstOrDefault(d => d.VolumeId is { } id && !known.Contains(id)) is { } unknown
                ? $"Block device {unknown.DeviceName} of instance {Server.Id} is volume {unknown.VolumeId}, which is not registered with it."
            : BlockDevices.Count(d => d.BootIndex == 0 && !d.NoDevice) > 1 ? $"Instance {Server.Id} has more than one root device (boot index 0)."
            : null;
        if (problem is not null)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, problem);
        }
    }
}

/// <summary>A volume and the image metadata it carries.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="GlanceMetadata">Of the image it was made from; empty when it was made from none.</param>
public sealed record VolumeRegistration(Volume Volume, IReadOnlyDictionary<string, string> GlanceMetadata);
