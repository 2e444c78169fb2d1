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

    // ---- volumes

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

    // ---- snapshots

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

    // ---- calls

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
