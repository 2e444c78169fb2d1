using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>The record-keeping of snapshots that are made or deleted one at a time. Each step is one transaction.</summary>
public sealed class SnapshotActivities(
    Database database, VolumeStore volumes, SnapshotStore snapshots, ImageStore images, QuotaStore quotas, NotificationStore notifications, UserMessageStore messages, TimeProvider time)
    : ISnapshotActivities
{
    /// <inheritdoc/>
    [Activity]
    public Task<AdmittedSnapshot> AdmitSnapshotAsync(CreateVolumeSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        // From here on nobody changes the volume until the row is there (Cinder bug 1739995).
        var volume = await volumes.LockAsync(session, input.Volume);
        if (volume is null || !(input.Caller.IsAdmin || volume.ProjectId == input.Caller.ProjectId))
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Volume {input.Volume} could not be found.");
        }

        if (await snapshots.LockAsync(session, input.Snapshot) is { } before)
        {
            return before.VolumeId == input.Volume && before.ProjectId == volume.ProjectId
                ? new AdmittedSnapshot(before, volume.Backend!, volume.Bootable)
                : throw Taken(input);
        }

        if (VolumeSnapshotRules.Refusal(volume, input.AllowInUse) is { } refusal)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, refusal);
        }

        if (await quotas.AdmitAsync(session, quotas.OfSnapshots(Quota.OfSnapshot(volume.ProjectId, volume.SizeGib, volume.VolumeType)), now) is { Count: > 0 } over)
        {
            throw Quota.ExceededInBlockStorage(over);
        }

        var snapshot = new Snapshot
        {
            Id = input.Snapshot,
            VolumeId = volume.Id,
            ProjectId = volume.ProjectId,
            UserId = input.Caller.UserId,
            Name = input.Name,
            Description = input.Description,
            Status = SnapshotStatus.Creating,
            ProgressPercent = 0,
            SizeGib = volume.SizeGib,
            VolumeType = volume.VolumeType,
            EncryptionKeyId = volume.EncryptionKeyId,
            Metadata = input.Metadata,
            CreatedAt = now,
        };
        if (!await snapshots.AddNewAsync(session, snapshot))
        {
            throw Taken(input);
        }

        await notifications.AddAsync(session, [Notification.OfSnapshot("create.start", snapshot, volume, now)]);
        return new AdmittedSnapshot(snapshot, volume.Backend!, volume.Bootable);
    });

    /// <inheritdoc/>
    [Activity]
    public Task CompleteSnapshotAsync(CreateVolumeSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        if (await snapshots.CompleteAsync(session, input.Snapshot, now))
        {
            await TellAsync(session, "create.end", (await snapshots.LockAsync(session, input.Snapshot))!, now);
            return true;
        }

        return await snapshots.LockAsync(session, input.Snapshot) is { Status: SnapshotStatus.Available }
            ? true
            : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Snapshot {input.Snapshot} is not being created any more: somebody has changed or deleted it.");
    });

    /// <inheritdoc/>
    [Activity]
    public Task FailSnapshotAsync(FailSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        // Available too: the step that completed it may have been done although nobody heard of it.
        if (await snapshots.MoveAsync(session, request.Snapshot, SnapshotStatus.Error, now, SnapshotStatus.Creating, SnapshotStatus.Available))
        {
            var snapshot = (await snapshots.LockAsync(session, request.Snapshot))!;
            await messages.AddAsync(session, UserMessage.About(snapshot.Id, snapshot.ProjectId, input.Kind, request.RequestId, now));
        }

        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task WithdrawSnapshotAsync(CreateVolumeSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        // The door first: a first step that is still on its way is waited for, and what it wrote is found after it.
        await snapshots.BuryAsync(session, input.Snapshot, input.Volume, input.Caller, now);
        if (await snapshots.LockAsync(session, input.Snapshot) is { } snapshot)
        {
            await snapshots.RemoveAsync(session, snapshot.Id, now);
            await TellAsync(session, "delete.start", snapshot with { Status = SnapshotStatus.Deleting }, now);
            await TellAsync(session, "delete.end", snapshot with { Status = SnapshotStatus.Deleted }, now);
        }

        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<SnapshotToDelete> BeginDeleteSnapshotAsync(DeleteSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        var snapshot = await snapshots.LockAsync(session, input.Snapshot);
        if (snapshot is null || !(input.Caller.IsAdmin || snapshot.ProjectId == input.Caller.ProjectId))
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Snapshot {input.Snapshot} could not be found.");
        }

        var volume = (await volumes.FindAsync(session, [snapshot.VolumeId])).SingleOrDefault();
        var plan = new SnapshotToDelete(volume?.Backend, snapshot.VolumeId, snapshot.Id);
        if (snapshot.Status is SnapshotStatus.Deleting)
        {
            return plan;
        }

        if (input.Resume)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"The deletion of snapshot {input.Snapshot} has not begun.");
        }

        if (volume is { Frozen: true })
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, VolumeSnapshotRules.Frozen);
        }

        if (!input.Force)
        {
            RequireDeletable(snapshot);
            await RequireUnneededAsync(session, snapshot);
        }

        await snapshots.MoveAsync(session, snapshot.Id, SnapshotStatus.Deleting, now, snapshot.Status);
        await TellAsync(session, "delete.start", snapshot with { Status = SnapshotStatus.Deleting }, now);
        return plan;
    });

    /// <inheritdoc/>
    [Activity]
    public Task EndDeleteSnapshotAsync(EndDeleteSnapshotInput input) => RecordAsync(async (session, now) =>
    {
        await SnapshotDeletion.RecordAsync(session, snapshots, volumes, notifications, messages, input.Outcome, input.Request.RequestId, now);
        return true;
    });

    private static void RequireDeletable(Snapshot snapshot)
    {
        if (snapshot.Status is not (SnapshotStatus.Available or SnapshotStatus.Error))
        {
            throw new SnapshotFlowException(
                ErrorKind.InvalidRequest, "Invalid snapshot: Snapshot status must be available or error and must not be part of a group.");
        }
    }

    private async Task RequireUnneededAsync(Session session, Snapshot snapshot)
    {
        if (snapshot.ImageId is { } id && await images.FindAsync(session, id) is { } image)
        {
            throw new SnapshotFlowException(
                ErrorKind.StaleStatus,
                image.OwnerProjectId == snapshot.ProjectId
                    ? $"Invalid snapshot: Snapshot {snapshot.Id} is part of image {image.Id}: delete the image, and its snapshots go with it."
                    : $"Invalid snapshot: Snapshot {snapshot.Id} is part of an image of another project.");
        }

        if (await SnapshotDeletion.NeededByAsync(session, snapshots, [snapshot]) is { } needed)
        {
            throw needed;
        }
    }

    private async Task TellAsync(Session session, string happened, Snapshot snapshot, DateTimeOffset now) =>
        await SnapshotDeletion.TellAsync(session, volumes, notifications, happened, snapshot, now);

    private static SnapshotFlowException Taken(CreateVolumeSnapshotInput input) =>
        new(ErrorKind.StaleStatus, $"Snapshot {input.Snapshot} has been asked for before, and was withdrawn or is of another volume: ask again with another idempotency key.");

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) => ActivityErrors.Translate(
        () => database.WriteAsync(session => work(session, time.GetUtcNow()), ActivityExecutionContext.Current.CancellationToken));
}
