using System.Collections.Immutable;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Memory;

/// <summary>
/// The whole contract over <see cref="InMemoryStorage"/>: for tests, and the shortest complete driver to read. A cut is one instant and costs nothing.
/// </summary>
/// <param name="storage">What is stored; drivers made later over the same storage see it.</param>
/// <param name="time">Gives the instant of a cut.</param>
/// <param name="independentClones">False: volumes made from a snapshot keep it from being deleted, as in a back end that chains blocks.</param>
public sealed class InMemoryVolumeDriver(InMemoryStorage storage, TimeProvider time, bool independentClones = true) : IVolumeDriver, IGroupSnapshots
{
    /// <summary>Name of this kind of back end in configuration.</summary>
    public const string Kind = "memory";

    /// <inheritdoc/>
    public DriverCapabilities Capabilities { get; } = new()
    {
        Backend = Kind,
        OnlineSnapshot = true,
        InstantSnapshot = true,
        IndependentClones = independentClones,
        MaxVolumeBytes = 1L << 40,
    };

    /// <inheritdoc/>
    public Task CheckAsync(CancellationToken ct) => At(ct, () => true);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) => At(ct, () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        return CreateVolume(volume, source: null, sizeBytes, () => new(sizeBytes, ImmutableDictionary<long, byte[]>.Empty));
    });

    /// <inheritdoc/>
    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) => At(ct, () =>
    {
        if (storage.Snapshots.TryGetValue(snapshot, out var existing))
        {
            return existing.Facts.Volume == volume ? existing.Facts : throw VolumeRequest.OtherVolume(volume, existing.Facts);
        }

        var content = (storage.Volumes.GetValueOrDefault(volume) ?? throw VolumeRequest.NoVolume(volume, Kind)).Content;
        var facts = new CreatedSnapshot(snapshot, volume, $"{Names.Volume(volume)}@{Names.Snapshot(snapshot)}", content.SizeBytes, time.GetUtcNow());
        storage.Snapshots.Add(snapshot, new(facts, content));
        progress?.Report(new(content.SizeBytes, content.SizeBytes));
        return facts;
    });

    /// <inheritdoc/>
    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => At(ct, () =>
    {
        if (Find(volume, snapshot) is null)
        {
            return false;
        }

        var dependents = storage.Volumes.Where(v => v.Value.Source == snapshot).Select(v => Names.Volume(v.Key)).Order(StringComparer.Ordinal).ToList();
        if (!independentClones && dependents.Count > 0)
        {
            throw VolumeRequest.InUse($"snapshot {snapshot} of volume {volume}", dependents);
        }

        return storage.Snapshots.Remove(snapshot);
    });

    /// <inheritdoc/>
    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => At(ct, () => Find(volume, snapshot)?.Facts);

    /// <inheritdoc/>
    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) => At(ct, () =>
    {
        var (ids, next) = VolumeRequest.Page(storage.Snapshots.Keys, VolumeRequest.CheckPage(after, limit), limit);
        return new SnapshotPage([.. ids.Select(id => storage.Snapshots[id].Facts)], next);
    });

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) => At(ct, () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        return CreateVolume(volume, snapshot, sizeBytes, () =>
        {
            var source = Find(sourceVolume, snapshot) ?? throw VolumeRequest.NoSnapshot(sourceVolume, snapshot, Kind);
            VolumeRequest.CheckCloneSize(volume, source.Facts, sizeBytes);
            progress?.Report(new(sizeBytes, sizeBytes));
            return source.Content with { SizeBytes = sizeBytes };
        });
    });

    /// <inheritdoc/>
    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) => At(ct, () =>
    {
        var snapshots = storage.Snapshots.Where(s => s.Value.Facts.Volume == volume).Select(s => Names.Snapshot(s.Key)).Order(StringComparer.Ordinal).ToList();
        return snapshots.Count == 0 ? storage.Volumes.Remove(volume) : throw VolumeRequest.InUse($"volume {volume}", snapshots);
    });

    /// <inheritdoc/>
    public bool ServesFrozenGuests => true;

    /// <inheritdoc/>
    public Task<IReadOnlyList<CreatedSnapshot>> CreateGroupSnapshotAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) => At<IReadOnlyList<CreatedSnapshot>>(ct, () =>
    {
        VolumeRequest.CheckGroup(members);
        var existing = members.Select(m => storage.Snapshots.GetValueOrDefault(m.Snapshot)?.Facts).OfType<CreatedSnapshot>().ToList();
        if (existing.Count > 0)
        {
            var together = existing.Count == members.Count && existing.DistinctBy(s => s.CreatedAt).Count() == 1;
            return together && existing.Zip(members).All(p => p.First.Volume == p.Second.Volume)
                ? existing
                : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"snapshot {existing[0].Snapshot} is taken by a cut of volume {existing[0].Volume} with others; choose other ids");
        }

        var contents = members.Select(m => (storage.Volumes.GetValueOrDefault(m.Volume) ?? throw VolumeRequest.NoVolume(m.Volume, Kind)).Content).ToList();
        var at = time.GetUtcNow();
        return [.. members.Zip(contents, (m, content) =>
        {
            var facts = new CreatedSnapshot(m.Snapshot, m.Volume, $"{Names.Volume(m.Volume)}@{Names.Snapshot(m.Snapshot)}", content.SizeBytes, at);
            storage.Snapshots.Add(m.Snapshot, new(facts, content));
            return facts;
        })];
    });

    private CreatedVolume CreateVolume(VolumeId volume, SnapshotId? source, long sizeBytes, Func<InMemoryStorage.Content> content)
    {
        if (!storage.Volumes.TryGetValue(volume, out var existing))
        {
            storage.Volumes.Add(volume, new(content(), source));
        }
        else if (existing.Source != source || existing.CreatedSizeBytes != sizeBytes)
        {
            throw VolumeRequest.MadeOtherwise(volume, VolumeRequest.Describe(source, sizeBytes), VolumeRequest.Describe(existing.Source, existing.CreatedSizeBytes));
        }

        return new(volume, Names.Volume(volume), sizeBytes);
    }

    private InMemoryStorage.Snapshot? Find(VolumeId volume, SnapshotId snapshot) =>
        storage.Snapshots.TryGetValue(snapshot, out var found) && found.Facts.Volume == volume ? found : null;

    /// <summary>Runs one call alone, turning what it throws into a failed task.</summary>
    private Task<T> At<T>(CancellationToken ct, Func<T> call)
    {
        if (ct.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(ct);
        }

        try
        {
            lock (storage.Gate)
            {
                return Task.FromResult(call());
            }
        }
        catch (SnapshotFlowException e)
        {
            return Task.FromException<T>(e);
        }
    }
}
