using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>Volumes: how one is made, all or nothing, found and removed.</summary>
public sealed partial class RbdVolumeDriver
{
    /// <summary>Makes a volume that is not there yet, all or nothing; answers with the one that is, or with the conflict.</summary>
    private CreatedVolume Make(RadosPoolHandle pool, VolumeId volume, RbdLabel label, Action make, CancellationToken ct)
    {
        using var note = Lock(pool, volume, exclusive: true, ct);
        if (Existing(pool, volume, label, note) is { } existing)
        {
            return existing;
        }

        // What a broken-off attempt left.
        RemoveImage(pool, volume, note);
        ct.ThrowIfCancellationRequested();
        note.Write(label);
        try
        {
            make();
            note.Write(label with { Whole = true });
        }
        catch
        {
            try
            {
                RemoveImage(pool, volume, note);
                note.Remove();
            }
            catch (RbdException)
            {
                // The first failure is the one to report; the label says that what is left is no volume, and the next attempt or the delete removes it.
            }

            throw;
        }

        return new(volume, Handle(volume), label.SizeBytes);
    }

    /// <summary>The volume if it is there and was made as the label says; null if it is absent; a conflict otherwise.</summary>
    private CreatedVolume? Existing(RadosPoolHandle pool, VolumeId volume, RbdLabel label, RbdVolumeNote note)
    {
        var known = note.Read();
        using var image = known is { Whole: false } ? null : RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
        if (image is null)
        {
            return null;
        }

        known ??= new(null, image.SizeBytes, Whole: true);
        return known.Source == label.Source && known.SizeBytes == label.SizeBytes
            ? new CreatedVolume(volume, Handle(volume), label.SizeBytes)
            : throw VolumeRequest.MadeOtherwise(volume, VolumeRequest.Describe(label.Source, label.SizeBytes), VolumeRequest.Describe(known.Source, known.SizeBytes));
    }

    /// <summary>Opens a volume; null when there is none, or only what an attempt to make one left.</summary>
    private static RbdImage? OpenVolume(RadosPoolHandle pool, VolumeId volume, RbdVolumeNote note, bool readOnly) =>
        note.Read() is { Whole: false } ? null : RbdImage.TryOpen(pool, Names.Volume(volume), readOnly);

    private static void CreateImage(RadosPoolHandle pool, VolumeId volume, long sizeBytes) =>
        WithOptions(native => RbdErrors.Check(Librbd.rbd_create4(pool, Names.Volume(volume), (ulong)sizeBytes, native), "rbd_create", Names.Volume(volume)));

    private static void Clone(RadosPoolHandle pool, VolumeId volume, CreatedSnapshot source, long sizeBytes)
    {
        WithOptions(native =>
        {
            RbdErrors.Check(Librbd.rbd_image_options_set_uint64(native, Librbd.CloneFormat, 2), "rbd_image_options_set", "clone format");
            var cloned = Librbd.rbd_clone3(pool, Names.Volume(source.Volume), Names.Snapshot(source.Snapshot), pool, Names.Volume(volume), native);
            // It was deleted since it was found.
            return cloned == -RbdErrors.ENOENT ? throw VolumeRequest.NoSnapshot(source.Volume, source.Snapshot, Kind) : RbdErrors.Check(cloned, "rbd_clone", Names.Volume(volume));
        });
        if (sizeBytes > source.SizeBytes)
        {
            using var clone = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: false) ?? throw new RbdException(RbdErrors.ENOENT, "rbd_open", Names.Volume(volume));
            clone.Resize(sizeBytes);
        }
    }

    private static unsafe void RemoveImage(RadosPoolHandle pool, VolumeId volume, RbdVolumeNote note)
    {
        var name = Names.Volume(volume);
        RbdProgress.Run(new Renewal(note), Remove);

        void Remove(delegate* unmanaged[Cdecl]<ulong, ulong, void*, int> callback, void* state)
        {
            var result = Librbd.rbd_remove_with_progress(pool, name, callback, state);
            if (result == -RbdErrors.EMLINK)
            {
                // A group cut was broken off between its steps.
                LeaveGroup(pool, volume);
                result = Librbd.rbd_remove_with_progress(pool, name, callback, state);
            }

            if (result != -RbdErrors.ENOENT)
            {
                RbdErrors.Check(result, "rbd_remove", name);
            }
        }
    }

    private void RefuseWithSnapshots(RadosPoolHandle pool, VolumeId volume)
    {
        using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: true);
        if (image?.Snapshots() is not { Count: > 0 } snapshots)
        {
            return;
        }

        // In the trash is what clones of a deleted snapshot still need; a group's snapshot goes by the names that the ledger has for it.
        var needs = snapshots.SelectMany(s => s.Namespace switch
        {
            Librbd.UserNamespace => [s.Name],
            Librbd.GroupNamespace => [NameInLedger(pool, volume, s)],
            _ => image.Children(s),
        });
        throw VolumeRequest.InUse($"volume {volume}", [.. needs.Distinct().Order(StringComparer.Ordinal)]);
    }

    private static string NameInLedger(RadosPoolHandle pool, VolumeId volume, RbdSnapshot snapshot)
    {
        var ledger = new RbdLedger(pool);
        for (SnapshotId? last = null; ledger.Page(last, SnapshotPage.MaxLimit) is { Count: > 0 } page; last = page[^1].Snapshot)
        {
            if (page.Where(p => p.Entry.Volume == volume && p.Entry.Cut == snapshot.Id).ToList() is [var found, ..])
            {
                return Names.Snapshot(found.Snapshot);
            }
        }

        return snapshot.Name;
    }
}
