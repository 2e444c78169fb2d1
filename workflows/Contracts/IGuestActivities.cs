using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>What is done to a guest, on the task queue of its hypervisor, <see cref="Names.ComputeQueue"/>.</summary>
public interface IGuestActivities
{
    /// <summary>Asks the agent whether a freeze is possible. An agent that does not answer is an answer, not a failure.</summary>
    [Activity]
    Task<GuestAnswer> ProbeGuestAsync(ProbeGuestInput input);

    /// <summary>
    /// Writes the freeze lease, then freezes. Repeating with the same token returns the same freeze. After a failure the guest must be treated as frozen:
    /// call <see cref="UnquiesceAsync"/>. <see cref="ErrorKind.BackendUnavailable"/>, <see cref="ErrorKind.BackendRefused"/>,
    /// <see cref="ErrorKind.StaleStatus"/> when another holder has frozen it.
    /// </summary>
    [Activity]
    Task<QuiesceResult> QuiesceAsync(QuiesceInput input);

    /// <summary>Thaws, ends the lease and tells the truth. Works without a freeze and works twice: the second answer equals the first. For a server
    /// that has moved away (<see cref="UnquiesceInput.MovedTo"/>) it only ends the lease.</summary>
    [Activity]
    Task<UnquiesceResult> UnquiesceAsync(UnquiesceInput input);
}
