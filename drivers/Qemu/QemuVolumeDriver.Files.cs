using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>The files of volumes and snapshots, and their records.</summary>
public sealed partial class QemuVolumeDriver
{
    /// <summary>The sizes of volumes: what was asked for, or what the file says of one that was grown or made by other means.</summary>
    private Dictionary<VolumeId, long> Sizes(IReadOnlyList<GroupMember> members)
    {
        var sizes = new Dictionary<VolumeId, long>();
        foreach (var volume in members.Select(m => m.Volume))
        {
            var info = SizeInHeader(volume);
            sizes[volume] = FileRecords.Read<QemuVolumeRecord>(FileLayout.Record(layout.Volume(volume))) is { } record && Sectors(record.SizeBytes) == info ? record.SizeBytes : info;
        }

        return sizes;
    }

    /// <summary>The virtual size in the file's header. Source: QEMU, qcow2 specification: "QFI\xfb", then the size at byte 24, big-endian.</summary>
    private long SizeInHeader(VolumeId volume)
    {
        var path = layout.Volume(volume);
        using var file = Libc.Open(path, Libc.ReadOnly);
        var header = new byte[32];
        if (Libc.Read(file, header, 0, path) < header.Length || System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(header) != 0x514649fb)
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused, $"{path} is not in the format qcow2, which keeps snapshots; convert it: qemu-img convert -O qcow2");
        }

        return System.Buffers.Binary.BinaryPrimitives.ReadInt64BigEndian(header.AsSpan(24));
    }

    /// <summary>Makes a volume that is not there yet, all or nothing; answers with the one that is, or with the conflict.</summary>
    private async Task<CreatedVolume> MakeAsync(QemuVolumeRecord wanted, Func<string, Task> make, CancellationToken ct)
    {
        using var name = NameLock.Take(layout, Names.Volume(wanted.Volume), ct);
        var data = layout.Volume(wanted.Volume);
        if (Existing(wanted) is { } existing)
        {
            return existing;
        }

        RemoveVolumeFiles(data);
        try
        {
            // The data is what makes the volume exist, so that files put there by other means are volumes too: the record comes first.
            FileRecords.Write(FileLayout.Record(data), wanted);
            Libc.SyncDirectory(layout.Volumes);
            var partial = FileLayout.Partial(data);
            await make(partial).ConfigureAwait(false);
            using (var file = Libc.Open(partial, Libc.ReadWrite))
            {
                Libc.Protect(file, 0x1B0 /* 0660 */, partial);
                Libc.Sync(file, partial);
            }

            Libc.Rename(partial, data);
            Libc.SyncDirectory(layout.Volumes);
        }
        catch
        {
            try
            {
                RemoveVolumeFiles(data);
            }
            catch (ErrnoException)
            {
                // The first failure is the one to report; the next attempt or the delete removes what this one left.
            }

            throw;
        }

        return new(wanted.Volume, data, wanted.SizeBytes);
    }

    private CreatedVolume? Existing(QemuVolumeRecord wanted)
    {
        var data = layout.Volume(wanted.Volume);
        if (Regular(data) is null)
        {
            return null;
        }

        var known = FileRecords.Read<QemuVolumeRecord>(FileLayout.Record(data))
            ?? new(wanted.Volume, SizeInHeader(wanted.Volume), Source: null);
        return known == wanted
            ? new CreatedVolume(wanted.Volume, data, wanted.SizeBytes)
            : throw VolumeRequest.MadeOtherwise(wanted.Volume, VolumeRequest.Describe(wanted.Source, wanted.SizeBytes), VolumeRequest.Describe(known.Source, known.SizeBytes));
    }

    /// <summary>The data goes first: without it the rest is no volume.</summary>
    private void RemoveVolumeFiles(string data)
    {
        var record = FileLayout.Record(data);
        if (Libc.Remove(data) | Libc.Remove(record) | Libc.Remove(FileLayout.Partial(data)) | Libc.Remove(FileLayout.Partial(record)))
        {
            Libc.SyncDirectory(layout.Volumes);
        }
    }

    private string Record(SnapshotId snapshot) => FileLayout.Record(layout.Snapshot(snapshot));

    private CreatedSnapshot Created(QemuSnapshotRecord record) =>
        new(record.Snapshot, record.Volume, $"{layout.Volume(record.Volume)}@{Names.Snapshot(record.Snapshot)}", record.SizeBytes, record.CreatedAt);

    /// <summary>The snapshot if it is whole, whatever volume it is of.</summary>
    private CreatedSnapshot? Find(SnapshotId snapshot)
    {
        if (FileRecords.Read<QemuSnapshotRecord>(Record(snapshot)) is not { } record)
        {
            // Absent is a fact only while the directory itself is there.
            return Libc.Find(layout.Snapshots) is null ? throw new ErrnoException(Libc.ENOENT, "open", layout.Snapshots) : null;
        }

        // A volume that was removed by other means took its snapshots with it.
        return Regular(layout.Volume(record.Volume)) is null ? null : Created(record);
    }

    private FileFacts? Regular(string path)
    {
        if (Libc.Find(path) is not { } facts)
        {
            return Libc.Find(layout.Volumes) is null ? throw new ErrnoException(Libc.ENOENT, "open", layout.Volumes) : null;
        }

        return facts.IsRegular ? facts : throw new SnapshotFlowException(ErrorKind.BackendRefused, $"{path} is not a regular file; a symbolic link is never followed here");
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle? OpenShared(string path, CancellationToken ct)
    {
        while (Libc.TryOpen(path, Libc.ReadOnly, out var errno) is { } file || (errno == Libc.ENOENT ? false : throw new ErrnoException(errno, "open", path)))
        {
            if (Libc.TryLock(file, exclusive: false, path))
            {
                return file;
            }

            file.Dispose();
            NameLock.Wait(ct);
        }

        return null;
    }

    private static long Sectors(long sizeBytes) => (sizeBytes + Sector - 1) / Sector * Sector;
}
