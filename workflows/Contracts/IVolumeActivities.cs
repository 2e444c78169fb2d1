using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>What is done to a volume, on the task queue of the worker that can reach its back end, <see cref="Names.VolumeQueue"/>.</summary>
public interface IVolumeActivities
{
    /// <summary>The driver call and nothing else. The snapshot's id is its name in the back end, so a second attempt finds the first.</summary>
    [Activity]
    Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input);

    /// <summary>Deletes; succeeds when there is nothing to delete. <see cref="ErrorKind.Busy"/> while something depends on it.</summary>
    [Activity]
    Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input);

    /// <summary>One page of the snapshots in the back end whose names this product could have made.</summary>
    [Activity]
    Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input);
}
