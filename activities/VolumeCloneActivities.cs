using Microsoft.Extensions.Logging;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Makes volumes from snapshots, and deletes volumes, in one back end: the driver call and nothing else.</summary>
public sealed partial class VolumeCloneActivities(IVolumeDriver driver, TimeProvider time, ILogger<VolumeCloneActivities> logger) : IVolumeCloneActivities
{
    private readonly Heartbeats heartbeats = new(time);

    /// <inheritdoc/>
    [Activity]
    public Task<MadeVolume> CreateVolumeFromSnapshotAsync(VolumeToMake input) => ActivityErrors.Translate(async () =>
    {
        var size = (long)input.SizeGib << 30;
        await heartbeats.WhileAsync(ct => driver.CreateVolumeFromSnapshotAsync(input.Volume, input.Source, input.Snapshot, size, progress: null, ct));
        Log.Made(logger, input.Volume, input.Snapshot);
        return new MadeVolume(input.Volume, NeedsSnapshot: !driver.Capabilities.IndependentClones);
    });

    /// <inheritdoc/>
    [Activity]
    public Task DeleteVolumeAsync(VolumeId volume) => ActivityErrors.Translate(async () =>
    {
        await heartbeats.WhileAsync(async ct =>
        {
            await driver.DeleteVolumeAsync(volume, ct);
            return true;
        });
        Log.Deleted(logger, volume);
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Volume {VolumeId} made from snapshot {SnapshotId}")]
        public static partial void Made(ILogger logger, VolumeId volumeId, SnapshotId snapshotId);

        [LoggerMessage(2, LogLevel.Information, "Volume {VolumeId} deleted")]
        public static partial void Deleted(ILogger logger, VolumeId volumeId);
    }
}
