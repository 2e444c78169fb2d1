using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Servers;

/// <summary>The words in which Nova's API shows what a server is. Source: Nova, <c>nova/api/openstack/common.py</c> and <c>nova/compute/power_state.py</c>.</summary>
internal static class ServerStates
{
    public static string Status(VmState state) => state switch
    {
        VmState.Active => "ACTIVE",
        VmState.Building => "BUILD",
        VmState.Paused => "PAUSED",
        VmState.Suspended => "SUSPENDED",
        VmState.Stopped => "SHUTOFF",
        VmState.Rescued => "RESCUE",
        VmState.Resized => "VERIFY_RESIZE",
        VmState.SoftDeleted => "SOFT_DELETED",
        VmState.Deleted => "DELETED",
        VmState.Error => "ERROR",
        VmState.Shelved => "SHELVED",
        VmState.ShelvedOffloaded => "SHELVED_OFFLOADED",
        _ => "UNKNOWN",
    };

    /// <summary>1 running, 3 paused, 4 shut down, 7 suspended, 0 not known.</summary>
    public static int PowerState(VmState state) => state switch
    {
        VmState.Active or VmState.Rescued or VmState.Resized => 1,
        VmState.Paused => 3,
        VmState.Stopped or VmState.SoftDeleted or VmState.Shelved or VmState.ShelvedOffloaded => 4,
        VmState.Suspended => 7,
        _ => 0,
    };
}
