using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>
/// Volumes and snapshots as RBD images in a Ceph pool, named as Cinder names them: image <c>volume-ID</c>, protected snapshot <c>snapshot-ID</c>. Needs
/// <c>librados2</c> and <c>librbd1</c> 16.2 or newer on the worker's host.
/// <para>Beside the images lie two kinds of small objects: <see cref="RbdLedger"/> knows every snapshot id, <see cref="RbdVolumeNote"/> how a volume was made, and
/// holds its lock. Images that were made by other means, such as Cinder, are volumes too.</para>
/// <para>Clones are of format 2: they share blocks with their snapshot until they are flattened. A snapshot that has clones is not deleted; whoever wants that
/// flattens them first (<see cref="IFlattenVolume"/>).</para>
/// <para>A cut costs one snapshot number from a monitor, 50 ms to a second by the monitors' <c>paxos_propose_interval</c>, however many are cut at once.</para>
/// </summary>
public sealed partial class RbdVolumeDriver : IVolumeDriver, IDisposable
{
    /// <summary>Name of this kind of back end in configuration.</summary>
    public const string Kind = "rbd";

    // An object map covers 256 000 000 objects. Source: Ceph, cls_rbd MAX_OBJECT_MAP_OBJECT_COUNT; 4 MiB is the size of objects unless asked otherwise.
    private const long MaxImageBytes = 256_000_000L * (4 << 20);

    // At the same time, within one call that looks at many images.
    private const int Looks = 8;

    private readonly RbdOptions options;
    private readonly RbdConnection connection;
    private readonly TimeProvider time;
    private readonly string where;

    /// <summary>A driver over a pool; nothing is connected before <see cref="CheckAsync"/>.</summary>
    /// <param name="options">Which cluster and pool, and how long to wait for it; valid by <see cref="RbdOptions.Validate"/>.</param>
    /// <param name="time">Gives the instant of a cut.</param>
    /// <param name="section">Configuration path of <paramref name="options"/>, for messages.</param>
    public RbdVolumeDriver(RbdOptions options, TimeProvider time, string section = "Rbd")
    {
        this.options = options;
        this.time = time;
        connection = new(options, section);
        where = options.Namespace.Length > 0 ? $"{options.Pool}/{options.Namespace}" : options.Pool;
    }

    /// <inheritdoc/>
    public DriverCapabilities Capabilities { get; } = new()
    {
        Backend = Kind,
        OnlineSnapshot = true,
        InstantSnapshot = true,
        IndependentClones = false,
        MaxVolumeBytes = MaxImageBytes,
    };

    /// <summary>Closes the connection once no call uses it any more.</summary>
    public void Dispose() => connection.Dispose();

    /// <inheritdoc/>
    public Task CheckAsync(CancellationToken ct) => RunAsync($"back end '{Kind}', pool {where}", pool =>
    {
        Librbd.rbd_version(out _, out _, out _);
        new RbdLedger(pool).Page(after: null, most: 1);
        return true;
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) => RunAsync($"create volume {volume}", pool =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        return Make(pool, volume, new(null, sizeBytes, Whole: false), () => CreateImage(pool, volume, sizeBytes), ct);
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create snapshot {snapshot} of volume {volume}", pool =>
    {
        using var note = Lock(pool, volume, exclusive: false, ct);
        using var image = OpenVolume(pool, volume, note, readOnly: false) ?? throw VolumeRequest.NoVolume(volume, Kind);
        var ledger = new RbdLedger(pool);
        var entry = Claim(pool, ledger, volume, snapshot, group: null);
        var name = Names.Snapshot(snapshot);
        if (entry.Group is { } group && image.SnapshotOfGroup(group) is { } part && part.Id == entry.Cut)
        {
            return Created(snapshot, entry);
        }

        ct.ThrowIfCancellationRequested();
        var found = image.Snapshot(name);
        if (found is null)
        {
            image.Cut(name);
            var cutAt = time.GetUtcNow();
            found = image.Snapshot(name) ?? throw Vanished(volume, snapshot);
            image.Protect(name);
            entry = Complete(ledger, image, snapshot, found, new(volume, found.Id, found.SizeBytes, cutAt, Group: null));
        }
        else
        {
            // Cut by an attempt that was broken off, by one that runs at this moment, or by other means.
            image.Protect(name);
            entry = Complete(ledger, image, snapshot, found, new(volume, found.Id, found.SizeBytes, time.GetUtcNow(), Group: null));
        }

        progress?.Report(new(entry.SizeBytes, entry.SizeBytes));
        return Created(snapshot, entry);
    }, ct);

    /// <inheritdoc/>
    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => RunAsync($"delete snapshot {snapshot} of volume {volume}", pool =>
    {
        var ledger = new RbdLedger(pool);
        var entry = ledger.Read(snapshot) is { } known && known.Volume == volume ? known : null;
        using (Lock(pool, volume, exclusive: false, ct))
        {
            using var image = RbdImage.TryOpen(pool, Names.Volume(volume), readOnly: false);
            if (image is not null && Cut(image, snapshot, entry) is { } cut)
            {
                RefuseWithChildren(pool, volume, snapshot, cut);
                Remove(pool, volume, image, cut);
            }
        }

        if (entry is not null)
        {
            // Not as expected any more: somebody deletes it as well, or makes it anew.
            ledger.Change(snapshot, entry, null);
            RemoveGroupOf(pool, ledger, entry);
        }

        return true;
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        RunAsync($"find snapshot {snapshot} of volume {volume}", pool => Find(pool, new RbdLedger(pool).Read(snapshot), volume, snapshot), ct);

    /// <inheritdoc/>
    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) => RunAsync("list snapshots", pool =>
    {
        var last = VolumeRequest.CheckPage(after, limit);
        var ledger = new RbdLedger(pool);
        var found = new List<CreatedSnapshot>();
        while (found.Count <= limit)
        {
            var entries = ledger.Page(last, limit + 1);
            if (entries.Count == 0)
            {
                return new SnapshotPage(found, Next: null);
            }

            found.AddRange(Existing(pool, entries, ct));
            last = entries[^1].Snapshot;
        }

        return new SnapshotPage(found[..limit], found[limit - 1].Snapshot.ToString());
    }, ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        RunAsync($"create volume {volume} from snapshot {snapshot} of volume {sourceVolume}", pool =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        var made = Make(pool, volume, new(snapshot, sizeBytes, Whole: false), () =>
        {
            var entry = new RbdLedger(pool).Read(snapshot);
            var source = Find(pool, entry, sourceVolume, snapshot) ?? throw VolumeRequest.NoSnapshot(sourceVolume, snapshot, Kind);
            VolumeRequest.CheckCloneSize(volume, source, sizeBytes);
            if (entry?.Group is null)
            {
                Clone(pool, volume, source, sizeBytes);
            }
            else
            {
                CopyOfGroup(pool, volume, source, entry, sizeBytes, progress, ct);
            }
        }, ct);
        progress?.Report(new(sizeBytes, sizeBytes));
        return made;
    }, ct, copies: true);

    /// <inheritdoc/>
    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) => RunAsync($"delete volume {volume}", pool =>
    {
        using var note = Lock(pool, volume, exclusive: true, ct);
        RefuseWithSnapshots(pool, volume);
        RemoveImage(pool, volume, note);
        note.Remove();
        return true;
    }, ct, copies: true);

    private RbdVolumeNote Lock(RadosPoolHandle pool, VolumeId volume, bool exclusive, CancellationToken ct) => RbdVolumeNote.Lock(pool, volume, exclusive, options.OperationTimeout, ct);

    private static void WithOptions(Func<nint, int> call)
    {
        Librbd.rbd_image_options_create(out var native);
        try
        {
            call(native);
        }
        finally
        {
            Librbd.rbd_image_options_destroy(native);
        }
    }

    /// <summary>
    /// The one place where a call begins and ends. The library's calls block and cannot be interrupted, so each runs on a thread of its own; one that does not end
    /// in time is left to itself, with its outcome unknown.
    /// </summary>
    private async Task<T> RunAsync<T>(string what, Func<RadosPoolHandle, T> call, CancellationToken ct, bool copies = false)
    {
        ct.ThrowIfCancellationRequested();
        try
        {
            var pool = await connection.PoolAsync(ct).ConfigureAwait(false);
            var running = Task.Factory.StartNew(() => call(pool), ct, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
            return await running.WaitAsync(copies ? Timeout.InfiniteTimeSpan : options.CallTimeout, time, CancellationToken.None).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new SnapshotFlowException(ErrorKind.BackendUnavailable,
                $"{what}: no answer within {options.CallTimeout.TotalSeconds:0.#} s; the outcome is unknown. A hypervisor that holds the image's lock may hang (rbd lock ls)", e);
        }
        catch (AggregateException e) when (e.InnerException is RbdException inner)
        {
            throw RbdErrors.Translate(what, inner, options);
        }
        catch (Exception e) when (e is RbdException or DllNotFoundException or EntryPointNotFoundException or System.Text.Json.JsonException)
        {
            throw RbdErrors.Translate(what, e, options);
        }
    }

    /// <summary>Keeps a volume's lock while its image is removed, however long that takes.</summary>
    private sealed class Renewal(RbdVolumeNote note) : IProgress<DriverProgress>
    {
        private readonly System.Diagnostics.Stopwatch since = System.Diagnostics.Stopwatch.StartNew();

        public void Report(DriverProgress value)
        {
            if (since.Elapsed > TimeSpan.FromSeconds(10))
            {
                since.Restart();
                note.Renew();
            }
        }
    }
}
