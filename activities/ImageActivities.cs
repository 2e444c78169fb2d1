using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>The record-keeping of what is done to an image after it was made. Each step is one transaction.</summary>
public sealed class ImageActivities(
    Database database,
    ImageStore images,
    SnapshotStore snapshots,
    VolumeStore volumes,
    QuotaStore quotas,
    OperationStore operations,
    NotificationStore notifications,
    UserMessageStore messages,
    TimeProvider time) : IImageActivities
{
    /// <inheritdoc/>
    [Activity]
    public Task<IReadOnlyList<SnapshotToDelete>> BeginDeleteImageAsync(DeleteImageInput input) => ActivityErrors.Translate(async () =>
        await BeginDeleteAsync(input) ?? throw new SnapshotFlowException(ErrorKind.StaleStatus, $"The deletion of image {input.Image} has not begun."));

    /// <summary>What is to be deleted. Null when it was only to be resumed and had not begun: then it never will, also when its first step comes late.</summary>
    private Task<IReadOnlyList<SnapshotToDelete>?> BeginDeleteAsync(DeleteImageInput input) => RecordAsync<IReadOnlyList<SnapshotToDelete>?>(async (session, now) =>
    {
        var image = await images.LockAsync(session, input.Image);
        if (image is null || !(input.Caller.IsAdmin || image.OwnerProjectId == input.Caller.ProjectId))
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Failed to find image {input.Image} to delete");
        }

        var begun = image.Status is ImageStatus.PendingDelete;
        if (!begun && input.Resume)
        {
            // The row is a door: a first step that is still on its way finds that it is over.
            var reason = new Refusal(ErrorKind.BackendUnavailable, "No worker began the deletion in time. The image is as it was.");
            await operations.CloseAsync(session, OperationOf(input, RunStatus.Failed, now) with { Reason = reason, EndedAt = now });
            return null;
        }

        if (!begun)
        {
            RequireDeletable(image);
        }

        // Once begun, what goes along is what its beginning has marked, whoever asks again, and however.
        var rows = begun ? [.. (await snapshots.LockOfImageAsync(session, input.Image)).Where(s => s.Status is SnapshotStatus.Deleting)]
            : input.KeepSnapshots ? [] : await snapshots.LockOfImageAsync(session, input.Image);
        if (!begun)
        {
            await RequireUnneededAsync(session, input.Image, rows);
            if (!await operations.OpenAsync(session, OperationOf(input, RunStatus.Running, now)))
            {
                throw new SnapshotFlowException(ErrorKind.StaleStatus, $"The deletion of image {input.Image} came too late: it was given up before.");
            }

            await images.BeginDeleteAsync(session, input.Image, now);
            foreach (var row in rows.Where(r => r.Status is not SnapshotStatus.Deleting))
            {
                await snapshots.MoveAsync(session, row.Id, SnapshotStatus.Deleting, now, row.Status);
                await SnapshotDeletion.TellAsync(session, volumes, notifications, "delete.start", row with { Status = SnapshotStatus.Deleting }, now);
            }
        }

        var backends = (await volumes.FindAsync(session, rows.Select(r => r.VolumeId))).ToDictionary(v => v.Id, v => v.Backend);
        return [.. rows.Select(r => new SnapshotToDelete(backends.GetValueOrDefault(r.VolumeId), r.VolumeId, r.Id))];
    });

    /// <inheritdoc/>
    [Activity]
    public Task EndDeleteImageAsync(EndDeleteImageInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        foreach (var outcome in input.Snapshots.OrderBy(o => o.Snapshot.Value))
        {
            await SnapshotDeletion.RecordAsync(session, snapshots, volumes, notifications, messages, outcome, request.RequestId, now);
        }

        if (await images.LockAsync(session, request.Image) is { } image)
        {
            await images.RemoveAsync(session, request.Image, now);
            await notifications.AddAsync(session, [Notification.OfImage("delete", image with { Status = ImageStatus.Deleted }, now)]);
        }

        var left = input.Snapshots.Where(o => o.Failure is not null).Select(o => new Leftover("DeleteVolumeSnapshot", Names.Snapshot(o.Snapshot), o.Failure!.Message)).ToList();
        await operations.CloseAsync(session, OperationOf(request, left.Count == 0 ? RunStatus.Completed : RunStatus.CompensationFailed, now) with
        {
            Reason = left.Count == 0 ? null : new Refusal(ErrorKind.CompensationFailed, $"{left.Count} snapshots of the image could not be deleted."),
            Leftovers = left,
            EndedAt = now,
        });
        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<PreparedRestore> PrepareRestoreAsync(RestoreImageInput input) => RecordAsync(async (session, now) =>
    {
        var image = await images.FindVisibleAsync(session, input.Image, input.Caller)
            ?? throw new SnapshotFlowException(ErrorKind.NotFound, $"No image found with ID {input.Image}");
        if (image.Status is not ImageStatus.Active)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Image {input.Image} is not active.");
        }

        // Nobody deletes a snapshot between the look at it and the row that needs it.
        var rows = await snapshots.LockOfImageAsync(session, input.Image);
        RequireWhole(image, rows, await snapshots.CountDeletedOfImageAsync(session, input.Image), input.Caller);
        var sources = (await volumes.FindAsync(session, rows.Select(r => r.VolumeId))).ToDictionary(v => v.Id);
        var entries = EntriesOf(image);
        var planned = rows
            .Select(row => (Row: row, Source: SourceOf(row, sources), Entry: entries.GetValueOrDefault(row.Id)))
            .OrderBy(p => p.Entry?.DeviceName ?? "~", StringComparer.Ordinal).ThenBy(p => p.Row.Id.Value)
            .Select(p => (
                p.Row,
                p.Source,
                Restored: new RestoredVolume(DeterministicId.Volume(input.Operation, p.Row.Id), p.Row.Id, p.Entry?.DeviceName, p.Entry?.BootIndex, p.Row.SizeGib)))
            .ToList();
        var prepared = new PreparedRestore(
            [.. planned.Select(p => new VolumeToMake(p.Restored.Volume, p.Source.Id, p.Row.Id, p.Source.Backend!, p.Row.SizeGib))], [.. planned.Select(p => p.Restored)]);

        if (!await operations.OpenAsync(session, OperationOf(input, RunStatus.Running, now) with { Volumes = prepared.Restored }))
        {
            // A repeated step finds what it did; one that comes after its undo finds the door closed.
            return await operations.IsOpenAsync(session, input.Operation)
                && await operations.FindAsync(session, input.Operation) is { Kind: OperationKind.RestoreImage } before
                && before.ImageId == input.Image && before.RequestId == input.RequestId
                    ? prepared
                    : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Restore {input.Operation} has ended or is being undone: ask again with another idempotency key.");
        }

        if (await quotas.LargestVolumeAsync(session, input.Caller.ProjectId) is { } largest && planned.Exists(p => p.Row.SizeGib > largest))
        {
            throw Quota.VolumeTooLarge(planned.Max(p => p.Row.SizeGib), largest);
        }

        var over = await quotas.AdmitAsync(session, Quota.OfVolumes(input.Caller.ProjectId, planned.Select(p => (p.Row.SizeGib, p.Row.VolumeType))), now);
        if (over.Count > 0)
        {
            throw Quota.Exceeded(over);
        }

        foreach (var (row, source, restored) in planned)
        {
            var name = $"{input.Name ?? image.Name ?? input.Image.ToString()} {restored.DeviceName ?? restored.Snapshot.ToString()}";
            await volumes.AddNewAsync(session, VolumeRecordActivities.NewVolume(restored.Volume, row, source, input.Caller, now) with
            {
                Name = name.Length <= 255 ? name : name[..255],
            });
        }

        return prepared;
    });

    /// <inheritdoc/>
    [Activity]
    public Task CompleteRestoreAsync(CompleteRestoreInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        if (!await operations.IsOpenAsync(session, request.Operation))
        {
            return await operations.FindAsync(session, request.Operation) is { Status: RunStatus.Completed }
                ? true
                : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Restore {request.Operation} has ended or is being undone.");
        }

        foreach (var made in input.Volumes.OrderBy(v => v.Volume.Value))
        {
            if (!await volumes.CompleteAsync(session, made.Volume, made.NeedsSnapshot, now))
            {
                throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Volume {made.Volume} is not being created any more: somebody has changed or deleted it.");
            }
        }

        await operations.CloseAsync(session, OperationOf(request, RunStatus.Completed, now) with { EndedAt = now });
        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task UndoRestoreAsync(UndoRestoreInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        // The row is a door: once it is closed, no first step that comes late writes volumes. One that is in it this moment is waited for, and read only then.
        await operations.BeginUndoAsync(session, OperationOf(request, RunStatus.Running, now));
        var known = (await operations.FindAsync(session, request.Operation))?.Volumes.Select(v => v.Volume) ?? [];
        foreach (var volume in input.Volumes.Union(known).OrderBy(v => v.Value))
        {
            _ = input.LeftBehind.Contains(volume) ? await volumes.FailAsync(session, volume, now) : await volumes.RemoveAsync(session, volume, now);
        }

        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task CloseRestoreAsync(CloseRestoreInput input) => RecordAsync(async (session, now) =>
    {
        await operations.CloseAsync(session, OperationOf(input.Request, input.Status, now) with { Reason = input.Reason, Leftovers = input.Leftovers, EndedAt = now });
        return true;
    });

    private static void RequireDeletable(Image image)
    {
        if (image.Protected)
        {
            throw new SnapshotFlowException(ErrorKind.Forbidden, $"Image {image.Id} is protected and cannot be deleted.");
        }

        if (!image.Status.MayBecome(ImageStatus.PendingDelete))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Image {image.Id} is {image.Status.ToText()}: it is still being made. Cancel its run, or wait for it.");
        }
    }

    private async Task RequireUnneededAsync(Session session, ImageId image, IReadOnlyList<Snapshot> rows)
    {
        if (rows.FirstOrDefault(r => r.Status is SnapshotStatus.Restoring or SnapshotStatus.BackingUp or SnapshotStatus.Updating or SnapshotStatus.Unmanaging) is { } busy)
        {
            throw new SnapshotFlowException(
                ErrorKind.StaleStatus, $"Image {image} could not be deleted because it is in use: Snapshot {busy.Id} is {busy.Status.ToText()}.");
        }

        if ((await volumes.FindAsync(session, rows.Select(r => r.VolumeId))).Any(v => v.Frozen))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Image {image} could not be deleted because its snapshots are on a frozen storage backend: wait until it is thawed, or keep them.");
        }

        if (await SnapshotDeletion.NeededByAsync(session, snapshots, rows) is { } needed)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Image {image} could not be deleted because it is in use: {needed.Message}");
        }
    }

    private static void RequireWhole(Image image, IReadOnlyList<Snapshot> rows, int deleted, Caller caller)
    {
        // An image that is shared does not share its snapshots. Source: Nova, whose boot from such an image fails with this text.
        if (rows.FirstOrDefault(r => !caller.IsAdmin && r.ProjectId != caller.ProjectId) is { } foreign)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"Block Device Mapping is Invalid: failed to get snapshot {foreign.Id}.");
        }

        var problem =
            deleted > 0 ? $"Image {image.Id} cannot be restored: {deleted} of its snapshots have been deleted."
            : rows.Count == 0 ? $"Image {image.Id} cannot be restored: it has no snapshots."
            : rows.FirstOrDefault(r => r.Status is not SnapshotStatus.Available) is { } unusable
                ? $"Image {image.Id} cannot be restored: Snapshot {unusable.Id} is {unusable.Status.ToText()}."
            : null;
        if (problem is not null)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, problem);
        }
    }

    private static Volume SourceOf(Snapshot row, Dictionary<VolumeId, Volume> sources) =>
        sources.GetValueOrDefault(row.VolumeId) is { Backend: not null } source
            ? !source.Frozen ? source : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Snapshot {row.Id} cannot be restored: its storage backend is frozen.")
            : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Snapshot {row.Id} cannot be restored: its volume {row.VolumeId} is gone, or on no back end.");

    /// <summary>The entries of the image's mapping by snapshot. The property is the caller's to edit; what cannot be read of it says nothing.</summary>
    private static Dictionary<SnapshotId, BlockDeviceEntry> EntriesOf(Image image)
    {
        try
        {
            var entries = image.Properties.TryGetValue("block_device_mapping", out var text) ? JsonSerializer.Deserialize<List<BlockDeviceEntry?>>(text) : null;
            return (entries ?? []).OfType<BlockDeviceEntry>().Where(e => e.SnapshotId is not null).DistinctBy(e => e.SnapshotId).ToDictionary(e => e.SnapshotId!.Value);
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private static Operation OperationOf(DeleteImageInput input, RunStatus status, DateTimeOffset now) => new()
    {
        Id = input.Operation,
        Kind = OperationKind.DeleteImage,
        ImageId = input.Image,
        ProjectId = input.Caller.ProjectId,
        UserId = input.Caller.UserId,
        RequestId = input.RequestId,
        Status = status,
        StartedAt = now,
    };

    private static Operation OperationOf(RestoreImageInput input, RunStatus status, DateTimeOffset now) => new()
    {
        Id = input.Operation,
        Kind = OperationKind.RestoreImage,
        ImageId = input.Image,
        ProjectId = input.Caller.ProjectId,
        UserId = input.Caller.UserId,
        RequestId = input.RequestId,
        Status = status,
        StartedAt = now,
    };

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) => ActivityErrors.Translate(
        () => database.WriteAsync(session => work(session, time.GetUtcNow()), ActivityExecutionContext.Current.CancellationToken));
}
