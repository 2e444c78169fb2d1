using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <content>What callers see: snapshot rows, the image row, the instance action, and the notifications about them.</content>
public sealed partial class RecordActivities
{
    /// <inheritdoc/>
    [Activity]
    public Task ReserveRecordsAsync(PreparedInput input) => StepAsync(input.Request, Step.ReserveRecords, async (session, now) =>
    {
        var (request, draft) = (input.Request, input.Prepared.Draft);
        if ((await snapshots.OfImageAsync(session, request.Image)).Count == draft.Volumes.Count)
        {
            return;
        }

        // A volume may have changed since it was looked at (Cinder bug 1739995); from here on it is locked until its snapshot's row is there.
        var locked = (await volumes.LockAsync(session, draft.Volumes.Select(v => v.Volume))).ToDictionary(v => v.Id);
        var rows = draft.Volumes.Select(v => SnapshotOf(request, v, ImagePreparation.RequireUsable(v.Volume, locked.GetValueOrDefault(v.Volume)), now)).ToList();
        var added = await snapshots.AddAsync(session, rows);
        await images.AddQueuedAsync(session, request.Image, draft, now);
        await actions.StartAsync(
            session, request.Server, InstanceAction.CreateImage, InstanceActionEvent.ApiSnapshotInstance, request.RequestId, request.Caller, now);
        await notifications.AddAsync(session, added.Select(s => Notification.OfSnapshot("create.start", s, locked[s.VolumeId], now)));
        if (await images.LockAsync(session, request.Image) is { } image)
        {
            await notifications.AddAsync(session, [Notification.OfImage("create", image, now)]);
        }
    });

    /// <inheritdoc/>
    [Activity]
    public Task RemoveRecordsAsync(CreateImageInput input, IReadOnlyList<SnapshotId> leftBehind) => UndoAsync(input, async (session, now) =>
    {
        var rows = (await snapshots.OfImageAsync(session, input.Image)).ToDictionary(s => s.Id);
        var removed = (await snapshots.RemoveAsync(session, input.Image, leftBehind, now)).Select(id => rows[id]).ToList();
        var about = (await volumes.FindAsync(session, removed.Select(s => s.VolumeId))).ToDictionary(v => v.Id);
        await notifications.AddAsync(session, removed.Where(s => about.ContainsKey(s.VolumeId)).SelectMany(s => new[]
        {
            Notification.OfSnapshot("delete.start", s with { Status = SnapshotStatus.Deleting }, about[s.VolumeId], now),
            Notification.OfSnapshot("delete.end", s with { Status = SnapshotStatus.Deleted }, about[s.VolumeId], now),
        }));
        if (await images.LockAsync(session, input.Image) is { } image)
        {
            await images.RemoveAsync(session, input.Image, now);
            await notifications.AddAsync(session, [Notification.OfImage("delete", image with { Status = ImageStatus.Deleted }, now)]);
        }
    });

    /// <inheritdoc/>
    [Activity]
    public Task CopyGlanceMetadataAsync(VolumeSnapshotInput input) => RecordAsync(async (session, _) =>
        await snapshots.CopyGlanceMetadataAsync(session, input.Volume, input.Snapshot)
            ? true
            : throw new SnapshotFlowException(ErrorKind.NotFound, $"Snapshot {input.Snapshot} of volume {input.Volume} is gone: its run has been undone."));

    /// <inheritdoc/>
    [Activity]
    public Task CompleteSnapshotsAsync(PreparedInput input) => StepAsync(input.Request, Step.CompleteSnapshots, async (session, now) =>
    {
        var draft = input.Prepared.Draft;
        var completed = (await snapshots.CompleteAsync(session, input.Request.Image, now)).ToHashSet();
        await quotas.CloseAsync(session, input.Request.Image);
        var rows = await RequireAvailableAsync(session, input.Request.Image, draft);
        var about = (await volumes.FindAsync(session, draft.Volumes.Select(v => v.Volume))).ToDictionary(v => v.Id);
        await notifications.AddAsync(
            session, rows.Where(s => completed.Contains(s.Id) && about.ContainsKey(s.VolumeId)).Select(s => Notification.OfSnapshot("create.end", s, about[s.VolumeId], now)));
    });

    /// <inheritdoc/>
    [Activity]
    public Task CreateImageRecordAsync(CreateImageRecordInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        if (await runs.FindAsync(session, request.Image) is { Status: RunStatus.Completed } run && run.RequestId == request.RequestId)
        {
            return true;
        }

        await PassDoorAsync(session, request, Step.CreateImageRecord);
        await RequireAvailableAsync(session, request.Image, input.Prepared.Draft);
        var queued = await images.LockAsync(session, request.Image);
        if (!await images.ActivateAsync(session, request.Image, PropertiesOf(input), input.Prepared.Draft.MemberProjectId, now))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Image {request.Image} is not queued any more: somebody has deleted it.");
        }

        // What Glance tells of an image whose contents, none, have arrived.
        var active = (await images.LockAsync(session, request.Image))!;
        await notifications.AddAsync(
            session, [Notification.OfImage("prepare", queued!, now), Notification.OfImage("upload", active, now), Notification.OfImage("activate", active, now)]);
        await quotas.CloseAsync(session, request.Image);
        await actions.FinishAsync(session, request.Server, request.RequestId, error: null, now);
        await servers.ReleaseTaskStateAsync(session, request.Server, request.Image, now);
        // The step that writes this ends with it.
        var steps = input.Steps.Select(s => s.EndedAt is null ? s with { EndedAt = now } : s).ToList();
        return await runs.CloseAsync(session, request.Image, request.RequestId, RunStatus.Completed, null, input.Evidence, steps, [], now);
    });

    private async Task<IReadOnlyList<Snapshot>> RequireAvailableAsync(Session session, ImageId image, ImageDraft draft)
    {
        var rows = await snapshots.OfImageAsync(session, image);
        var available = rows.Where(s => s.Status == SnapshotStatus.Available).Select(s => s.Id).ToHashSet();
        return available.Count == rows.Count && available.SetEquals(draft.Volumes.Select(v => v.Snapshot))
            ? rows
            : throw new SnapshotFlowException(
                ErrorKind.StaleStatus,
                $"Image {image} needs an available snapshot of each of its {draft.Volumes.Count} volumes, and has "
                + $"{(rows.Count == 0 ? "none" : string.Join(", ", rows.Select(s => $"{s.Id} {s.Status.ToText()}")))}.");
    }

    private static Snapshot SnapshotOf(CreateImageInput request, VolumeToCut cut, Volume volume, DateTimeOffset now) => new()
    {
        Id = cut.Snapshot,
        VolumeId = cut.Volume,
        ImageId = request.Image,
        ProjectId = cut.ProjectId,
        UserId = request.Caller.UserId,
        Name = ImageNames.SnapshotPrefix + request.Name,
        Description = volume.Description,
        Status = SnapshotStatus.Creating,
        ProgressPercent = 0,
        SizeGib = cut.SizeGib,
        VolumeType = cut.VolumeType,
        EncryptionKeyId = volume.EncryptionKeyId,
        CreatedAt = now,
    };

    private static Dictionary<string, string> PropertiesOf(CreateImageRecordInput input)
    {
        var draft = input.Prepared.Draft;
        var properties = new Dictionary<string, string>(draft.Properties)
        {
            ["block_device_mapping"] = BlockDeviceMapping.Serialize(draft.Mapping),
            // Nova tests this for being non-empty, and writes it so.
            ["bdm_v2"] = "True",
        };
        if (draft.RootDeviceName is not null)
        {
            properties["root_device_name"] = draft.RootDeviceName;
        }

        foreach (var (name, value) in EvidenceProperties.Of(input.Evidence, input.Request.Server))
        {
            properties[name] = value;
        }

        return properties;
    }
}
