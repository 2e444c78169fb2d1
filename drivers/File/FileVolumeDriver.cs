using Microsoft.Win32.SafeHandles;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.File;

/// <summary>
/// Volumes and snapshots as raw files in a directory (<c>volumes/volume-ID</c>, <c>snapshots/snapshot-ID</c>), for a host's own disks or a shared file system.
/// <para>On a file system with reflinks (btrfs, xfs) a cut is one instant and takes milliseconds whatever the size. Elsewhere it is a sparse copy that takes as
/// long as the data is large, and is a point in time only when nobody writes meanwhile (<see cref="DriverCapabilities.InstantSnapshot"/> is false).</para>
/// <para>Every call makes its result under a temporary name, syncs it, renames it and syncs the directory. A lock file per name, which the kernel
/// releases when its holder dies, orders calls for one name across processes; calls for different names never wait for each other. Symbolic links are
/// refused. Needs Linux 5.3 or newer and read and write permission below the root.</para>
/// </summary>
public sealed class FileVolumeDriver : IVolumeDriver
{
    /// <summary>Name of this kind of back end in configuration.</summary>
    public const string Kind = "file";

    // ext4 with 4 KiB blocks, the smallest of the common file systems' limits.
    private const long MaxFileBytes = (1L << 44) - 4096;
    private const int PrivateMode = 0x180 /* 0600 */, VolumeMode = 0x1B0 /* 0660 */, SnapshotMode = 0x120 /* 0440 */;

    private readonly FileLayout layout;
    private readonly TimeProvider time;
    private readonly string rootKey;

    /// <summary>A driver over a directory; nothing is touched before <see cref="CheckAsync"/>.</summary>
    /// <param name="root">Absolute path of an existing directory.</param>
    /// <param name="time">Gives the instant of a cut.</param>
    /// <param name="rootKey">Path of the configuration key that holds <paramref name="root"/>, for messages.</param>
    public FileVolumeDriver(string root, TimeProvider time, string rootKey = "Root")
    {
        layout = new(root);
        this.time = time;
        this.rootKey = rootKey;
        Capabilities = new() { Backend = Kind, OnlineSnapshot = true, InstantSnapshot = false, IndependentClones = true, MaxVolumeBytes = MaxFileBytes };
    }

    /// <inheritdoc/>
    public DriverCapabilities Capabilities { get; private set; }

    /// <inheritdoc/>
    public Task CheckAsync(CancellationToken ct) => RunAsync($"back end '{Kind}', {rootKey}", () =>
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{rootKey}: the file driver needs Linux");
        }

        // Directory.Exists is no use here: it says "no" also when it cannot tell.
        if (Libc.Find(layout.Root) is not { IsDirectory: true })
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{rootKey}: {layout.Root} is not a directory; create it, or mount its file system, and give the worker's user write permission");
        }

        foreach (var directory in (string[])[layout.Volumes, layout.Snapshots, layout.Locks])
        {
            Directory.CreateDirectory(directory);
            if (Libc.Find(directory) is not { IsDirectory: true })
            {
                throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{rootKey}: {directory} is a symbolic link; replace it by a directory");
            }
        }

        Libc.SyncDirectory(layout.Root);
        Capabilities = Capabilities with { InstantSnapshot = ProbeReflink() };
        return true;
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) => RunAsync($"create volume {volume}", () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        using var name = NameLock.Take(layout, Names.Volume(volume), ct);
        var data = layout.Volume(volume);
        if (ExistingVolume(volume, source: null, sizeBytes) is { } existing)
        {
            return existing;
        }

        RemoveVolumeFiles(data);
        AllOrNothing(() =>
        {
            MakeWhole(data, VolumeMode, file => Libc.Resize(file, sizeBytes, data));
            Libc.SyncDirectory(layout.Volumes);
        }, () => RemoveVolumeFiles(data));
        return new CreatedVolume(volume, data, sizeBytes);
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create snapshot {snapshot} of volume {volume}", () =>
    {
        using var name = NameLock.Take(layout, Names.Snapshot(snapshot), ct);
        if (Find(snapshot) is { } existing)
        {
            return existing.Volume == volume ? existing : throw VolumeRequest.OtherVolume(volume, existing);
        }

        using var source = OpenShared(layout.Volume(volume), ct) ?? throw VolumeRequest.NoVolume(volume, Kind);
        var data = layout.Snapshot(snapshot);
        RemoveSnapshotFiles(data);
        var record = new SnapshotRecord(snapshot, volume, 0, default);
        AllOrNothing(() =>
        {
            MakeWhole(data, SnapshotMode, file =>
            {
                FileCopy.Fill(source, file, data, progress, time, ct);
                record = record with { CreatedAt = time.GetUtcNow(), SizeBytes = Libc.Facts(file, data).SizeBytes };
            });
            FileRecords.Write(FileLayout.Record(data), record);
            Libc.SyncDirectory(layout.Snapshots);
        }, () => RemoveSnapshotFiles(data));

        progress?.Report(new(record.SizeBytes, record.SizeBytes));
        return Created(record, data);
    }, ct);

    /// <inheritdoc/>
    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => RunAsync($"delete snapshot {snapshot} of volume {volume}", () =>
    {
        using var name = NameLock.Take(layout, Names.Snapshot(snapshot), ct);
        var data = layout.Snapshot(snapshot);
        if (Find(snapshot) is { } existing)
        {
            if (existing.Volume != volume)
            {
                return false;
            }

            // Held shared by whoever makes a volume from it.
            using var unused = OpenRegular(data);
            if (unused is not null && !Libc.TryLock(unused, exclusive: true, data))
            {
                throw new SnapshotFlowException(ErrorKind.Busy, $"snapshot {snapshot} of volume {volume} cannot be deleted: a volume is being made from it; try again when that has ended");
            }
        }

        return RemoveSnapshotFiles(data);
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        RunAsync($"find snapshot {snapshot} of volume {volume}", () => Find(snapshot) is { } found && found.Volume == volume ? found : null, ct);

    /// <inheritdoc/>
    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) => RunAsync("list snapshots", () =>
    {
        var (ids, next) = VolumeRequest.Page(layout.RecordedSnapshots(), VolumeRequest.CheckPage(after, limit), limit);
        return new SnapshotPage([.. ids.Select(Find).OfType<CreatedSnapshot>()], next);
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create volume {volume} from snapshot {snapshot} of volume {sourceVolume}", () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        using var name = NameLock.Take(layout, Names.Volume(volume), ct);
        if (ExistingVolume(volume, snapshot, sizeBytes) is { } existing)
        {
            return existing;
        }

        // The shared lock comes first, so that nobody deletes the snapshot between the look and the copy.
        using var source = OpenShared(layout.Snapshot(snapshot), ct);
        if (source is null || Find(snapshot) is not { } facts || facts.Volume != sourceVolume)
        {
            throw VolumeRequest.NoSnapshot(sourceVolume, snapshot, Kind);
        }

        VolumeRequest.CheckCloneSize(volume, facts, sizeBytes);
        var data = layout.Volume(volume);
        RemoveVolumeFiles(data);
        AllOrNothing(() =>
        {
            // Here the data is what makes the volume exist, so that raw files put there by other means are volumes too: the record comes first.
            FileRecords.Write(FileLayout.Record(data), new CloneRecord(volume, sourceVolume, snapshot));
            Libc.SyncDirectory(layout.Volumes);
            MakeWhole(data, VolumeMode, file =>
            {
                FileCopy.Fill(source, file, data, progress, time, ct);
                Libc.Resize(file, sizeBytes, data);
            });
            Libc.SyncDirectory(layout.Volumes);
        }, () => RemoveVolumeFiles(data));

        progress?.Report(new(sizeBytes, sizeBytes));
        return new CreatedVolume(volume, data, sizeBytes);
    }, ct);

    /// <inheritdoc/>
    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) => RunAsync($"delete volume {volume}", () =>
    {
        using var name = NameLock.Take(layout, Names.Volume(volume), ct);
        var data = layout.Volume(volume);
        using var unused = OpenRegular(data);
        if (unused is not null)
        {
            // Held shared by whoever cuts a snapshot; once it is ours, no new snapshot can appear before the volume is gone.
            if (!Libc.TryLock(unused, exclusive: true, data))
            {
                throw new SnapshotFlowException(ErrorKind.Busy, $"volume {volume} cannot be deleted: a snapshot of it is being cut; try again when that has ended");
            }

            var snapshots = layout.RecordedSnapshots().Select(Find).OfType<CreatedSnapshot>().Where(s => s.Volume == volume)
                .Select(s => Names.Snapshot(s.Snapshot)).Order(StringComparer.Ordinal).ToList();
            if (snapshots.Count > 0)
            {
                throw VolumeRequest.InUse($"volume {volume}", snapshots);
            }
        }

        return RemoveVolumeFiles(data);
    }, ct);

    private static CreatedSnapshot Created(SnapshotRecord record, string data) => new(record.Snapshot, record.Volume, data, record.SizeBytes, record.CreatedAt);

    /// <summary>The snapshot if it is whole, whatever volume it is of.</summary>
    private CreatedSnapshot? Find(SnapshotId snapshot)
    {
        var data = layout.Snapshot(snapshot);
        if (FileRecords.Read<SnapshotRecord>(FileLayout.Record(data)) is not { } record || Regular(data) is not { } facts)
        {
            // Absent is a fact only while the directory itself is there.
            return Libc.Find(layout.Snapshots) is null ? throw new ErrnoException(Libc.ENOENT, "open", layout.Snapshots) : null;
        }

        return record.Snapshot == snapshot && record.SizeBytes == facts.SizeBytes
            ? Created(record, data)
            : throw new SnapshotFlowException(ErrorKind.BackendRefused,
                $"{data} is damaged: it has {facts.SizeBytes} bytes, its record says snapshot {record.Snapshot} of {record.SizeBytes} bytes; restore it from a backup or delete both files");
    }

    /// <summary>The volume if it is there and was made with these arguments; null if it is absent; a conflict otherwise.</summary>
    private CreatedVolume? ExistingVolume(VolumeId volume, SnapshotId? source, long sizeBytes)
    {
        var data = layout.Volume(volume);
        if (Regular(data) is not { } facts)
        {
            return null;
        }

        var madeFrom = FileRecords.Read<CloneRecord>(FileLayout.Record(data))?.Snapshot;
        return madeFrom == source && facts.SizeBytes == sizeBytes
            ? new CreatedVolume(volume, data, sizeBytes)
            : throw VolumeRequest.MadeOtherwise(volume, VolumeRequest.Describe(source, sizeBytes), VolumeRequest.Describe(madeFrom, facts.SizeBytes));
    }

    /// <summary>Makes a file under a temporary name and gives it its own when it is whole and durable.</summary>
    private static void MakeWhole(string path, int mode, Action<SafeFileHandle> fill)
    {
        var partial = FileLayout.Partial(path);
        using (var file = Libc.Open(partial, Libc.Create | Libc.Exclusive | Libc.ReadWrite, PrivateMode))
        {
            fill(file);
            Libc.Protect(file, mode, partial);
            Libc.Sync(file, partial);
        }

        Libc.Rename(partial, path);
    }

    /// <summary>Not "done" must mean "not there", also when only the last sync failed.</summary>
    private static void AllOrNothing(Action make, Action remove)
    {
        try
        {
            make();
        }
        catch
        {
            try
            {
                remove();
            }
            catch (ErrnoException)
            {
                // The first failure is the one to report; the next attempt or the delete removes what this one left.
            }

            throw;
        }
    }

    /// <summary>Removes a snapshot, or what a crashed attempt left of it. The record goes first: without it the rest is no snapshot.</summary>
    private bool RemoveSnapshotFiles(string data) => Remove(layout.Snapshots, FileLayout.Record(data), data);

    /// <summary>Removes a volume, or what a crashed attempt left of it. The data goes first: without it the rest is no volume.</summary>
    private bool RemoveVolumeFiles(string data) => Remove(layout.Volumes, data, FileLayout.Record(data));

    private static bool Remove(string directory, string first, string second)
    {
        var removed = Libc.Remove(first) | Libc.Remove(second) | Libc.Remove(FileLayout.Partial(first)) | Libc.Remove(FileLayout.Partial(second));
        if (removed)
        {
            Libc.SyncDirectory(directory);
        }

        return removed;
    }

    /// <summary>Opens a data file and keeps it from being deleted meanwhile; null when it is absent.</summary>
    private static SafeFileHandle? OpenShared(string path, CancellationToken ct)
    {
        while (OpenRegular(path) is { } file)
        {
            var locked = Libc.TryLock(file, exclusive: false, path);
            if (locked && Libc.Find(path) is { } named && named.IsSameFile(Libc.Facts(file, path)))
            {
                return file;
            }

            file.Dispose();
            if (!locked)
            {
                // A delete is asking its questions; it may yet decide to leave the file, so this is not "absent".
                NameLock.Wait(ct);
            }
        }

        return null;
    }

    private static SafeFileHandle? OpenRegular(string path)
    {
        if (Regular(path) is null)
        {
            return null;
        }

        var file = Libc.TryOpen(path, Libc.ReadOnly, out var errno);
        return file is not null || errno == Libc.ENOENT ? file : throw new ErrnoException(errno, "open", path);
    }

    /// <summary>What a data file is; null when it is absent; refused when something else has its name.</summary>
    private static FileFacts? Regular(string path) => Libc.Find(path) switch
    {
        null => null,
        { IsRegular: true } facts => facts,
        { IsLink: true } => throw new ErrnoException(Libc.ELOOP, "open", path),
        _ => throw new SnapshotFlowException(ErrorKind.BackendRefused, $"{path} is not a regular file; move it out of the back end's directory"),
    };

    private bool ProbeReflink()
    {
        var probe = Path.Join(layout.Snapshots, $".probe-{Guid.NewGuid()}");
        var clone = probe + ".clone";
        try
        {
            using var from = Libc.Open(probe, Libc.Create | Libc.Exclusive | Libc.ReadWrite, PrivateMode);
            using var to = Libc.Open(clone, Libc.Create | Libc.Exclusive | Libc.ReadWrite, PrivateMode);
            Libc.Write(from, new byte[4096], 0, probe);
            return Libc.TryReflink(from, to, probe);
        }
        finally
        {
            Libc.Remove(probe);
            Libc.Remove(clone);
        }
    }

    /// <summary>
    /// Runs one call and names its failures. System calls block, so each call has a thread of its own: on the pool, which starts with one thread per
    /// processor, cuts of many volumes would wait for each other while the guest is frozen.
    /// </summary>
    private static async Task<T> RunAsync<T>(string what, Func<T> call, CancellationToken ct)
    {
        try
        {
            return await Task.Factory.StartNew(call, ct, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ErrnoException or IOException or UnauthorizedAccessException)
        {
            throw FileErrors.Translate(what, e);
        }
    }
}
