using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>What <c>snapshot-ID.json</c> says; written after the cut, so it stands for a whole snapshot.</summary>
internal sealed record QemuSnapshotRecord(SnapshotId Snapshot, VolumeId Volume, long SizeBytes, DateTimeOffset CreatedAt);

/// <summary>What <c>volume-ID.json</c> says: the size asked for, which the file may exceed to a full sector, and what it was made from.</summary>
internal sealed record QemuVolumeRecord(VolumeId Volume, long SizeBytes, SnapshotId? Source);

/// <summary>
/// Volumes as qcow2 files in a directory (<c>volumes/volume-ID</c>), snapshots inside them: the guest goes on writing to the same file, so there is no chain of
/// overlays to bound, to commit or to lose. A cut takes milliseconds whatever the size.
/// <para>Of a running guest QEMU itself cuts, asked over QMP, all its volumes in one transaction; of a stopped one qemu-img does. Which it is, QEMU decides:
/// its lock on the file keeps qemu-img off a volume that a guest has open. What is in the directory decides what exists: the snapshot inside the volume is made first,
/// its record beside it last, and each is removed in the opposite order.</para>
/// <para>Volumes made from a snapshot are copies, independent ones. Raw files have no room for snapshots inside and are refused. Needs qemu-img, and of
/// each guest a QMP socket of its own (<see cref="QemuOptions.QmpDirectory"/>).</para>
/// </summary>
public sealed class QemuVolumeDriver : IVolumeDriver, IGroupSnapshots, IRevertToSnapshot
{
    /// <summary>Name of this kind of back end in configuration.</summary>
    public const string Kind = "qemu";

    /// <summary>qcow2 counts sizes in sectors. Source: QEMU, <c>BDRV_SECTOR_SIZE</c>.</summary>
    private const long Sector = 512;

    // ext4 with 4 KiB blocks, the smallest of the common file systems' limits.
    private const long MaxFileBytes = (1L << 44) - 4096;

    private readonly FileLayout layout;
    private readonly QemuOptions options;
    private readonly QmpGuests guests;
    private readonly QemuImg image;
    private readonly TimeProvider time;
    private readonly string section;

    /// <summary>A driver over a directory and the guests of this host; nothing is touched before <see cref="CheckAsync"/>.</summary>
    /// <param name="root">Absolute path of an existing directory.</param>
    /// <param name="options">How to reach guests; valid by <see cref="QemuOptions.Validate"/>.</param>
    /// <param name="time">Gives the instant of a cut, and measures deadlines.</param>
    /// <param name="section">Configuration path of the back end, for messages.</param>
    public QemuVolumeDriver(string root, QemuOptions options, TimeProvider time, string section = "VolumeBackend")
    {
        layout = new(root);
        this.options = options;
        this.time = time;
        this.section = section;
        guests = new(options, time);
        image = new(options, $"{section}:{nameof(VolumeBackendOptions.Qemu)}", time);
    }

    /// <inheritdoc/>
    public DriverCapabilities Capabilities { get; } = new()
    {
        Backend = Kind,
        OnlineSnapshot = true,
        InstantSnapshot = true,
        IndependentClones = true,
        MaxVolumeBytes = MaxFileBytes,
    };

    /// <inheritdoc/>
    public bool ServesFrozenGuests => true;

    /// <inheritdoc/>
    public Task CheckAsync(CancellationToken ct) => RunAsync($"back end '{Kind}'", async () =>
    {
        Require(Libc.Find(layout.Root) is { IsDirectory: true }, nameof(VolumeBackendOptions.Root),
            $"{layout.Root} is not a directory; create it, or mount its file system, and give the worker's user write permission");
        Require(Libc.Find(options.QmpDirectory) is { IsDirectory: true }, $"{nameof(VolumeBackendOptions.Qemu)}:{nameof(options.QmpDirectory)}",
            $"{options.QmpDirectory} is not a directory; it is where the guests' QMP sockets are");
        foreach (var directory in (string[])[layout.Volumes, layout.Snapshots, layout.Locks])
        {
            Directory.CreateDirectory(directory);
            Require(Libc.Find(directory) is { IsDirectory: true }, nameof(VolumeBackendOptions.Root), $"{directory} is a symbolic link; replace it by a directory");
        }

        Libc.SyncDirectory(layout.Root);
        await image.VersionAsync(ct).ConfigureAwait(false);
        return true;
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) => RunAsync($"create volume {volume}", () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        return MakeAsync(new(volume, sizeBytes, Source: null), partial => image.CreateAsync(partial, Sectors(sizeBytes), ct), ct);
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create snapshot {snapshot} of volume {volume}", async () =>
    {
        var made = (await CutAsync([new(volume, snapshot)], ct).ConfigureAwait(false))[0];
        progress?.Report(new(made.SizeBytes, made.SizeBytes));
        return made;
    }, ct);

    /// <inheritdoc/>
    public Task<IReadOnlyList<CreatedSnapshot>> CreateGroupSnapshotAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        VolumeRequest.CheckGroup(members);
        return RunAsync($"cut {members.Count} volumes at once, {string.Join(", ", members.Select(m => m.Volume))}", () => CutAsync(members, ct), ct);
    }

    /// <inheritdoc/>
    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => RunAsync($"delete snapshot {snapshot} of volume {volume}", async () =>
    {
        using var locks = LockSnapshots([new(volume, snapshot)], ct);
        var record = Record(snapshot);
        if (Find(snapshot) is { } existing)
        {
            if (existing.Volume != volume)
            {
                return false;
            }

            // Held shared by whoever makes a volume from it.
            using var unused = Libc.TryOpen(record, Libc.ReadOnly, out _);
            if (unused is not null && !Libc.TryLock(unused, exclusive: true, record))
            {
                throw new SnapshotFlowException(ErrorKind.Busy, $"snapshot {snapshot} of volume {volume} cannot be deleted: a volume is being made from it; try again when that has ended");
            }
        }

        if (Libc.Remove(record))
        {
            Libc.SyncDirectory(layout.Snapshots);
        }

        if (Regular(layout.Volume(volume)) is not null)
        {
            await RemoveInsideAsync([new(volume, snapshot)], ct).ConfigureAwait(false);
        }

        return true;
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        RunAsync($"find snapshot {snapshot} of volume {volume}", () => Task.FromResult(Find(snapshot) is { } found && found.Volume == volume ? found : null), ct);

    /// <inheritdoc/>
    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) => RunAsync("list snapshots", () =>
    {
        var (ids, next) = VolumeRequest.Page(layout.RecordedSnapshots(), VolumeRequest.CheckPage(after, limit), limit);
        return Task.FromResult(new SnapshotPage([.. ids.Select(Find).OfType<CreatedSnapshot>()], next));
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create volume {volume} from snapshot {snapshot} of volume {sourceVolume}", async () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        var made = await MakeAsync(new(volume, sizeBytes, snapshot), async partial =>
        {
            // The shared lock comes first, so that nobody deletes the snapshot between the look and the copy.
            using var source = OpenShared(Record(snapshot), ct);
            if (source is null || Find(snapshot) is not { } facts || facts.Volume != sourceVolume)
            {
                throw VolumeRequest.NoSnapshot(sourceVolume, snapshot, Kind);
            }

            VolumeRequest.CheckCloneSize(volume, facts, sizeBytes);
            await image.CopyAsync(layout.Volume(sourceVolume), Names.Snapshot(snapshot), partial, sizeBytes, progress, ct).ConfigureAwait(false);
            await image.ResizeAsync(partial, Sectors(sizeBytes), ct).ConfigureAwait(false);
        }, ct).ConfigureAwait(false);
        progress?.Report(new(sizeBytes, sizeBytes));
        return made;
    }, ct);

    /// <inheritdoc/>
    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) => RunAsync($"delete volume {volume}", () =>
    {
        using var name = NameLock.Take(layout, Names.Volume(volume), ct);
        var snapshots = layout.RecordedSnapshots().Select(Find).OfType<CreatedSnapshot>().Where(s => s.Volume == volume)
            .Select(s => Names.Snapshot(s.Snapshot)).Order(StringComparer.Ordinal).ToList();
        if (snapshots.Count > 0 && Regular(layout.Volume(volume)) is not null)
        {
            throw VolumeRequest.InUse($"volume {volume}", snapshots);
        }

        RemoveVolumeFiles(layout.Volume(volume));
        return Task.FromResult(true);
    }, ct);

    /// <inheritdoc/>
    public Task RevertToSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"revert volume {volume} to snapshot {snapshot}", async () =>
    {
        using var locks = LockSnapshots([new(volume, snapshot)], ct);
        if (Find(snapshot) is not { } facts || facts.Volume != volume || Regular(layout.Volume(volume)) is null)
        {
            throw VolumeRequest.NoSnapshot(volume, snapshot, Kind);
        }

        await image.RevertAsync(layout.Volume(volume), Names.Snapshot(snapshot), ct).ConfigureAwait(false);
        progress?.Report(new(facts.SizeBytes, facts.SizeBytes));
        return true;
    }, ct);

    // ---- cutting

    /// <summary>Cuts one volume, or several at one instant.</summary>
    private async Task<IReadOnlyList<CreatedSnapshot>> CutAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        using var locks = LockSnapshots(members, ct);
        var existing = members.Select(m => Find(m.Snapshot)).ToList();
        foreach (var (member, found) in members.Zip(existing))
        {
            if (found is not null && found.Volume != member.Volume)
            {
                throw VolumeRequest.OtherVolume(member.Volume, found);
            }

            if (Regular(layout.Volume(member.Volume)) is null)
            {
                throw VolumeRequest.NoVolume(member.Volume, Kind);
            }
        }

        var whole = existing.OfType<CreatedSnapshot>().ToList();
        if (whole.Count == members.Count && whole.DistinctBy(s => s.CreatedAt).Count() == 1)
        {
            return whole;
        }

        if (whole.Count > 0 && !await IsBrokenOffAsync(members, whole, ct).ConfigureAwait(false))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"snapshot {whole[0].Snapshot} of volume {whole[0].Volume} was cut on its own or with others; choose other ids");
        }

        var sizes = Sizes(members);
        var createdAt = whole.Count > 0 ? whole[0].CreatedAt : await CutInsideAsync(members, ct).ConfigureAwait(false);
        try
        {
            foreach (var member in members)
            {
                FileRecords.Write(Record(member.Snapshot), new QemuSnapshotRecord(member.Snapshot, member.Volume, sizes[member.Volume], createdAt));
            }

            Libc.SyncDirectory(layout.Snapshots);
        }
        catch
        {
            await TryUndoAsync(members).ConfigureAwait(false);
            throw;
        }

        return [.. members.Select(m => Created(new(m.Snapshot, m.Volume, sizes[m.Volume], createdAt)))];
    }

    /// <summary>Whether a worker died between the records of one group cut: then all the snapshots are inside, and those recorded have one instant.</summary>
    private async Task<bool> IsBrokenOffAsync(IReadOnlyList<GroupMember> members, IReadOnlyList<CreatedSnapshot> whole, CancellationToken ct)
    {
        if (members.Count == whole.Count || whole.DistinctBy(s => s.CreatedAt).Count() > 1)
        {
            return false;
        }

        var running = await RunningAsync(members, ct).ConfigureAwait(false);
        foreach (var member in members)
        {
            if (!(await InsideAsync(member.Volume, running, ct).ConfigureAwait(false)).Contains(Names.Snapshot(member.Snapshot)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Makes the snapshots inside the volumes, all at one instant, and says when.</summary>
    private async Task<DateTimeOffset> CutInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        try
        {
            return await TryCutInsideAsync(members, ct).ConfigureAwait(false);
        }
        catch (QemuException e) when (e.Kind is ErrorKind.Busy)
        {
            // A guest was started, or ended, between the look and the cut.
            return await TryCutInsideAsync(members, ct).ConfigureAwait(false);
        }
    }

    private async Task<DateTimeOffset> TryCutInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        var running = await RunningAsync(members, ct).ConfigureAwait(false);
        await RemoveInsideAsync(members, running, ct).ConfigureAwait(false);
        var sockets = running.Values.Select(r => r.Socket).Distinct().ToList();
        if (sockets.Count > 1)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"the volumes belong to {sockets.Count} running guests; cut those of one guest at once");
        }

        try
        {
            // Those that no guest has open do not change: whenever they are cut, it is the same instant.
            foreach (var member in members.Where(m => !running.ContainsKey(m.Volume)))
            {
                await image.CutAsync(layout.Volume(member.Volume), Names.Snapshot(member.Snapshot), ct).ConfigureAwait(false);
            }

            if (sockets is [var socket])
            {
                await guests.CutAsync(
                    socket, [.. members.Where(m => running.ContainsKey(m.Volume)).Select(m => (running[m.Volume].Node, Names.Snapshot(m.Snapshot)))], ct).ConfigureAwait(false);
            }

            return time.GetUtcNow();
        }
        catch (Exception e) when (e is not QemuException { Kind: ErrorKind.BackendUnavailable })
        {
            // Unknown outcomes are left to the next attempt or the delete: the guest does not answer now.
            await TryUndoAsync(members).ConfigureAwait(false);
            throw;
        }
    }

    private async Task TryUndoAsync(IReadOnlyList<GroupMember> members)
    {
        try
        {
            foreach (var member in members)
            {
                Libc.Remove(Record(member.Snapshot));
            }

            await RemoveInsideAsync(members, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SnapshotFlowException or QemuException or ErrnoException)
        {
            // The first failure is the one to report; without a record what is left is no snapshot, and the next attempt or the delete removes it.
        }
    }

    private async Task RemoveInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) =>
        await RemoveInsideAsync(members, await RunningAsync(members, ct).ConfigureAwait(false), ct).ConfigureAwait(false);

    private async Task RemoveInsideAsync(IReadOnlyList<GroupMember> members, IReadOnlyDictionary<VolumeId, QmpVolume> running, CancellationToken ct)
    {
        foreach (var (volume, snapshot) in members.Select(m => (m.Volume, Names.Snapshot(m.Snapshot))))
        {
            if (!(await InsideAsync(volume, running, ct).ConfigureAwait(false)).Contains(snapshot))
            {
                continue;
            }

            if (running.TryGetValue(volume, out var open))
            {
                await guests.RemoveAsync(open, snapshot, ct).ConfigureAwait(false);
            }
            else
            {
                await image.RemoveAsync(layout.Volume(volume), snapshot, ct).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The names of the snapshots inside a volume.</summary>
    private async Task<IReadOnlyList<string>> InsideAsync(VolumeId volume, IReadOnlyDictionary<VolumeId, QmpVolume> running, CancellationToken ct) =>
        running.TryGetValue(volume, out var open) ? open.Snapshots : (await image.InfoAsync(layout.Volume(volume), ct).ConfigureAwait(false)).Snapshots;

    private Task<IReadOnlyDictionary<VolumeId, QmpVolume>> RunningAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) =>
        guests.FindAsync(members.ToDictionary(m => m.Volume, m => layout.Volume(m.Volume)), ct);

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

    // ---- volumes

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

    // ---- files

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

    /// <summary>Takes the locks of snapshots and their volumes: snapshots first and each in order, so that nobody waits for somebody who waits for him.</summary>
    private Locks LockSnapshots(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        var locks = new Locks();
        try
        {
            foreach (var name in members.Select(m => Names.Snapshot(m.Snapshot)).Order(StringComparer.Ordinal).Concat(members.Select(m => Names.Volume(m.Volume)).Order(StringComparer.Ordinal)))
            {
                locks.Add(NameLock.Take(layout, name, ct));
            }

            return locks;
        }
        catch
        {
            locks.Dispose();
            throw;
        }
    }

    private sealed class Locks : List<NameLock>, IDisposable
    {
        public void Dispose() => ForEach(l => l.Dispose());
    }

    private static long Sectors(long sizeBytes) => (sizeBytes + Sector - 1) / Sector * Sector;

    private void Require(bool holds, string key, string message)
    {
        if (!holds)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{section}:{key}: {message}");
        }
    }

    /// <summary>The one place where a call begins and ends. Waiting for locks blocks, so the call leaves the caller's thread.</summary>
    private static async Task<T> RunAsync<T>(string what, Func<Task<T>> call, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        try
        {
            return await Task.Factory.StartNew(call, ct, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default).Unwrap().ConfigureAwait(false);
        }
        catch (QemuException e)
        {
            throw new SnapshotFlowException(e.Kind, $"{what}: {e.Message}", e);
        }
        catch (Exception e) when (e is ErrnoException or IOException or UnauthorizedAccessException)
        {
            throw FileErrors.Translate(what, e);
        }
    }
}
