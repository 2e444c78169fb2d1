using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>Reads the freeze leases of a compute host, on its task queue, <see cref="Names.ComputeQueue"/>.</summary>
public interface ILeaseActivities
{
    /// <summary>Every lease that nobody has ended.</summary>
    [Activity]
    Task<IReadOnlyList<LeaseFact>> ListLeasesAsync();
}
