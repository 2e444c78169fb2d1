using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>What is done to a volume, on the task queue of the worker that can reach its back end, <see cref="Names.VolumeQueue"/>.</summary>
public interface IVolumeActivities
{
    /// <summary>The driver call and nothing else. The snapshot's id is its name in the back end, so a second attempt finds the first.</summary>
    [Activity]
    Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input);

    /// <summary>What the back end can do that decides how it is asked.</summary>
    [Activity]
    Task<BackendFacts> DescribeBackendAsync();

    /// <summary>
    /// Cuts several volumes of the back end at one instant, all or nothing. The answer has one cut per member, in their order, and each is deleted on its own.
    /// As with single cuts a second attempt finds the first.
    /// </summary>
    [Activity]
    Task<IReadOnlyList<VolumeCut>> CreateGroupSnapshotAsync(IReadOnlyList<VolumeSnapshotInput> members);

    /// <summary>Deletes; succeeds when there is nothing to delete. <see cref="ErrorKind.Busy"/> while something depends on it.</summary>
    [Activity]
    Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input);

    /// <summary>One page of the snapshots in the back end whose names this product could have made.</summary>
    [Activity]
    Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input);
}
