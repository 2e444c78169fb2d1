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
public sealed partial class QemuVolumeDriver : IVolumeDriver, IGroupSnapshots, IRevertToSnapshot
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
