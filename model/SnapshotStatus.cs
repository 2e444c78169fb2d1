using System.Collections.Frozen;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>Where a volume snapshot stands. Source: Cinder Block Storage API v3, snapshot status; stored as the spelling given here.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SnapshotStatus>))]
public enum SnapshotStatus
{
    /// <summary>The row is there, the back end is not done. Progress is below 100 %.</summary>
    [JsonStringEnumMemberName("creating")] Creating,

    /// <summary>Usable: the only status from which a volume can be made.</summary>
    [JsonStringEnumMemberName("available")] Available,

    /// <summary>Failed; never heals by itself and holds its quota until it is deleted.</summary>
    [JsonStringEnumMemberName("error")] Error,

    /// <summary>Being deleted in the back end.</summary>
    [JsonStringEnumMemberName("deleting")] Deleting,

    /// <summary>Deleting failed; the back end may still have it. Only an administrator gets it out of here.</summary>
    [JsonStringEnumMemberName("error_deleting")] ErrorDeleting,

    /// <summary>A volume is being reverted to it.</summary>
    [JsonStringEnumMemberName("restoring")] Restoring,

    /// <summary>A backup is being made of it.</summary>
    [JsonStringEnumMemberName("backing-up")] BackingUp,

    /// <summary>Being changed by its block storage.</summary>
    [JsonStringEnumMemberName("updating")] Updating,

    /// <summary>Being given up by its block storage, which leaves it in the back end.</summary>
    [JsonStringEnumMemberName("unmanaging")] Unmanaging,

    /// <summary>Gone; the row is kept so that a late step cannot bring it back.</summary>
    [JsonStringEnumMemberName("deleted")] Deleted,
}

/// <summary>Facts about snapshot statuses.</summary>
public static class SnapshotStatuses
{
    private static readonly FrozenDictionary<SnapshotStatus, SnapshotStatus[]> Moves = new Dictionary<SnapshotStatus, SnapshotStatus[]>
    {
        [SnapshotStatus.Creating] = [SnapshotStatus.Available, SnapshotStatus.Error, SnapshotStatus.Deleted, SnapshotStatus.ErrorDeleting],
        [SnapshotStatus.Available] =
            [SnapshotStatus.Deleting, SnapshotStatus.Unmanaging, SnapshotStatus.Restoring, SnapshotStatus.BackingUp, SnapshotStatus.Updating, SnapshotStatus.Deleted, SnapshotStatus.ErrorDeleting],
        [SnapshotStatus.Error] = [SnapshotStatus.Deleting, SnapshotStatus.Deleted, SnapshotStatus.ErrorDeleting],
        [SnapshotStatus.Deleting] = [SnapshotStatus.Deleted, SnapshotStatus.Available, SnapshotStatus.ErrorDeleting],
        [SnapshotStatus.ErrorDeleting] = [SnapshotStatus.Deleting, SnapshotStatus.Deleted],
        [SnapshotStatus.Restoring] = [SnapshotStatus.Available],
        [SnapshotStatus.BackingUp] = [SnapshotStatus.Available],
        [SnapshotStatus.Updating] = [SnapshotStatus.Available],
        [SnapshotStatus.Unmanaging] = [SnapshotStatus.Deleted],
        [SnapshotStatus.Deleted] = [],
    }.ToFrozenDictionary();

    /// <summary>
    /// Whether a snapshot may go from one status to the other. Cinder's table, and three moves of its own that belong to undoing a failed run, whose
    /// workflow has just dealt with the back end: <c>creating</c>, <c>available</c> or <c>error</c> straight to <c>deleted</c> or <c>error_deleting</c>,
    /// and <c>error_deleting</c> to <c>deleted</c> when the undo is tried again. <c>error_deleting</c> to <c>deleting</c> is the administrator's forced delete.
    /// </summary>
    public static bool MayBecome(this SnapshotStatus from, SnapshotStatus to) => Moves[from].Contains(to);

    /// <summary>Every status that may become <paramref name="to"/>, as stored: what a guarded update expects to find.</summary>
    public static string[] ThatMayBecome(SnapshotStatus to) => [.. Enum.GetValues<SnapshotStatus>().Where(from => from.MayBecome(to)).Select(s => s.ToText())];
}
