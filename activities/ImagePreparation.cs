using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Activities;

/// <summary>
/// Works out the image of a server and refuses whatever can be refused before anything is touched, in Nova's order and with its texts, then per volume in
/// Cinder's. Reads only.
/// </summary>
internal sealed class ImagePreparation(ServerStore servers, VolumeStore volumes)
{
    /// <summary>Works it out for a server as the caller sees it; null for one that the caller does not see.</summary>
    public async Task<PreparedImage> WorkOutAsync(Session session, CreateImageInput request, Server? server)
    {
        ImageNames.Require(request.Name);
        ImageMetadataRules.Require(request.Metadata);
        RequireDeadline(request.FreezeDeadline);
        if (server is null)
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Instance {request.Server} could not be found.");
        }

        var devices = await servers.BlockDevicesAsync(session, server.Id);
        RequireState(server, devices, request.Image);
        var metadata = ImageMetadata.Build(server, request.Caller.ProjectId, request.Metadata);
        ImageMetadataRules.RequireStorable(metadata.Properties, generated: server.RootDeviceName is null ? 2 : 3);
        var mapping = BlockDeviceMapping.Partition(request.Image, devices);
        RequireVolumes(server, mapping);
        BlockDeviceMapping.RequireFits(mapping.Mapping);
        var draft = new ImageDraft(
            request.Name, metadata.OwnerProjectId, metadata.Visibility, metadata.MemberProjectId, metadata.MinDisk, metadata.MinRam, metadata.Properties,
            server.RootDeviceName, mapping.Mapping, await VolumesToCutAsync(session, mapping.Volumes, request.Caller));
        return new PreparedImage(
            new ServerView(
                server.VmState == VmState.Active, server.Host, server.AgentAddress, server.RequiresQuiesce, server.ProjectId, server.RequestedFreezeDeadline),
            draft);
    }

    /// <summary>Refuses a volume that no snapshot may be made of. An attached one will do, as Nova asks Cinder with <c>force</c>.</summary>
    /// <param name="id">The volume.</param>
    /// <param name="volume">Its record; null when there is none, or none to be seen.</param>
    public static Volume RequireUsable(VolumeId id, Volume? volume) => volume switch
    {
        null => throw new SnapshotFlowException(ErrorKind.NotFound, $"Volume {id} could not be found."),
        _ when VolumeSnapshotRules.Refusal(volume, force: true) is { } refusal =>
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"Invalid input received: {refusal} (volume {id})"),
        _ => volume,
    };

    private async Task<IReadOnlyList<VolumeToCut>> VolumesToCutAsync(Session session, IReadOnlyList<VolumeDevice> devices, Caller caller)
    {
        var found = (await volumes.FindAsync(session, devices.Select(d => d.Volume)))
            .Where(v => caller.IsAdmin || v.ProjectId == caller.ProjectId).ToDictionary(v => v.Id);
        return
        [
            .. devices.Select(d =>
            {
                var volume = RequireUsable(d.Volume, found.GetValueOrDefault(d.Volume));
                return new VolumeToCut(volume.Id, d.Snapshot, volume.ProjectId, volume.Backend!, d.DeviceName, volume.SizeGib, volume.VolumeType, volume.Bootable);
            }),
        ];
    }

    private static void RequireState(Server server, IReadOnlyList<BlockDevice> devices, ImageId image)
    {
        var refusal =
            !BlockDeviceMapping.IsVolumeBacked(devices, server.ImageRef)
                ? $"Cannot 'createImage' instance {server.Id}: its root disk is not a volume, and only volume-backed servers are supported."
            : !server.VmState.AllowsCreateImage() ? $"Cannot 'createImage' instance {server.Id} while it is in vm_state {server.VmState.ToText()}"
            : server.TaskState is not null && server.TaskImage != image ? $"Cannot 'createImage' instance {server.Id} while it is in task_state {server.TaskState}"
            : server.LaunchedAt is null ? $"Instance {server.Id} is in an invalid state for 'createImage'"
            : null;
        if (refusal is not null)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, refusal);
        }
    }

    private static void RequireVolumes(Server server, BlockDeviceMapping mapping)
    {
        // Nova makes an image without a mapping, which nothing can be started from; an image here references exactly one snapshot of every volume.
        if (mapping.Volumes.Count == 0)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Cannot 'createImage' instance {server.Id}: it has no volume to make a snapshot of.");
        }
    }

    private static void RequireDeadline(TimeSpan? deadline)
    {
        if (deadline < FreezeDeadline.Minimum || deadline > FreezeDeadline.Maximum)
        {
            throw new SnapshotFlowException(
                ErrorKind.InvalidRequest,
                $"The freeze deadline must be between {FreezeDeadline.Minimum.TotalSeconds} and {FreezeDeadline.Maximum.TotalSeconds} seconds, not {deadline!.Value.TotalSeconds}.");
        }
    }
}
