using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Admin;

/// <summary>
/// Where an administrator registers what this product does not make itself: servers, volumes, volume types, quotas. Registering again brings up to date, and the
/// same again changes nothing. <c>/admin/inventory</c> takes a whole file at once, all of it or nothing; <c>./snapshotflow import</c> sends it there.
/// </summary>
internal static class AdminEndpoints
{
    private const int LargestInventoryBytes = 16 * 1024 * 1024;

    public static void MapAdmin(this IEndpointRouteBuilder routes)
    {
        var admin = routes.MapGroup("/admin").RequireAuthorization();
        admin.MapPost("/servers", RegisterServerAsync);
        admin.MapPost("/volumes", RegisterVolumeAsync);
        admin.MapPost("/volume-types", RegisterVolumeTypeAsync);
        admin.MapPost("/quotas", RegisterQuotaAsync);
        admin.MapPost("/inventory", RegisterInventoryAsync).WithMetadata(new RequestSizeLimitAttribute(LargestInventoryBytes));
    }

    private static Task<Ok<Registered>> RegisterServerAsync(HttpContext context, InventoryStore store, TimeProvider time, CancellationToken ct) =>
        RegisterOneAsync(context, Policies.RegisterServer, "server", "servers", store, time, ct);

    private static Task<Ok<Registered>> RegisterVolumeAsync(HttpContext context, InventoryStore store, TimeProvider time, CancellationToken ct) =>
        RegisterOneAsync(context, Policies.RegisterVolume, "volume", "volumes", store, time, ct);

    private static Task<Ok<Registered>> RegisterVolumeTypeAsync(HttpContext context, InventoryStore store, TimeProvider time, CancellationToken ct) =>
        RegisterOneAsync(context, Policies.RegisterVolumeType, "volume_type", "volume_types", store, time, ct);

    private static Task<Ok<Registered>> RegisterQuotaAsync(HttpContext context, InventoryStore store, TimeProvider time, CancellationToken ct) =>
        RegisterOneAsync(context, Policies.RegisterQuota, "quota", "quotas", store, time, ct);

    private static async Task<Ok<Registered>> RegisterInventoryAsync(HttpContext context, InventoryStore store, TimeProvider time, CancellationToken ct)
    {
        foreach (var rule in new[] { Policies.RegisterServer, Policies.RegisterVolume, Policies.RegisterVolumeType, Policies.RegisterQuota })
        {
            context.Demand(rule);
        }

        return await RegisterAsync(InventoryFields.Of(await JsonBody.ReadAsync(context.Request, ct)), store, time, ct);
    }

    private static async Task<Ok<Registered>> RegisterOneAsync(
        HttpContext context, string rule, string member, string list, InventoryStore store, TimeProvider time, CancellationToken ct)
    {
        context.Demand(rule);
        return await RegisterAsync(InventoryFields.One(await JsonBody.ReadAsync(context.Request, ct), member, list), store, time, ct);
    }

    private static async Task<Ok<Registered>> RegisterAsync(Inventory inventory, InventoryStore store, TimeProvider time, CancellationToken ct)
    {
        await store.RegisterAsync(inventory, time.GetUtcNow(), ct);
        return TypedResults.Ok(new Registered(inventory.VolumeTypes.Count, inventory.Volumes.Count, inventory.Servers.Count, inventory.Limits.Count));
    }

    /// <summary>How many of each were in the request and are registered now.</summary>
    private sealed record Registered(int VolumeTypes, int Volumes, int Servers, int Limits);
}
