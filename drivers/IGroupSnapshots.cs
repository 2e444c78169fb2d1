using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>
/// The ability of a back end to cut several of its volumes at one instant. The snapshots are ordinary ones: each is found, listed, deleted and made into
/// volumes on its own, through <see cref="IVolumeDriver"/>.
/// </summary>
public interface IGroupSnapshots
{
    /// <summary>
    /// Whether a group cut is the better way also for a guest whose file systems stand still. False: it takes longer, or gives snapshots that are worse to use,
    /// and a frozen guest's volumes are at one instant anyway; only sets of a guest that could not be frozen gain from it.
    /// </summary>
    bool ServesFrozenGuests { get; }

    /// <summary>
    /// Cuts a snapshot of each volume, all at one instant: what was acknowledged to the guest before another write began is in the set whenever that other
    /// write is. All or nothing. Repeating with the same members, in any order → the same snapshots with the <see cref="CreatedSnapshot.CreatedAt"/> of
    /// their one cut; an id that names another snapshot → <see cref="ErrorKind.StaleStatus"/>. What a broken-off attempt left is removed by the next one, or by
    /// the delete of each snapshot.
    /// </summary>
    /// <param name="members">The volumes and the names of their snapshots, 1 to <see cref="GroupMember.MaxMembers"/>, none twice; else <see cref="ErrorKind.InvalidRequest"/>.
    /// An absent volume → <see cref="ErrorKind.NotFound"/>.</param>
    /// <param name="ct">Ends the call.</param>
    /// <returns>One snapshot per member, in the order of the members, all with the same <see cref="CreatedSnapshot.CreatedAt"/>.</returns>
    Task<IReadOnlyList<CreatedSnapshot>> CreateGroupSnapshotAsync(IReadOnlyList<GroupMember> members, CancellationToken ct);
}

/// <summary>One volume of a group cut.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">Names its snapshot.</param>
public sealed record GroupMember(VolumeId Volume, SnapshotId Snapshot)
{
    /// <summary>Most volumes of one cut.</summary>
    public const int MaxMembers = 64;
}

/// <summary>The ability to give a volume the bytes of one of its snapshots again.</summary>
public interface IRevertToSnapshot
{
    /// <summary>
    /// Gives the volume the bytes and the size of the snapshot; what was written since is lost. Repeating is harmless. The volume must be attached nowhere.
    /// Cost: grows with what was written since.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.NotFound"/>: no such volume, or no such snapshot of it; <see cref="ErrorKind.Busy"/>: it is attached.</exception>
    Task RevertToSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct);
}

/// <summary>The ability to make a clone independent of the snapshot it was made from.</summary>
public interface IFlattenVolume
{
    /// <summary>
    /// Copies what the volume still shares with its snapshot; from then on it is no dependent of it. Repeating, or of a volume that depends on nothing → success.
    /// The volume may be in use. Cost: a copy; progress is reported. Cancelling ends the call, and the copying as soon as the back end allows.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.NotFound"/>: no such volume.</exception>
    Task FlattenVolumeAsync(VolumeId volume, IProgress<DriverProgress>? progress, CancellationToken ct);
}
