using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Makes volumes from snapshots, and deletes volumes, in one back end: the driver call and nothing else.</summary>
public sealed class VolumeCloneActivities(IVolumeDriver driver, TimeProvider time) : IVolumeCloneActivities
{
    private readonly Heartbeats heartbeats = new(time);

    /// <inheritdoc/>
    [Activity]
    public Task<MadeVolume> CreateVolumeFromSnapshotAsync(VolumeToMake input) => ActivityErrors.Translate(async () =>
    {
        var size = (long)input.SizeGib << 30;
        await heartbeats.WhileWantedAsync(ct => driver.CreateVolumeFromSnapshotAsync(input.Volume, input.Source, input.Snapshot, size, progress: null, ct));
        return new MadeVolume(input.Volume, NeedsSnapshot: !driver.Capabilities.IndependentClones);
    });

    /// <inheritdoc/>
    [Activity]
    public Task DeleteVolumeAsync(VolumeId volume) => ActivityErrors.Translate(() => heartbeats.WhileAsync(async ct =>
    {
        await driver.DeleteVolumeAsync(volume, ct);
        return true;
    }));
}
