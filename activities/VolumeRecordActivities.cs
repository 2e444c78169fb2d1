using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>The record-keeping of volumes that are made and deleted. Each step is one transaction.</summary>
public sealed class VolumeRecordActivities(Database database, VolumeStore volumes, SnapshotStore snapshots, QuotaStore quotas, UserMessageStore messages, TimeProvider time)
    : IVolumeRecordActivities
{
    /// <inheritdoc/>
    [Activity]
    public Task<AdmittedVolume> AdmitVolumeAsync(CreateVolumeInput input) => RecordAsync(async (session, now) =>
    {
        var snapshot = await snapshots.LockAsync(session, input.Snapshot);
        if (snapshot is null || !(input.Caller.IsAdmin || snapshot.ProjectId == input.Caller.ProjectId))
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Snapshot {input.Snapshot} could not be found.");
        }

        var source = (await volumes.FindAsync(session, [snapshot.VolumeId])).SingleOrDefault();
        if (await volumes.LockAsync(session, input.Volume) is { } before)
        {
            return before.SnapshotId == input.Snapshot && before.ProjectId == input.Caller.ProjectId
                ? new AdmittedVolume(before, ToMake(before, snapshot, source!))
                : throw Taken(input);
        }

        Require(input, snapshot, source);
        var volume = NewVolume(input.Volume, snapshot, source!, input.Caller, now) with
        {
            Name = input.Name,
            Description = input.Description,
            SizeGib = input.SizeGib ?? snapshot.SizeGib,
            Metadata = input.Metadata,
        };
        if (await quotas.LargestVolumeAsync(session, volume.ProjectId) is { } largest && volume.SizeGib > largest)
        {
            throw Quota.VolumeTooLarge(volume.SizeGib, largest);
        }

        if (await quotas.AdmitAsync(session, Quota.OfVolumes(volume.ProjectId, [(volume.SizeGib, volume.VolumeType)]), now) is { Count: > 0 } over)
        {
            throw Quota.ExceededInBlockStorage(over);
        }

        return await volumes.AddNewAsync(session, volume) ? new AdmittedVolume(volume, ToMake(volume, snapshot, source!)) : throw Taken(input);
    });

    /// <inheritdoc/>
    [Activity]
    public Task CompleteVolumeAsync(MadeVolume made) => RecordAsync(async (session, now) =>
        await volumes.CompleteAsync(session, made.Volume, made.NeedsSnapshot, now) || await volumes.LockAsync(session, made.Volume) is { Status: not (VolumeStatus.Error or VolumeStatus.Deleting) }
            ? true
            : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"Volume {made.Volume} is not being created any more: somebody has changed or deleted it."));

    /// <inheritdoc/>
    [Activity]
    public Task FailVolumeAsync(FailVolumeInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        if (await volumes.FailAsync(session, request.Volume, now))
        {
            await messages.AddAsync(session, UserMessage.About(request.Volume, request.Caller.ProjectId, UserMessageKind.VolumeCreateFailed, request.RequestId, now));
        }

        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task WithdrawVolumeAsync(CreateVolumeInput input) => RecordAsync(async (session, now) =>
    {
        // The door first: a first step that is still on its way is waited for, and what it wrote is found after it.
        await volumes.BuryAsync(session, input.Volume, input.Caller, now);
        await volumes.RemoveAsync(session, input.Volume, now);
        return true;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<VolumeToDelete> BeginDeleteVolumeAsync(DeleteVolumeInput input) => RecordAsync(async (session, now) =>
    {
        var volume = await volumes.LockAsync(session, input.Volume);
        if (volume is null || !(input.Caller.IsAdmin || volume.ProjectId == input.Caller.ProjectId))
        {
            throw new SnapshotFlowException(ErrorKind.NotFound, $"Volume {input.Volume} could not be found.");
        }

        if (volume.Status == VolumeStatus.Deleting)
        {
            return new VolumeToDelete(volume.Id, volume.Backend);
        }

        if (input.Resume)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"The deletion of volume {input.Volume} has not begun.");
        }

        if (volume.Frozen)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, VolumeSnapshotRules.Frozen);
        }

        var settled = input.Force || volume.Status is VolumeStatus.Available or VolumeStatus.Error or "error_restoring" or "error_extending" or "error_managing";
        var migrating = volume.MigrationStatus is not (null or "" or "none" or "deleting" or "error" or "success");
        var attached = (await volumes.AttachmentsAsync(session, [volume.Id]))[volume.Id].Any();
        string?[] against =
        [
            settled ? null : $"its status is {volume.Status}", migrating ? "it is migrating" : null, attached ? "it is attached" : null,
            await volumes.HasSnapshotsAsync(session, volume.Id) ? "it has snapshots" : null,
        ];
        if (against.OfType<string>().ToList() is [_, ..] reasons)
        {
            throw new SnapshotFlowException(
                ErrorKind.InvalidRequest,
                "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, "
                + "attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer. "
                + $"Of volume {volume.Id}: {string.Join(", ", reasons)}.");
        }

        await volumes.MoveAsync(session, volume.Id, VolumeStatus.Deleting, now, volume.Status);
        return new VolumeToDelete(volume.Id, volume.Backend);
    });

    /// <inheritdoc/>
    [Activity]
    public Task EndDeleteVolumeAsync(EndDeleteVolumeInput input) => RecordAsync(async (session, now) =>
    {
        var request = input.Request;
        if (input.Failure is null)
        {
            await volumes.RemoveAsync(session, request.Volume, now);
        }
        else if (await volumes.MoveAsync(session, request.Volume, VolumeStatus.ErrorDeleting, now, VolumeStatus.Deleting))
        {
            var volume = (await volumes.LockAsync(session, request.Volume))!;
            await messages.AddAsync(session, UserMessage.About(volume.Id, volume.ProjectId, UserMessageKind.VolumeDeleteFailed, request.RequestId, now));
        }

        return true;
    });

    /// <summary>The row of a volume that is being made from a snapshot: of the caller's project, in type, zone, encryption and back end as the source.</summary>
    internal static Volume NewVolume(VolumeId id, Snapshot snapshot, Volume source, Caller caller, DateTimeOffset now) => new()
    {
        Id = id,
        ProjectId = caller.ProjectId,
        UserId = caller.UserId,
        Status = VolumeStatus.Creating,
        SizeGib = snapshot.SizeGib,
        VolumeType = snapshot.VolumeType,
        Bootable = source.Bootable,
        Encrypted = source.Encrypted,
        EncryptionKeyId = snapshot.EncryptionKeyId,
        Backend = source.Backend,
        AvailabilityZone = source.AvailabilityZone,
        SnapshotId = snapshot.Id,
        NeedsSnapshot = true,
        CreatedAt = now,
    };

    private static void Require(CreateVolumeInput input, Snapshot snapshot, Volume? source)
    {
        var problem =
            snapshot.Status is not SnapshotStatus.Available ? "Invalid snapshot: Originating snapshot status must be one of 'available' values"
            : source is { Frozen: true } ? VolumeSnapshotRules.Frozen
            : source?.Backend is null ? $"Invalid snapshot: The volume {snapshot.VolumeId} of snapshot {snapshot.Id} is gone, or on no back end."
            : input.SizeGib < snapshot.SizeGib
                ? $"Invalid input received: Volume size '{input.SizeGib}'GB cannot be smaller than the snapshot size {snapshot.SizeGib}GB. They must be >= original snapshot size."
            : input.AvailabilityZone is { } zone && zone != source.AvailabilityZone
                ? "Invalid input received: Volume must be in the same availability zone as the snapshot"
            : input.VolumeType is { } type && type != snapshot.VolumeType
                ? $"Invalid volume type provided: {type} (requested type is not compatible; either match source volume, or omit type argument)."
            : null;
        if (problem is not null)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, problem);
        }
    }

    private static VolumeToMake ToMake(Volume volume, Snapshot snapshot, Volume source) => new(volume.Id, source.Id, snapshot.Id, source.Backend!, volume.SizeGib);

    private static SnapshotFlowException Taken(CreateVolumeInput input) =>
        new(ErrorKind.StaleStatus, $"Volume {input.Volume} has been asked for before, and was withdrawn or is made from another snapshot: ask again with another idempotency key.");

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) => ActivityErrors.Translate(
        () => database.WriteAsync(session => work(session, time.GetUtcNow()), ActivityExecutionContext.Current.CancellationToken));
}
