using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>
/// One storage back end: the volumes and snapshots in it, by name.
/// <para>
/// This file is the manual. Who implements every sentence in it has written a driver; <c>VolumeDriverContract</c> in the driver tests checks
/// them one by one and is run against every driver.
/// </para>
/// <para><b>Words.</b></para>
/// <list type="bullet">
/// <item><term>volume</term><description>a block device of a server, named <see cref="Names.Volume"/> in the back end.</description></item>
/// <item><term>snapshot</term><description>the bytes of one volume as they were at one instant, read-only, named <see cref="Names.Snapshot"/>. It belongs to
/// its volume: a volume that has snapshots cannot be deleted.</description></item>
/// <item><term>cut</term><description>the instant at which a snapshot's bytes are fixed.</description></item>
/// <item><term>clone</term><description>a volume made from a snapshot. Whether it goes on needing the snapshot is a fact of the back end
/// (<see cref="DriverCapabilities.IndependentClones"/>); while it does, it is a <i>dependent</i> of the snapshot.</description></item>
/// <item><term>handle</term><description>where the thing is, in the back end's own words (a path, pool/image@snap): for operators and records, never parsed.</description></item>
/// </list>
/// <para><b>Life of a driver.</b> One instance per back end and process, made once, used by many callers at the same time from any thread until the process
/// ends. <see cref="CheckAsync"/> runs once before any work. Several processes may drive the same back end at once; the rules below hold across them.</para>
/// <para><b>Rules that hold for every method.</b></para>
/// <list type="number">
/// <item><description><i>The name is the idempotency key.</i> The caller chooses the id; the name follows from it. Same name and same arguments again, also at
/// the same time, also after a crash → the same result, and only one thing exists. Same name and other arguments →
/// <see cref="ErrorKind.StaleStatus"/>, and nothing is changed.</description></item>
/// <item><description><i>Deleting the absent succeeds.</i></description></item>
/// <item><description><i>All or nothing.</i> After a failure, a cancellation or a crash at any point, the back end holds either the whole thing or, for every
/// method of this interface, nothing of that name. What a crashed attempt left is removed by the next attempt or the delete.</description></item>
/// <item><description><i>Done means durable.</i> When a method returns, the result survives a power cut of the host.</description></item>
/// <item><description><i>What is in the back end decides.</i> A driver keeps no state of its own that matters: a new instance sees what the old one did.</description></item>
/// <item><description><i>Absent is a fact.</i> "Not there" is said only when the back end says so; a failure to look is
/// <see cref="ErrorKind.BackendUnavailable"/> or <see cref="ErrorKind.BackendRefused"/>, never "absent".</description></item>
/// <item><description><i>Cancellation</i> ends a call with <see cref="OperationCanceledException"/> as soon as the back end allows and leaves nothing
/// half-made. A call whose token is cancelled before it began does nothing. Work that cannot be interrupted may finish; the next call sees it.</description></item>
/// <item><description><i>No retries inside.</i> Repeating is the caller's business: it has the clock. A driver may reconnect once.</description></item>
/// </list>
/// <para><b>Failures</b> are <see cref="SnapshotFlowException"/>s. Every method may throw <see cref="ErrorKind.BackendUnavailable"/> (no answer, or not in
/// time: the outcome is <i>unknown</i>; calling again with the same arguments is always right, as the driver looks the name up first) and
/// <see cref="ErrorKind.BackendRefused"/> (a definite no: permission, space, feature, damage; nothing was done). Other kinds stand at each method.
/// Messages say what was tried on which id, what came back, and what to do.</para>
/// <para>Source of the rules: the Container Storage Interface specification (idempotency of Create/Delete calls) and the behaviour that Cinder demands of
/// its drivers.</para>
/// </summary>
public interface IVolumeDriver
{
    /// <summary>What this back end can do. Complete once <see cref="CheckAsync"/> has returned; before that it promises only what is certain.</summary>
    DriverCapabilities Capabilities { get; }

    /// <summary>The ability to cut several volumes at one instant; null for a back end that cannot.</summary>
    IGroupSnapshots? Groups => this as IGroupSnapshots;

    /// <summary>The ability to revert volumes; null for a back end that cannot.</summary>
    IRevertToSnapshot? Reverting => this as IRevertToSnapshot;

    /// <summary>The ability to make clones independent; null for a back end that cannot, or whose clones are.</summary>
    IFlattenVolume? Flattening => this as IFlattenVolume;

    /// <summary>
    /// Checks configuration and reachability before work begins, and makes the back end ready (directories, connection).
    /// Repeating it is harmless. Cost: up to a second.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: the configuration is wrong, the message names the key and the
    /// remedy; <see cref="ErrorKind.BackendUnavailable"/> and <see cref="ErrorKind.BackendRefused"/> as everywhere.</exception>
    Task CheckAsync(CancellationToken ct);

    /// <summary>
    /// Makes an empty volume; every byte reads as zero. Space is taken as it is written where the back end can do so.
    /// Repeating: same size → the volume that is there, whatever was written to it since. Other size, or a volume made from a snapshot →
    /// <see cref="ErrorKind.StaleStatus"/>. Cost: milliseconds.
    /// </summary>
    /// <param name="volume">Names the volume.</param>
    /// <param name="sizeBytes">Size in bytes, 1 to <see cref="DriverCapabilities.MaxVolumeBytes"/>; anything else is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="ct">Ends the call.</param>
    Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct);

    /// <summary>
    /// Cuts a snapshot of a volume. This is the one call that runs while the guest is frozen: nothing in it may wait for anything that is not needed
    /// to fix the bytes and to remember that they are fixed.
    /// <para>Repeating: the snapshot that is there, with the <see cref="CreatedSnapshot.CreatedAt"/> of its one cut; the volume is not read again.
    /// The id names a snapshot of another volume → <see cref="ErrorKind.StaleStatus"/>. Calls for different volumes do not wait for each other.</para>
    /// <para>Writes acknowledged to the guest before the call are in it; writes after <see cref="CreatedSnapshot.CreatedAt"/> are not. What is written
    /// <i>during</i> the call is in it up to one instant when <see cref="DriverCapabilities.InstantSnapshot"/>, else in part and out of order: such a
    /// back end gives a usable snapshot only of a volume that nobody writes to meanwhile (frozen guest, stopped server).</para>
    /// <para>Cost: see the driver; a copying one reports progress, at least once at the end.</para>
    /// </summary>
    /// <param name="volume">The volume; absent → <see cref="ErrorKind.NotFound"/>.</param>
    /// <param name="snapshot">Names the snapshot.</param>
    /// <param name="progress">Called from the working thread, at most a few times per second, never going back; must not throw or block. Null: no reports.</param>
    /// <param name="ct">Ends the call.</param>
    Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct);

    /// <summary>
    /// Deletes a snapshot of a volume, and whatever a crashed attempt to create it left. Absent, or a snapshot of another volume → success and nothing
    /// is touched. Cost: milliseconds to seconds, growing with the size where the back end frees space at once.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.Busy"/>: it has dependents, or it is being read; the message names them; try later.</exception>
    Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct);

    /// <summary>
    /// The snapshot, or null when the volume has no <i>whole</i> snapshot of that name, for certain: the volume may be absent, the id may
    /// belong to another volume, an attempt may have been broken off. Cost: milliseconds.
    /// </summary>
    Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct);

    /// <summary>
    /// One page of all whole snapshots in the back end whose names this product could have made, ordered by <see cref="CreatedSnapshot.Snapshot"/> as text
    /// (ordinal). Foreign things are passed over in silence. Snapshots that exist from the first page to the last appear exactly once; those that come
    /// or go meanwhile at most once. Cost: grows with the number of snapshots; for reconciling and operators, not for the way of a request.
    /// </summary>
    /// <param name="after">Null for the first page, then <see cref="SnapshotPage.Next"/> of the page before; anything else is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="limit">Largest number of snapshots in the page, 1 to <see cref="SnapshotPage.MaxLimit"/>; anything else is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="ct">Ends the call.</param>
    Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct);

    /// <summary>
    /// Makes a volume with the bytes of a snapshot, writable, grown with zeros to <paramref name="sizeBytes"/>.
    /// Repeating: the volume that is there, whatever was written to it since. Same volume id, but made otherwise (empty, other snapshot, other size) →
    /// <see cref="ErrorKind.StaleStatus"/>. Cost: milliseconds where the back end shares blocks, else a copy.
    /// </summary>
    /// <param name="volume">Names the new volume.</param>
    /// <param name="sourceVolume">The volume the snapshot was cut of; it, or the snapshot on it, absent → <see cref="ErrorKind.NotFound"/>.</param>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="sizeBytes">Size of the new volume in bytes, at least the snapshot's; smaller, or more than
    /// <see cref="DriverCapabilities.MaxVolumeBytes"/> → <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="progress">As for <see cref="CreateSnapshotAsync"/>.</param>
    /// <param name="ct">Ends the call.</param>
    Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct);

    /// <summary>
    /// Deletes a volume, and whatever a crashed attempt to create it left. Absent → success. Who still writes to it is not asked: the caller has
    /// detached it. Cost: as for <see cref="DeleteSnapshotAsync"/>.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.Busy"/>: it has snapshots, or one is being cut; the message names them.</exception>
    Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct);
}

/// <summary>Facts about a back end, fixed while the process runs.</summary>
public sealed record DriverCapabilities
{
    /// <summary>Kind of back end as the configuration names it: <c>file</c>, <c>rbd</c>, <c>qemu</c>, <c>memory</c>.</summary>
    public required string Backend { get; init; }

    /// <summary>Whether a volume may be cut while a running server has it attached. False: only of stopped servers.</summary>
    public required bool OnlineSnapshot { get; init; }

    /// <summary>
    /// Whether a cut is one instant, so that a snapshot of a volume under write load is what a power cut would have left (crash-consistent).
    /// False: the bytes are copied one after another, and only a volume that nobody writes to meanwhile gives a usable snapshot.
    /// </summary>
    public required bool InstantSnapshot { get; init; }

    /// <summary>
    /// Whether a volume made from a snapshot stands on its own. False: while it exists, deleting the snapshot is refused with <see cref="ErrorKind.Busy"/>.
    /// </summary>
    public required bool IndependentClones { get; init; }

    /// <summary>Largest volume in bytes.</summary>
    public required long MaxVolumeBytes { get; init; }
}

/// <summary>A snapshot as the back end has it.</summary>
/// <param name="Snapshot">Its id.</param>
/// <param name="Volume">The volume it was cut of.</param>
/// <param name="Handle">Where it is, in the back end's own words.</param>
/// <param name="SizeBytes">Size of the volume at the cut, in bytes.</param>
/// <param name="CreatedAt">
/// The instant of the cut, UTC, by the clock of the driver's host: the moment at which the call that fixed the bytes returned, so no write that began
/// later is in the snapshot. For a back end without <see cref="DriverCapabilities.InstantSnapshot"/> it is the moment at which the last byte had been
/// read: the bytes are from between the beginning of the call and this moment, and the evidence of a freeze holds only if it covers the whole call.
/// Stored with the snapshot; every later answer repeats it.
/// </param>
public sealed record CreatedSnapshot(SnapshotId Snapshot, VolumeId Volume, string Handle, long SizeBytes, DateTimeOffset CreatedAt);

/// <summary>A volume as the back end has it.</summary>
/// <param name="Volume">Its id.</param>
/// <param name="Handle">Where it is, in the back end's own words.</param>
/// <param name="SizeBytes">Its size in bytes.</param>
public sealed record CreatedVolume(VolumeId Volume, string Handle, long SizeBytes);

/// <summary>How far a long call is.</summary>
/// <param name="BytesDone">Bytes dealt with, holes included.</param>
/// <param name="BytesTotal">Bytes in all.</param>
public sealed record DriverProgress(long BytesDone, long BytesTotal);

/// <summary>One page of a list of snapshots.</summary>
/// <param name="Snapshots">Ordered by id as text; may be empty.</param>
/// <param name="Next">What to pass as <c>after</c> for the next page; null when this was the last one.</param>
public sealed record SnapshotPage(IReadOnlyList<CreatedSnapshot> Snapshots, string? Next)
{
    /// <summary>Largest page that may be asked for.</summary>
    public const int MaxLimit = 1000;
}
