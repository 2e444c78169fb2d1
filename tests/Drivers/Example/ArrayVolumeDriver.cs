using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Example;

/// <summary>A complete driver for <see cref="DiskArray"/>: the example of docs/driver-guide.md.</summary>
public sealed class ArrayVolumeDriver(DiskArray array) : IVolumeDriver
{
    private const string Kind = "array";

    public DriverCapabilities Capabilities { get; } = new()
    {
        Backend = Kind,
        OnlineSnapshot = true,
        InstantSnapshot = true,
        IndependentClones = false,
        MaxVolumeBytes = 1L << 44,
    };

    public Task CheckAsync(CancellationToken ct) => AskAsync("check", ct, () =>
        Version.Parse(array.FirmwareVersion).Major >= 4 ? true
            : throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"VolumeBackend:Address: the array has firmware {array.FirmwareVersion}; snapshots need 4.0 or newer"));

    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) => AskAsync($"create volume {volume}", ct, () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        return Existing(volume, source: null, sizeBytes)
            ?? Create(() => array.CreateLun(Names.Volume(volume), sizeBytes, Label(null, sizeBytes)), () => Existing(volume, source: null, sizeBytes));
    });

    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        AskAsync($"create snapshot {snapshot} of volume {volume}", ct, () =>
    {
        var made = Existing() ?? Create(Take, Existing);
        progress?.Report(new(made.SizeBytes, made.SizeBytes));
        return made;

        void Take() => array.TakeSnapshot((Whole(volume) ?? throw VolumeRequest.NoVolume(volume, Kind)).Name, Names.Snapshot(snapshot));

        CreatedSnapshot? Existing() => Find(snapshot) is not { } found ? null : found.Volume == volume ? found : throw VolumeRequest.OtherVolume(volume, found);
    });

    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) => AskAsync($"delete snapshot {snapshot} of volume {volume}", ct, () =>
    {
        if (Find(snapshot)?.Volume == volume)
        {
            Delete(() => array.DeleteSnapshot(Names.Snapshot(snapshot)), $"snapshot {snapshot} of volume {volume}");
        }

        return true;
    });

    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        AskAsync($"find snapshot {snapshot} of volume {volume}", ct, () => Find(snapshot) is { } found && found.Volume == volume ? found : null);

    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) => AskAsync("list snapshots", ct, () =>
    {
        var last = VolumeRequest.CheckPage(after, limit);
        var ours = array.SnapshotNames().Select(n => BackendNames.TrySnapshot(n, out var id) ? id : (SnapshotId?)null).OfType<SnapshotId>();
        var (ids, next) = VolumeRequest.Page(ours, last, limit);
        return new SnapshotPage([.. ids.Select(Find).OfType<CreatedSnapshot>()], next);
    });

    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        AskAsync($"create volume {volume} from snapshot {snapshot} of volume {sourceVolume}", ct, () =>
    {
        VolumeRequest.CheckSize(volume, sizeBytes, Capabilities);
        var made = Existing(volume, snapshot, sizeBytes) ?? Create(Clone, () => Existing(volume, snapshot, sizeBytes));
        progress?.Report(new(sizeBytes, sizeBytes));
        return made;

        void Clone()
        {
            var source = Find(snapshot) is { } found && found.Volume == sourceVolume ? found : throw VolumeRequest.NoSnapshot(sourceVolume, snapshot, Kind);
            VolumeRequest.CheckCloneSize(volume, source, sizeBytes);
            // Two steps for the array. The label says what the first one was for, so that whoever comes next can finish it.
            array.CloneLun(Names.Snapshot(snapshot), Names.Volume(volume), Label(snapshot, sizeBytes));
        }
    });

    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) => AskAsync($"delete volume {volume}", ct, () =>
    {
        Delete(() => array.DeleteLun(Names.Volume(volume)), $"volume {volume}");
        return true;
    });

    private static string Label(SnapshotId? source, long sizeBytes) => VolumeRequest.Describe(source, sizeBytes);

    /// <summary>Absent is a fact: only the array's own "no such object" becomes null.</summary>
    private static T? OrAbsent<T>(Func<T> get) where T : class
    {
        try
        {
            return get();
        }
        catch (ArrayException e) when (e.Fault == ArrayFault.NoSuchObject)
        {
            return null;
        }
    }

    /// <summary>Creates; when somebody else was quicker, what he made is the answer, or the conflict.</summary>
    private static T Create<T>(Action create, Func<T?> existing) where T : class
    {
        try
        {
            create();
        }
        catch (ArrayException e) when (e.Fault == ArrayFault.NameInUse)
        {
        }

        return existing() ?? throw new SnapshotFlowException(ErrorKind.BackendUnavailable, "it was deleted while it was made; call again");
    }

    private static void Delete(Action delete, string what)
    {
        try
        {
            delete();
        }
        catch (ArrayException e) when (e.Fault == ArrayFault.NoSuchObject)
        {
        }
        catch (ArrayException e) when (e.Fault == ArrayFault.HasDependents)
        {
            throw VolumeRequest.InUse(what, e.Message.Split(", "));
        }
    }

    private CreatedSnapshot? Find(SnapshotId snapshot) =>
        OrAbsent(() => array.GetSnapshot(Names.Snapshot(snapshot))) is { } found && BackendNames.TryVolume(found.Lun, out var volume)
            ? new(snapshot, volume, found.Name, found.SizeBytes, found.TakenAt)
            : null;

    /// <summary>The volume if it is there and complete: a clone that was not yet grown is none.</summary>
    private ArrayLun? Whole(VolumeId volume) => OrAbsent(() => array.GetLun(Names.Volume(volume))) is { } lun
        && lun.Label == Label(BackendNames.TrySnapshot(lun.Snapshot, out var source) ? source : null, lun.SizeBytes) ? lun : null;

    /// <summary>The volume if it is there, finished if somebody could not finish it; null if absent; a conflict if it was made otherwise.</summary>
    private CreatedVolume? Existing(VolumeId volume, SnapshotId? source, long sizeBytes)
    {
        if (OrAbsent(() => array.GetLun(Names.Volume(volume))) is not { } lun)
        {
            return null;
        }

        if (lun.Label != Label(source, sizeBytes))
        {
            throw VolumeRequest.MadeOtherwise(volume, Label(source, sizeBytes), lun.Label);
        }

        if (lun.SizeBytes != sizeBytes)
        {
            array.ResizeLun(lun.Name, sizeBytes);
        }

        return new(volume, lun.Name, sizeBytes);
    }

    /// <summary>The one table from the array's words to error kinds, and the one place where a call begins and ends.</summary>
    private static Task<T> AskAsync<T>(string what, CancellationToken ct, Func<T> ask) => Task.Run(() =>
    {
        try
        {
            return ask();
        }
        catch (ArrayException e)
        {
            var (kind, advice) = e.Fault switch
            {
                ArrayFault.NoSuchObject => (ErrorKind.NotFound, "it was deleted meanwhile"),
                ArrayFault.PoolFull => (ErrorKind.BackendRefused, "add disks to the pool or delete something"),
                ArrayFault.ConnectionLost => (ErrorKind.BackendUnavailable, "the outcome is unknown; call again"),
                _ => (ErrorKind.BackendRefused, "see the array's log"),
            };
            throw new SnapshotFlowException(kind, $"{what}: the array answered {e.Fault}: {e.Message}; {advice}", e);
        }
    }, ct);
}
