using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>Snapshots: claimed in the ledger, completed by whoever comes next, found and removed.</summary>
public sealed partial class RbdVolumeDriver
{
    /// <summary>Writes down that the id is going to be of this volume, unless it is already.</summary>
    private RbdEntry Claim(RadosPoolHandle pool, RbdLedger ledger, VolumeId volume, SnapshotId snapshot, string? group)
    {
        while (true)
        {
            var known = ledger.Read(snapshot);
            if (known is not null && known.Volume == volume && (known.Cut is not null || known.Group == group))
            {
                return known;
            }

            // Without a cut it is somebody's attempt; with one that is gone, it was deleted by other means.
            if (known is not null && known.Volume != volume && (known.Cut is null || Find(pool, known, known.Volume, snapshot) is not null))
            {
                throw VolumeRequest.OtherVolume(volume, Created(snapshot, known));
            }

            var claim = new RbdEntry(volume, Cut: null, 0, default, group);
            if (ledger.Change(snapshot, known, claim))
            {
                return claim;
            }
        }
    }

    /// <summary>Writes down a cut that is there; of several who do so at once the first one counts.</summary>
    private static RbdEntry Complete(RbdLedger ledger, RbdImage image, SnapshotId snapshot, RbdSnapshot cut, RbdEntry entry)
    {
        while (true)
        {
            var known = ledger.Read(snapshot);
            if (known is not null && known.Volume != entry.Volume)
            {
                image.Remove(cut);
                throw VolumeRequest.OtherVolume(entry.Volume, Created(snapshot, known, ""));
            }

            if (known?.Cut == cut.Id)
            {
                return known;
            }

            if (ledger.Change(snapshot, known, entry))
            {
                return entry;
            }
        }
    }

    /// <summary>The snapshot if it is whole.</summary>
    private CreatedSnapshot? Find(RadosPoolHandle pool, RbdEntry? entry, VolumeId volume, SnapshotId snapshot)
    {
        if (entry is not null && (entry.Volume != volume || entry.Cut is null))
        {
            return null;
        }

        using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
        return image is null ? null : Find(image, entry, volume, snapshot);
    }

    private CreatedSnapshot? Find(RbdImage image, RbdEntry? entry, VolumeId volume, SnapshotId snapshot)
    {
        if (entry is not null)
        {
            return image.Snapshots().Any(s => s.Id == entry.Cut && s.Namespace is (Librbd.UserNamespace or Librbd.GroupNamespace)) ? Created(snapshot, entry) : null;
        }

        // Made by other means, as Cinder does: whole when it is protected.
        var name = Names.Snapshot(snapshot);
        return image.Snapshot(name) is { } foreign && image.IsProtected(name)
            ? Created(snapshot, new(volume, foreign.Id, foreign.SizeBytes, image.CutAt(foreign), Group: null))
            : null;
    }

    /// <summary>What there is of a snapshot, whole or not.</summary>
    private static RbdSnapshot? Cut(RbdImage image, SnapshotId snapshot, RbdEntry? entry) =>
        entry?.Group is { } group ? image.SnapshotOfGroup(group) : image.Snapshot(Names.Snapshot(snapshot));

    /// <summary>Those of the entries whose snapshots are there, in their order. Each image is opened once.</summary>
    private List<CreatedSnapshot> Existing(RadosPoolHandle pool, IReadOnlyList<(SnapshotId Snapshot, RbdEntry Entry)> entries, CancellationToken ct)
    {
        var there = new System.Collections.Concurrent.ConcurrentDictionary<ulong, bool>();
        Parallel.ForEach(entries.Where(e => e.Entry.Cut is not null).Select(e => e.Entry.Volume).Distinct(), new() { MaxDegreeOfParallelism = Looks, CancellationToken = ct }, volume =>
        {
            using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
            foreach (var snapshot in image?.Snapshots() ?? [])
            {
                there[snapshot.Id] = snapshot.Namespace is Librbd.UserNamespace or Librbd.GroupNamespace;
            }
        });
        return [.. entries.Where(e => e.Entry.Cut is { } cut && there.GetValueOrDefault(cut)).Select(e => Created(e.Snapshot, e.Entry))];
    }

    /// <summary>Removes a cut, if need be through a handle that is opened now and therefore knows whether it is protected.</summary>
    private static void Remove(RadosPoolHandle pool, VolumeId volume, RbdImage image, RbdSnapshot cut)
    {
        if (!image.TryRemove(cut))
        {
            using var fresh = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: false);
            fresh?.Remove(cut);
        }
    }

    private static void RefuseWithChildren(RadosPoolHandle pool, VolumeId volume, SnapshotId snapshot, RbdSnapshot cut)
    {
        using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
        if (image?.Children(cut) is { Count: > 0 } children)
        {
            throw VolumeRequest.InUse($"snapshot {snapshot} of volume {volume}", children);
        }
    }

    private static SnapshotFlowException Vanished(VolumeId volume, SnapshotId snapshot) =>
        new(ErrorKind.BackendUnavailable, $"snapshot {snapshot} of volume {volume} was deleted while it was cut; call again");

    private CreatedSnapshot Created(SnapshotId snapshot, RbdEntry entry) => Created(snapshot, entry, Handle(entry.Volume));

    private static CreatedSnapshot Created(SnapshotId snapshot, RbdEntry entry, string volume) =>
        new(snapshot, entry.Volume, $"{volume}@{(entry.Group is { } group ? $"{group}/{entry.Cut}" : Names.Snapshot(snapshot))}", entry.SizeBytes, entry.CreatedAt);

    private string Handle(VolumeId volume) => $"{where}/{Names.Volume(volume)}";
}
