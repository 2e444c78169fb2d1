using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using Temporalio.Client;

namespace SnapshotFlow.Api.Volumes;

/// <summary>
/// The storage back ends as an administrator sees them, and freezing them: until a back end is thawed nothing is made or deleted on it. Source: Cinder API v3,
/// <c>os-services</c>.
/// </summary>
internal static class ServiceEndpoints
{
    private const string Binary = "cinder-volume";
    private const int LongestHost = 255;

    public static void MapServices(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("os-services", services =>
    {
        services.MapGet("", ListAsync);
        services.MapPut("/freeze", (HttpContext context, BackendStore store, TimeProvider time, CancellationToken ct) =>
            ChangeAsync(context, Policies.FreezeHost, host => store.FreezeAsync(host, time.GetUtcNow(), ct), ct));
        services.MapPut("/thaw", (HttpContext context, BackendStore store, CancellationToken ct) => ChangeAsync(context, Policies.ThawHost, host => store.ThawAsync(host, ct), ct));
    });

    private static async Task<Ok<ServiceList>> ListAsync(HttpContext context, BackendStore store, ITemporalClient temporal, IOptions<RunOptions> options, CancellationToken ct)
    {
        context.Demand(Policies.ListServices);
        var query = new ListQuery(context);
        List<ServiceView> services = [];
        foreach (var backend in (await store.ListAsync(ct)).Where(b => query.Text("host") is not { } host || b.Name == host || b.Name.Split('@')[0] == host))
        {
            services.Add(ServiceView.Of(backend, await temporal.LastSeenAsync(Names.VolumeQueue(backend.Name), options.Value.AcceptTimeout, ct)));
        }

        return TypedResults.Ok(new ServiceList(query.Text("binary") is null or Binary ? services : []));
    }

    private static async Task<Accepted> ChangeAsync(HttpContext context, string rule, Func<string, Task<bool>> change, CancellationToken ct)
    {
        context.Demand(Policies.UpdateServices);
        context.Demand(rule);
        var host = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["host"], optional: [])["host"].Text(LongestHost);
        return await change(host) ? TypedResults.Accepted((string?)null) : throw Fault.NotFound($"Service {host} could not be found.");
    }

    private sealed record ServiceList(IReadOnlyList<ServiceView> Services);

    /// <summary>A back end. <c>state</c> is whether its worker asks for work; a frozen one is <c>disabled</c>.</summary>
    private sealed record ServiceView(
        string Binary, string Host, string? Zone, string Status, string State, string? UpdatedAt, bool Frozen,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DisabledReason)
    {
        public static ServiceView Of(StorageBackend backend, DateTimeOffset? lastSeen) => new(
            ServiceEndpoints.Binary, backend.Name, backend.AvailabilityZone, backend.FrozenAt is null ? "enabled" : "disabled", lastSeen is null ? "down" : "up", lastSeen?.Microseconds(),
            backend.FrozenAt is not null, backend.FrozenAt is null ? null : "frozen");
    }
}
