using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Servers;

internal static class VisibleServers
{
    /// <summary>The server, or 404 when there is none, it is another project's, or its id is no UUID: to the caller all three are the same.</summary>
    public static async Task<Server> RequireAsync(this ServerStore store, string id, Caller caller, CancellationToken ct) =>
        ServerId.TryParse(id, null, out var server) && await store.FindVisibleAsync(server, caller, ct) is { } found
            ? found
            : throw Fault.NotFound($"Instance {id} could not be found.");
}
