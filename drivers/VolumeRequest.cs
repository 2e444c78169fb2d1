using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>
/// The refusals that read the same in every driver: what can be told from the arguments alone, and the conflicts of rule 1 in <see cref="IVolumeDriver"/>.
/// </summary>
public static class VolumeRequest
{
    /// <summary>Refuses a size that is not 1 to <see cref="DriverCapabilities.MaxVolumeBytes"/>.</summary>
    public static void CheckSize(VolumeId volume, long sizeBytes, DriverCapabilities capabilities)
    {
        if (sizeBytes < 1 || sizeBytes > capabilities.MaxVolumeBytes)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest,
                $"volume {volume}: size {sizeBytes} bytes is not possible on back end '{capabilities.Backend}'; it must be 1 to {capabilities.MaxVolumeBytes}");
        }
    }

    /// <summary>Refuses a clone that is smaller than its snapshot.</summary>
    public static void CheckCloneSize(VolumeId volume, CreatedSnapshot snapshot, long sizeBytes)
    {
        if (sizeBytes < snapshot.SizeBytes)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest,
                $"volume {volume}: {sizeBytes} bytes is smaller than snapshot {snapshot.Snapshot}, which has {snapshot.SizeBytes}; ask for at least that");
        }
    }

    /// <summary>Refuses a group that cannot be cut: none, too many, or a volume or snapshot twice.</summary>
    public static void CheckGroup(IReadOnlyList<GroupMember> members)
    {
        if (members.Count is < 1 or > GroupMember.MaxMembers || members.DistinctBy(m => m.Volume).Count() < members.Count || members.DistinctBy(m => m.Snapshot).Count() < members.Count)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{members.Count} volumes cannot be cut at once; ask for 1 to {GroupMember.MaxMembers}, none twice, each with a snapshot id of its own");
        }
    }

    /// <summary>Refuses a page that cannot be: wrong limit, or <paramref name="after"/> that is not from a page of this list.</summary>
    /// <returns>The last snapshot of the page before; null for the first page.</returns>
    public static SnapshotId? CheckPage(string? after, int limit)
    {
        if (limit is < 1 or > SnapshotPage.MaxLimit)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"a page of {limit} snapshots is not possible; ask for 1 to {SnapshotPage.MaxLimit}");
        }

        return after is null ? null
            : SnapshotId.TryParse(after, null, out var id) ? id
            : throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"'{after}' is not the end of a page of snapshots; pass what the page before gave, or nothing");
    }

    /// <summary>Cuts one page out of all ids that there are.</summary>
    /// <param name="all">Every snapshot, in any order.</param>
    /// <param name="after">As <see cref="CheckPage"/> returned it.</param>
    /// <param name="limit">Checked by <see cref="CheckPage"/>.</param>
    /// <returns>The ids of the page in order, and the end to continue from; null when nothing follows.</returns>
    public static (IReadOnlyList<SnapshotId> Ids, string? Next) Page(IEnumerable<SnapshotId> all, SnapshotId? after, int limit)
    {
        var rest = all.OrderBy(id => id.ToString(), StringComparer.Ordinal)
            .SkipWhile(id => after is { } last && string.CompareOrdinal(id.ToString(), last.ToString()) <= 0)
            .Take(limit + 1).ToList();
        return rest.Count > limit ? (rest[..limit], rest[limit - 1].ToString()) : (rest, null);
    }

    /// <summary>The volume is not in the back end.</summary>
    public static SnapshotFlowException NoVolume(VolumeId volume, string backend) =>
        new(ErrorKind.NotFound, $"volume {volume} is not in back end '{backend}'");

    /// <summary>The volume has no such snapshot.</summary>
    public static SnapshotFlowException NoSnapshot(VolumeId volume, SnapshotId snapshot, string backend) =>
        new(ErrorKind.NotFound, $"volume {volume} has no snapshot {snapshot} in back end '{backend}'");

    /// <summary>The snapshot id is taken by a snapshot of another volume.</summary>
    public static SnapshotFlowException OtherVolume(VolumeId volume, CreatedSnapshot existing) =>
        new(ErrorKind.StaleStatus, $"snapshot {existing.Snapshot} of volume {volume}: the id is taken by a snapshot of volume {existing.Volume}; choose another id");

    /// <summary>The volume is there, but was made with other arguments.</summary>
    public static SnapshotFlowException MadeOtherwise(VolumeId volume, string asked, string existing) =>
        new(ErrorKind.StaleStatus, $"volume {volume} was asked for as {asked}, but it exists as {existing}; choose another id or delete it first");

    /// <summary>Something still needs it.</summary>
    public static SnapshotFlowException InUse(string what, IReadOnlyCollection<string> dependents) =>
        new(ErrorKind.Busy, $"{what} cannot be deleted: needed by {string.Join(", ", dependents)}; delete those first");

    /// <summary>How a volume came to be, in the words of messages.</summary>
    public static string Describe(SnapshotId? source, long sizeBytes) =>
        source is { } snapshot ? $"a clone of snapshot {snapshot} with {sizeBytes} bytes" : $"an empty volume of {sizeBytes} bytes";
}
