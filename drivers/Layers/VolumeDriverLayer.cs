using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Layers;

/// <summary>The methods of <see cref="IVolumeDriver"/> and of the abilities it may have.</summary>
public enum VolumeOperation
{
    /// <summary><see cref="IVolumeDriver.CheckAsync"/>.</summary>
    Check,

    /// <summary><see cref="IVolumeDriver.CreateVolumeAsync"/>.</summary>
    CreateVolume,

    /// <summary><see cref="IVolumeDriver.CreateSnapshotAsync"/>.</summary>
    CreateSnapshot,

    /// <summary><see cref="IVolumeDriver.DeleteSnapshotAsync"/>.</summary>
    DeleteSnapshot,

    /// <summary><see cref="IVolumeDriver.FindSnapshotAsync"/>.</summary>
    FindSnapshot,

    /// <summary><see cref="IVolumeDriver.ListSnapshotsAsync"/>.</summary>
    ListSnapshots,

    /// <summary><see cref="IVolumeDriver.CreateVolumeFromSnapshotAsync"/>.</summary>
    CreateVolumeFromSnapshot,

    /// <summary><see cref="IVolumeDriver.DeleteVolumeAsync"/>.</summary>
    DeleteVolume,

    /// <summary><see cref="IGroupSnapshots.CreateGroupSnapshotAsync"/>.</summary>
    CreateGroupSnapshot,

    /// <summary><see cref="IRevertToSnapshot.RevertToSnapshotAsync"/>.</summary>
    RevertToSnapshot,

    /// <summary><see cref="IFlattenVolume.FlattenVolumeAsync"/>.</summary>
    FlattenVolume,
}

/// <summary>One call on its way to the driver.</summary>
/// <param name="Operation">Which method.</param>
/// <param name="Volume">The volume it is about (of a clone: the new one); null when it is about none.</param>
/// <param name="Snapshot">The snapshot it is about; null when it is about none.</param>
public sealed record VolumeCall(VolumeOperation Operation, VolumeId? Volume = null, SnapshotId? Snapshot = null);

/// <summary>
/// Something around a driver that does one thing to every call and keeps the contract. A layer overrides <see cref="CallAsync"/> and nothing else.
/// </summary>
/// <param name="inner">The driver, or the next layer.</param>
public abstract class VolumeDriverLayer(IVolumeDriver inner) : IVolumeDriver
{
    /// <inheritdoc/>
    public DriverCapabilities Capabilities => inner.Capabilities;

    /// <inheritdoc/>
    public IGroupSnapshots? Groups => inner.Groups is { } groups ? new LayeredGroups(this, groups) : null;

    /// <inheritdoc/>
    public IRevertToSnapshot? Reverting => inner.Reverting is { } reverting ? new LayeredReverting(this, reverting) : null;

    /// <inheritdoc/>
    public IFlattenVolume? Flattening => inner.Flattening is { } flattening ? new LayeredFlattening(this, flattening) : null;

    /// <summary>Carries one call inwards.</summary>
    /// <param name="call">Which call it is.</param>
    /// <param name="next">The call itself; a layer may run it or not.</param>
    /// <param name="ct">The caller's token.</param>
    protected abstract Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct);

    /// <inheritdoc/>
    public Task CheckAsync(CancellationToken ct) => CallAsync(new(VolumeOperation.Check), () => Done(inner.CheckAsync(ct)), ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeAsync(VolumeId volume, long sizeBytes, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.CreateVolume, volume), () => inner.CreateVolumeAsync(volume, sizeBytes, ct), ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot> CreateSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.CreateSnapshot, volume, snapshot), () => inner.CreateSnapshotAsync(volume, snapshot, progress, ct), ct);

    /// <inheritdoc/>
    public Task DeleteSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.DeleteSnapshot, volume, snapshot), () => Done(inner.DeleteSnapshotAsync(volume, snapshot, ct)), ct);

    /// <inheritdoc/>
    public Task<CreatedSnapshot?> FindSnapshotAsync(VolumeId volume, SnapshotId snapshot, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.FindSnapshot, volume, snapshot), () => inner.FindSnapshotAsync(volume, snapshot, ct), ct);

    /// <inheritdoc/>
    public Task<SnapshotPage> ListSnapshotsAsync(string? after, int limit, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.ListSnapshots), () => inner.ListSnapshotsAsync(after, limit, ct), ct);

    /// <inheritdoc/>
    public Task<CreatedVolume> CreateVolumeFromSnapshotAsync(
        VolumeId volume, VolumeId sourceVolume, SnapshotId snapshot, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.CreateVolumeFromSnapshot, volume, snapshot),
            () => inner.CreateVolumeFromSnapshotAsync(volume, sourceVolume, snapshot, sizeBytes, progress, ct), ct);

    /// <inheritdoc/>
    public Task DeleteVolumeAsync(VolumeId volume, CancellationToken ct) =>
        CallAsync(new(VolumeOperation.DeleteVolume, volume), () => Done(inner.DeleteVolumeAsync(volume, ct)), ct);

    private static async Task<bool> Done(Task task)
    {
        await task.ConfigureAwait(false);
        return true;
    }

    private sealed class LayeredGroups(VolumeDriverLayer layer, IGroupSnapshots inner) : IGroupSnapshots
    {
        public bool ServesFrozenGuests => inner.ServesFrozenGuests;

        public Task<IReadOnlyList<CreatedSnapshot>> CreateGroupSnapshotAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) =>
            layer.CallAsync(new(VolumeOperation.CreateGroupSnapshot), () => inner.CreateGroupSnapshotAsync(members, ct), ct);
    }

    private sealed class LayeredReverting(VolumeDriverLayer layer, IRevertToSnapshot inner) : IRevertToSnapshot
    {
        public Task RevertToSnapshotAsync(VolumeId volume, SnapshotId snapshot, IProgress<DriverProgress>? progress, CancellationToken ct) =>
            layer.CallAsync(new(VolumeOperation.RevertToSnapshot, volume, snapshot), () => Done(inner.RevertToSnapshotAsync(volume, snapshot, progress, ct)), ct);
    }

    private sealed class LayeredFlattening(VolumeDriverLayer layer, IFlattenVolume inner) : IFlattenVolume
    {
        public Task FlattenVolumeAsync(VolumeId volume, IProgress<DriverProgress>? progress, CancellationToken ct) =>
            layer.CallAsync(new(VolumeOperation.FlattenVolume, volume), () => Done(inner.FlattenVolumeAsync(volume, progress, ct)), ct);
    }
}
