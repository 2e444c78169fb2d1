using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Reads the freeze leases of one compute host; changes none.</summary>
/// <param name="host">Name of the host.</param>
/// <param name="leases">Its leases.</param>
public sealed class LeaseActivities(string host, FreezeLeaseDirectory leases) : ILeaseActivities
{
    /// <inheritdoc/>
    [Activity]
    public Task<IReadOnlyList<LeaseFact>> ListLeasesAsync() => ActivityErrors.Translate(() => Task.FromResult<IReadOnlyList<LeaseFact>>(
        [.. leases.Scan().Select(file => file.Lease).OfType<FreezeLease>().Where(lease => lease.IsOpen)
            .Select(l => new LeaseFact(host, l.Server, l.RunToken, l.AgentAddress, l.RequestedAt, l.DeadlineAt))]));
}
