using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>Makes and deletes volumes, on the task queue of the worker that can reach their back end, <see cref="Names.VolumeQueue"/>.</summary>
public interface IVolumeCloneActivities
{
    /// <summary>The driver call and nothing else. The volume's id is its name in the back end, so a second attempt finds the first.</summary>
    [Activity]
    Task<MadeVolume> CreateVolumeFromSnapshotAsync(VolumeToMake input);

    /// <summary>Deletes; succeeds when there is nothing to delete. <see cref="ErrorKind.Busy"/> while it has snapshots.</summary>
    [Activity]
    Task DeleteVolumeAsync(VolumeId volume);
}
