using System.Globalization;
using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>How a volume was made.</summary>
/// <param name="Source">The snapshot it was made from; null for an empty one.</param>
/// <param name="SizeBytes">The size it was asked for with.</param>
/// <param name="Whole">False while it is being made: what is there then is no volume.</param>
internal sealed record RbdLabel(SnapshotId? Source, long SizeBytes, bool Whole);

/// <summary>
/// The object <c>snapshotflow.volume-ID</c> beside an image: its label, and the lock that keeps makers and deleters of one volume apart, across processes. Cuts
/// hold the lock shared, so they do not wait for each other. The lock of a process that died ends by itself.
/// </summary>
internal sealed class RbdVolumeNote : IDisposable
{
    private const string LockName = "snapshotflow";
    private const int MaxLabelBytes = 1024;

    // Longer than any step between two renewals, shorter than the patience of whoever waits for a dead worker's lock.
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(45);

    // RADOS locks have no wait; two calls for one volume at the same time are rare.
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(10);

    private readonly RadosPoolHandle pool;
    private readonly string name;
    private readonly string cookie = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
    private readonly bool exclusive;
    private bool removed;

    private RbdVolumeNote(RadosPoolHandle pool, string name, bool exclusive)
    {
        this.pool = pool;
        this.name = name;
        this.exclusive = exclusive;
    }

    /// <summary>Waits until the lock is free.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.Busy"/>: it is not within <paramref name="patience"/>.</exception>
    public static RbdVolumeNote Lock(RadosPoolHandle pool, VolumeId volume, bool exclusive, TimeSpan patience, CancellationToken ct) =>
        Lock(pool, $"snapshotflow.{Names.Volume(volume)}", $"volume {volume} is being made, cut or deleted", exclusive, patience, ct);

    /// <summary>Keeps those who cut one group apart; the note is to be removed at the end.</summary>
    /// <inheritdoc cref="Lock(RadosPoolHandle, VolumeId, bool, TimeSpan, CancellationToken)"/>
    public static RbdVolumeNote LockGroup(RadosPoolHandle pool, string group, TimeSpan patience, CancellationToken ct) =>
        Lock(pool, $"snapshotflow.{group}", $"group {group} is being cut", exclusive: true, patience, ct);

    private static RbdVolumeNote Lock(RadosPoolHandle pool, string name, string busy, bool exclusive, TimeSpan patience, CancellationToken ct)
    {
        var note = new RbdVolumeNote(pool, name, exclusive);
        for (var since = System.Diagnostics.Stopwatch.GetTimestamp(); ;)
        {
            ct.ThrowIfCancellationRequested();
            var result = note.Ask(renew: false);
            if (result != -RbdErrors.EBUSY)
            {
                RbdErrors.Check(result, "rados_lock", note.name);
                return note;
            }

            if (System.Diagnostics.Stopwatch.GetElapsedTime(since) > patience)
            {
                throw new SnapshotFlowException(ErrorKind.Busy,
                    $"{busy} by another call; try again. If its worker died, its lock ends {Lease.TotalSeconds:0} s after it was taken");
            }

            ct.WaitHandle.WaitOne(AskAgain);
        }
    }

    /// <summary>Keeps the lock for as long again.</summary>
    public void Renew() => RbdErrors.Check(Ask(renew: true), "rados_lock", name);

    /// <summary>The label; null when the volume was made by other means, or not at all.</summary>
    public RbdLabel? Read()
    {
        var bytes = new byte[MaxLabelBytes];
        var length = Librados.rados_read(pool, name, bytes, MaxLabelBytes, 0);
        return length is 0 or -RbdErrors.ENOENT ? null : JsonSerializer.Deserialize<RbdLabel>(bytes.AsSpan(0, RbdErrors.Check(length, "rados_read", name)));
    }

    public void Write(RbdLabel label)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(label);
        RbdErrors.Check(Librados.rados_write_full(pool, name, bytes, (nuint)bytes.Length), "rados_write_full", name);
    }

    /// <summary>Removes the note, and with it the lock.</summary>
    public void Remove()
    {
        var result = Librados.rados_remove(pool, name);
        removed = result == -RbdErrors.ENOENT || RbdErrors.Check(result, "rados_remove", name) >= 0;
    }

    public void Dispose()
    {
        if (!removed)
        {
            // What cannot be given back ends by itself.
            _ = Librados.rados_unlock(pool, name, LockName, cookie);
        }
    }

    private int Ask(bool renew)
    {
        var (lease, flags) = (new Librados.Timeval(Lease), renew ? Librados.MayRenew : (byte)0);
        return exclusive
            ? Librados.rados_lock_exclusive(pool, name, LockName, cookie, "making or deleting", lease, flags)
            : Librados.rados_lock_shared(pool, name, LockName, cookie, "cuts", "cutting", lease, flags);
    }
}
