using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Activities;

/// <summary>What the deletion of a snapshot means in the records, whether it goes alone or with its image.</summary>
internal static class SnapshotDeletion
{
    /// <summary>The refusal for snapshots that volumes need; null when none is needed. Names only volumes of the snapshot's own project.</summary>
    public static async Task<SnapshotFlowException?> NeededByAsync(Session session, SnapshotStore snapshots, IReadOnlyList<Snapshot> rows)
    {
        var projects = rows.ToDictionary(s => s.Id, s => s.ProjectId);
        var dependents = await snapshots.DependentsAsync(session, rows.Select(s => s.Id));
        if (dependents.Count == 0)
        {
            return null;
        }

        var first = dependents[0].Snapshot;
        var named = dependents.Where(d => d.Snapshot == first).Select(d => d.ProjectId == projects[first] ? d.Volume.ToString() : "one of another project").Distinct();
        return new SnapshotFlowException(ErrorKind.StaleStatus, $"Invalid snapshot: Snapshot {first} is needed by volumes that were made from it: {string.Join(", ", named)}.");
    }

    /// <summary>Records what became of one snapshot; repeating changes nothing.</summary>
    public static async Task RecordAsync(
        Session session,
        SnapshotStore snapshots,
        VolumeStore volumes,
        NotificationStore notifications,
        UserMessageStore messages,
        DeletedSnapshot outcome,
        string requestId,
        DateTimeOffset now)
    {
        if (await snapshots.LockAsync(session, outcome.Snapshot) is not { } snapshot)
        {
            return;
        }

        if (outcome.Failure is not { } failure)
        {
            await snapshots.RemoveAsync(session, snapshot.Id, now);
            await TellAsync(session, volumes, notifications, "delete.end", snapshot with { Status = SnapshotStatus.Deleted }, now);
            return;
        }

        var busy = failure.Kind is ErrorKind.Busy;
        if (await snapshots.MoveAsync(session, snapshot.Id, busy ? SnapshotStatus.Available : SnapshotStatus.ErrorDeleting, now, SnapshotStatus.Deleting))
        {
            var kind = busy ? UserMessageKind.SnapshotBusy : UserMessageKind.SnapshotDeleteFailed;
            await messages.AddAsync(session, UserMessage.About(snapshot.Id, snapshot.ProjectId, kind, requestId, now));
        }
    }

    /// <summary>Writes the notification; of a snapshot whose volume is gone there is nothing to tell.</summary>
    public static async Task TellAsync(Session session, VolumeStore volumes, NotificationStore notifications, string happened, Snapshot snapshot, DateTimeOffset now)
    {
        if ((await volumes.FindAsync(session, [snapshot.VolumeId])).SingleOrDefault() is { } volume)
        {
            await notifications.AddAsync(session, [Notification.OfSnapshot(happened, snapshot, volume, now)]);
        }
    }
}
