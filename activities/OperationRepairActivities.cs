using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>
/// Begins the repair of what was done to things after they were made. Temporal is asked once more, and the records decide in the transaction that begins it: whoever
/// has asked again meanwhile, and whatever has moved on, is left alone.
/// </summary>
public sealed class OperationRepairActivities(
    Database database,
    ReconciliationStore records,
    OperationStore operations,
    ImageStore images,
    SnapshotStore snapshots,
    VolumeStore volumes,
    UserMessageStore messages,
    IRunDirectory directory,
    TimeProvider time) : IOperationRepairActivities
{
    private static ActivityExecutionContext Context => ActivityExecutionContext.Current;

    /// <summary>Whoever reads a message finds the look that it comes from.</summary>
    private static string RequestId => $"req-{Context.Info.WorkflowRunId}";

    /// <inheritdoc/>
    [Activity]
    public Task<DeletionToFinish?> BeginFinishDeletionAsync(Repair repair) => ActivityErrors.Translate(() => repair switch
    {
        { Operation: { } operation } => FinishImageAsync(operation),
        { Snapshot: { } snapshot } => FinishSnapshotAsync(snapshot),
        { Volume: { } volume } => FinishVolumeAsync(volume),
        _ => throw new ArgumentException("names nothing to delete", nameof(repair)),
    });

    /// <inheritdoc/>
    [Activity]
    public Task<CreationToGiveUp?> BeginGiveUpCreationAsync(Repair repair) => ActivityErrors.Translate(() => repair switch
    {
        { Operation: { } operation } => GiveUpRestoreAsync(operation),
        { Snapshot: { } snapshot } => GiveUpSnapshotAsync(snapshot),
        { Volume: { } volume } => GiveUpVolumeAsync(volume),
        _ => throw new ArgumentException("names nothing that was being made", nameof(repair)),
    });

    /// <summary>The workflow that is at work on an operation.</summary>
    internal static string RunOf(OperationKind kind, OperationId operation, ImageId image) =>
        kind is OperationKind.DeleteImage ? Names.DeleteImageWorkflow(image) : Names.RestoreImageWorkflow(operation);

    private async Task<DeletionToFinish?> FinishImageAsync(OperationId id)
    {
        if (await database.ReadAsync(s => operations.FindAsync(s, id), Context.CancellationToken) is not { Kind: OperationKind.DeleteImage } found
            || (await AskAsync(Names.DeleteImageWorkflow(found.ImageId))).Live)
        {
            return null;
        }

        return await RecordAsync<DeletionToFinish?>(async (session, now) =>
        {
            if (await operations.FindAsync(session, id) is not { Status: RunStatus.Running } operation)
            {
                return null;
            }

            switch (await images.LockAsync(session, operation.ImageId))
            {
                case null:
                    // Another deletion has taken it, and reports on its snapshots.
                    await operations.CloseAsync(session, operation with { Status = RunStatus.Completed, EndedAt = now });
                    return null;
                case { Status: ImageStatus.PendingDelete } image:
                    var going = (await snapshots.LockOfImageAsync(session, image.Id)).Where(s => s.Status is SnapshotStatus.Deleting);
                    if ((await volumes.FindAsync(session, going.Select(s => s.VolumeId))).Any(v => v.Frozen))
                    {
                        // Nothing is deleted there until an administrator has thawed it.
                        return null;
                    }

                    // In the name of the image's own project: an administrator of another one may have asked.
                    return new(Image: new(operation.Id, image.Id, KeepSnapshots: false, new(image.OwnerProjectId, operation.UserId, []), operation.RequestId, Resume: true));
                default:
                    return null;
            }
        });
    }

    private async Task<DeletionToFinish?> FinishSnapshotAsync(SnapshotId id) => (await AskAsync(Names.DeleteSnapshotWorkflow(id))).Live
        ? null
        : await RecordAsync<DeletionToFinish?>(async (session, _) => await FindTouchableAsync(session, id, SnapshotStatus.Deleting) is ({ } snapshot, _)
            ? new(Snapshot: new(id, Force: false, new(snapshot.ProjectId, snapshot.UserId, []), RequestId, Resume: true))
            : null);

    private async Task<DeletionToFinish?> FinishVolumeAsync(VolumeId id) => await AskAsync(Names.DeleteVolumeWorkflow(id)) is { Live: true } or { StartedAt: null }
        ? null
        : await RecordAsync<DeletionToFinish?>(async (session, _) => await volumes.LockAsync(session, id) is { Status: VolumeStatus.Deleting, SnapshotId: not null, Frozen: false } volume
            ? new(Volume: new(id, Force: false, new(volume.ProjectId, volume.UserId, []), RequestId, Resume: true))
            : null);

    private async Task<CreationToGiveUp?> GiveUpRestoreAsync(OperationId id)
    {
        var work = await AskAsync(Names.RestoreImageWorkflow(id));
        return work.Live ? null : await RecordAsync<CreationToGiveUp?>(async (session, now) =>
        {
            if (await operations.FindAsync(session, id) is not { Kind: OperationKind.RestoreImage, Status: RunStatus.Running } operation)
            {
                return null;
            }

            var made = await records.LockVolumesOfRestoreAsync(session, id);
            if (made.Any(v => v.InUse))
            {
                return null;
            }

            await operations.BeginUndoAsync(session, operation);
            var request = new RestoreImageInput(id, operation.ImageId, null, new(operation.ProjectId, operation.UserId, []), operation.RequestId);
            var reason = new Refusal(ErrorKind.StaleStatus, $"the restore was ended from outside (in Temporal: {work.Words}) and has been undone afterwards");
            return new(null, [.. made.Select(v => new VolumeToDelete(v.Volume, v.Backend))], new(request, RunStatus.Failed, reason, []));
        });
    }

    private async Task<CreationToGiveUp?> GiveUpSnapshotAsync(SnapshotId id) => (await AskAsync(Names.CreateSnapshotWorkflow(id))).Live
        ? null
        : await RecordAsync<CreationToGiveUp?>(async (session, now) =>
        {
            if (await FindTouchableAsync(session, id, SnapshotStatus.Creating) is not ({ ImageId: null } snapshot, var volume))
            {
                return null;
            }

            // The row first: a step that comes late finds it closed, and whoever deletes the snapshot deletes what the back end has of it.
            await snapshots.MoveAsync(session, id, SnapshotStatus.Error, now, SnapshotStatus.Creating);
            await messages.AddAsync(session, UserMessage.About(id, snapshot.ProjectId, UserMessageKind.SnapshotCreateFailed, RequestId, now));
            return new(new(volume?.Backend, snapshot.VolumeId, id), [], null);
        });

    private async Task<CreationToGiveUp?> GiveUpVolumeAsync(VolumeId id) => (await AskAsync(Names.CreateVolumeWorkflow(id))).Live
        ? null
        : await RecordAsync<CreationToGiveUp?>(async (session, now) =>
        {
            if (await volumes.LockAsync(session, id) is not { Status: VolumeStatus.Creating, SnapshotId: not null, Frozen: false } volume
                || !await records.IsUnchangedAsync(session, id))
            {
                return null;
            }

            await volumes.FailAsync(session, id, now);
            await messages.AddAsync(session, UserMessage.About(id, volume.ProjectId, UserMessageKind.VolumeCreateFailed, RequestId, now));
            return new(null, [new(id, volume.Backend)], null);
        });

    /// <summary>A snapshot that its own run has put into a status, with its volume, unless an administrator has frozen the back end; held by the transaction.</summary>
    private async Task<(Snapshot? Snapshot, Volume? Volume)> FindTouchableAsync(Session session, SnapshotId id, SnapshotStatus status)
    {
        if (await snapshots.LockAsync(session, id) is not { } snapshot || snapshot.Status != status || !await records.IsByItsRunAsync(session, id))
        {
            return default;
        }

        var volume = (await volumes.FindAsync(session, [snapshot.VolumeId])).SingleOrDefault();
        return volume is { Frozen: true } ? default : (snapshot, volume);
    }

    private Task<WorkFact> AskAsync(string workflow) => directory.FindAsync(workflow, Context.CancellationToken);

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) => database.WriteAsync(session => work(session, time.GetUtcNow()), Context.CancellationToken);
}
