using System.Collections.Concurrent;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>
/// Several volumes at one instant, by a snapshot of an RBD group: the cluster takes the exclusive lock of every image, so that nobody writes while they are cut.
/// <para>The group lives only for the cut, as an image can be in one group at most. What stays are the images' parts of the group's snapshot. The cluster
/// reaches them by number only and cannot clone them (16.2), so volumes made from them are copies, independent ones. That, and the time that the locks take, is
/// why frozen guests are better served by cuts of their own.</para>
/// </summary>
public sealed partial class RbdVolumeDriver : IGroupSnapshots, IRevertToSnapshot, IFlattenVolume
{
    private const string GroupSnapshot = "cut";
    private const int StepBytes = 4 << 20;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    /// <inheritdoc/>
    public bool ServesFrozenGuests => false;

    /// <inheritdoc/>
    public Task<IReadOnlyList<CreatedSnapshot>> CreateGroupSnapshotAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        VolumeRequest.CheckGroup(members);
        return RunAsync($"cut {members.Count} volumes at once, {string.Join(", ", members.Select(m => m.Volume))}", pool =>
        {
            var ledger = new RbdLedger(pool);
            var ordered = members.OrderBy(m => m.Snapshot.ToString(), StringComparer.Ordinal).ToList();
            var group = $"snapshotflow-{ordered[0].Snapshot}";
            var notes = new ConcurrentBag<RbdVolumeNote>();
            try
            {
                using var turn = RbdVolumeNote.LockGroup(pool, group, options.OperationTimeout, ct);
                AtOnce(ordered, m => notes.Add(Lock(pool, m.Volume, exclusive: false, ct)));
                if (Existing(pool, ledger, ordered, group) is not { } cut)
                {
                    ct.ThrowIfCancellationRequested();
                    cut = CutGroup(pool, ledger, ordered, group);
                }

                turn.Remove();
                return (IReadOnlyList<CreatedSnapshot>)[.. members.Select(m => Created(m.Snapshot, cut[m.Snapshot]))];
            }
            finally
            {
                foreach (var note in notes)
                {
                    note.Dispose();
                }
            }
        }, ct);
    }

    /// <inheritdoc/>
    public Task RevertToSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"revert volume {volume} to snapshot {snapshot}", pool =>
    {
        using var note = Lock(pool, volume, exclusive: true, ct);
        var entry = new RbdLedger(pool).Read(snapshot);
        var source = Find(pool, entry, volume, snapshot) ?? throw VolumeRequest.NoSnapshot(volume, snapshot, Kind);
        using var image = OpenVolume(pool, volume, note, readOnly: false) ?? throw VolumeRequest.NoVolume(volume, Kind);
        if (entry?.Group is null)
        {
            image.RevertTo(Names.Snapshot(snapshot), progress);
        }
        else
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused,
                $"volume {volume}: snapshot {snapshot} was cut with a group, and this cluster cannot revert one volume to it; make a volume from the snapshot instead");
        }

        progress?.Report(new(source.SizeBytes, source.SizeBytes));
        return true;
    }, ct, copies: true);

    /// <inheritdoc/>
    public Task FlattenVolumeAsync(VolumeId volume, IProgress<DriverProgress>? progress, CancellationToken ct) => RunAsync($"flatten volume {volume}", pool =>
    {
        using var note = Lock(pool, volume, exclusive: false, ct);
        using var image = OpenVolume(pool, volume, note, readOnly: false) ?? throw VolumeRequest.NoVolume(volume, Kind);
        try
        {
            image.Flatten(progress);
        }
        catch (RbdException e) when (e.Errno == RbdErrors.EINVAL)
        {
            // It has no parent.
        }

        progress?.Report(new(image.SizeBytes, image.SizeBytes));
        return true;
    }, ct, copies: true);

    /// <summary>What an earlier call, or one that runs at this moment, cut; null when there is anything left to do.</summary>
    private Dictionary<SnapshotId, RbdEntry>? Existing(RadosPoolHandle pool, RbdLedger ledger, IReadOnlyList<GroupMember> members, string group)
    {
        var found = new ConcurrentDictionary<SnapshotId, RbdEntry>();
        AtOnce(members, m =>
        {
            if (ledger.Read(m.Snapshot) is { Cut: not null } entry && Find(pool, entry, entry.Volume, m.Snapshot) is { } existing)
            {
                found[m.Snapshot] = entry.Volume != m.Volume ? throw VolumeRequest.OtherVolume(m.Volume, existing)
                    : entry.Group == group ? entry
                    : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"snapshot {m.Snapshot} of volume {m.Volume} was cut on its own or with others; choose other ids");
            }
        });
        if (ledger.ReadGroup(group) is { } known && !known.Members.ToHashSet().SetEquals(members))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"snapshot {members[0].Snapshot} belongs to a cut of {known.Members.Count} other volumes; choose other ids");
        }

        return found.Count == members.Count ? new(found) : null;
    }

    private Dictionary<SnapshotId, RbdEntry> CutGroup(RadosPoolHandle pool, RbdLedger ledger, IReadOnlyList<GroupMember> members, string group)
    {
        if (ledger.ReadGroup(group) is null)
        {
            ledger.ChangeGroup(group, null, new(members));
        }

        AtOnce(members, m => Claim(pool, ledger, m.Volume, m.Snapshot, group));
        try
        {
            Ignore(Librbd.rbd_group_create(pool, group), "rbd_group_create", group, RbdErrors.EEXIST);
            AtOnce(members, m => Join(pool, m.Volume, group));
            if (!IsCut(pool, group))
            {
                // What a broken-off attempt left is incomplete.
                Ignore(Librbd.rbd_group_snap_remove(pool, group, GroupSnapshot), "rbd_group_snap_remove", group, RbdErrors.ENOENT);
                Ignore(Librbd.rbd_group_snap_create(pool, group, GroupSnapshot), "rbd_group_snap_create", group, RbdErrors.EEXIST);
            }

            var cutAt = time.GetUtcNow();
            var cut = new ConcurrentDictionary<SnapshotId, RbdEntry>();
            AtOnce(members, m =>
            {
                using var image = RbdImage.TryOpen(pool, Names.Volume(m.Volume), readOnly: true) ?? throw VolumeRequest.NoVolume(m.Volume, Kind);
                var part = image.SnapshotOfGroup(group) ?? throw Vanished(m.Volume, m.Snapshot);
                cut[m.Snapshot] = Complete(ledger, image, m.Snapshot, part, new(m.Volume, part.Id, part.SizeBytes, cutAt, group));
            });
            AtOnce(members, m => Ignore(Librbd.rbd_group_image_remove(pool, group, pool, Names.Volume(m.Volume)), "rbd_group_image_remove", group, RbdErrors.ENOENT));
            // Of two who did the same at once the entries of the first one count; they have one instant.
            var instant = cut.Values.Max(e => e.CreatedAt);
            return cut.ToDictionary(c => c.Key, c => c.Value with { CreatedAt = instant });
        }
        catch (Exception)
        {
            Undo(pool, ledger, members, group);
            throw;
        }
    }

    private static void Join(RadosPoolHandle pool, VolumeId volume, string group)
    {
        var result = Librbd.rbd_group_image_add(pool, group, pool, Names.Volume(volume));
        switch (-result)
        {
            case RbdErrors.ENOENT:
                throw VolumeRequest.NoVolume(volume, Kind);
            case RbdErrors.EEXIST:
                using (var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true) ?? throw VolumeRequest.NoVolume(volume, Kind))
                {
                    if (image.Group() is { } other && other != group)
                    {
                        throw new SnapshotFlowException(ErrorKind.BackendRefused,
                            $"volume {volume} is in RBD group {other}, and an image can be in one only; remove it: rbd group image rm {other} {Names.Volume(volume)}");
                    }
                }

                break;
            default:
                RbdErrors.Check(result, "rbd_group_image_add", group);
                break;
        }
    }

    private static unsafe bool IsCut(RadosPoolHandle pool, string group)
    {
        var found = new Librbd.GroupSnapInfo[16];
        fixed (Librbd.GroupSnapInfo* first = found)
        {
            var (size, count) = ((nuint)sizeof(Librbd.GroupSnapInfo), (nuint)found.Length);
            RbdErrors.Check(Librbd.rbd_group_snap_list(pool, group, first, size, &count), "rbd_group_snap_list", group);
            var cut = false;
            for (nuint i = 0; i < count; i++)
            {
                cut |= RbdImage.Text(found[i].Name) == GroupSnapshot && found[i].State == Librbd.GroupSnapshotComplete;
            }

            Librbd.rbd_group_snap_list_cleanup(first, size, count);
            return cut;
        }
    }

    /// <summary>Removes what a failed cut left. What cannot be removed now is removed by the next attempt, or by the deletes of the snapshots.</summary>
    private static void Undo(RadosPoolHandle pool, RbdLedger ledger, IReadOnlyList<GroupMember> members, string group)
    {
        _ = Librbd.rbd_group_snap_remove(pool, group, GroupSnapshot);
        foreach (var member in members)
        {
            _ = Librbd.rbd_group_image_remove(pool, group, pool, Names.Volume(member.Volume));
        }

        _ = Librbd.rbd_group_remove(pool, group);
        try
        {
            foreach (var member in members)
            {
                if (ledger.Read(member.Snapshot) is { } entry && entry.Volume == member.Volume && entry.Group == group)
                {
                    ledger.Change(member.Snapshot, entry, null);
                }
            }

            ledger.ChangeGroup(group, ledger.ReadGroup(group), null);
        }
        catch (RbdException)
        {
            // As said.
        }
    }

    /// <summary>With the last of its members' snapshots the group itself goes.</summary>
    private static void RemoveGroupOf(RadosPoolHandle pool, RbdLedger ledger, RbdEntry deleted)
    {
        if (deleted.Group is not { } group)
        {
            return;
        }

        LeaveGroup(pool, deleted.Volume);
        if (ledger.ReadGroup(group) is { } known && !known.Members.Any(m => ledger.Read(m.Snapshot)?.Group == group))
        {
            Ignore(Librbd.rbd_group_snap_remove(pool, group, GroupSnapshot), "rbd_group_snap_remove", group, RbdErrors.ENOENT);
            Ignore(Librbd.rbd_group_remove(pool, group), "rbd_group_remove", group, RbdErrors.ENOENT);
            ledger.ChangeGroup(group, known, null);
        }
    }

    /// <summary>Takes an image out of a group that a broken-off cut left it in.</summary>
    private static void LeaveGroup(RadosPoolHandle pool, VolumeId volume)
    {
        using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
        if (image?.Group() is { } group && group.StartsWith("snapshotflow-", StringComparison.Ordinal))
        {
            Ignore(Librbd.rbd_group_image_remove(pool, group, pool, Names.Volume(volume)), "rbd_group_image_remove", group, RbdErrors.ENOENT);
        }
    }

    /// <summary>Copies what is not zeros of an image's part of a group's snapshot.</summary>
    private static void CopyOfGroup(
        RadosPoolHandle pool, VolumeId volume, CreatedSnapshot source, RbdEntry entry, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct)
    {
        using var from = RbdImage.TryOpen(pool, Names.Volume(source.Volume), readOnly: true) ?? throw VolumeRequest.NoSnapshot(source.Volume, source.Snapshot, Kind);
        from.See(from.Snapshots().FirstOrDefault(s => s.Id == entry.Cut) ?? throw VolumeRequest.NoSnapshot(source.Volume, source.Snapshot, Kind));
        CreateImage(pool, volume, sizeBytes);
        using var to = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: false) ?? throw new RbdException(RbdErrors.ENOENT, "rbd_open", Names.Volume(volume));
        var buffer = new byte[StepBytes];
        var reported = System.Diagnostics.Stopwatch.StartNew();
        foreach (var (offset, length) in from.Extents())
        {
            for (var at = offset; at < offset + length; at += StepBytes)
            {
                ct.ThrowIfCancellationRequested();
                var step = buffer.AsSpan(0, (int)Math.Min(StepBytes, offset + length - at));
                from.Read(at, step);
                to.Write(at, step);
                if (reported.Elapsed >= ReportEvery)
                {
                    reported.Restart();
                    progress?.Report(new(at + step.Length, sizeBytes));
                }
            }
        }

        to.Flush();
    }

    private static void Ignore(int result, string call, string subject, int errno)
    {
        if (result != -errno)
        {
            RbdErrors.Check(result, call, subject);
        }
    }

    /// <summary>Does something for every member, all at once; the first failure is thrown as it is.</summary>
    private static void AtOnce(IReadOnlyList<GroupMember> members, Action<GroupMember> act)
    {
        var failures = new ConcurrentQueue<Exception>();
        var threads = members.Select(m => new Thread(() =>
        {
            try
            {
                act(m);
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        }) { IsBackground = true }).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        if (failures.TryDequeue(out var first))
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(first);
        }
    }
}
