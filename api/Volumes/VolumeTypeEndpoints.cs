using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>The volume types that an administrator registered. Source: Cinder API v3, <c>types</c>.</summary>
internal static class VolumeTypeEndpoints
{
    public static void MapVolumeTypes(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("types", types =>
    {
        types.MapGet("", ListAsync);
        types.MapGet("/{id}", ShowAsync);
    });

    private static async Task<Ok<TypeList>> ListAsync(HttpContext context, InventoryStore store, CancellationToken ct)
    {
        context.Demand(Policies.ListVolumeTypes);
        var admin = context.Caller().IsAdmin;
        return TypedResults.Ok(new TypeList([.. (await store.VolumeTypesAsync(admin, ct)).Select(t => TypeView.Of(t, admin))]));
    }

    private static async Task<Ok<OneType>> ShowAsync(string id, HttpContext context, InventoryStore store, CancellationToken ct)
    {
        context.Demand(Policies.ShowVolumeType);
        var admin = context.Caller().IsAdmin;
        return (await store.VolumeTypesAsync(admin, ct)).FirstOrDefault(t => t.Id.ToString() == id) is { } type
            ? TypedResults.Ok(new OneType(TypeView.Of(type, admin)))
            : throw Fault.NotFound($"Volume type {id} could not be found.");
    }

    private sealed record TypeList(IReadOnlyList<TypeView> VolumeTypes);

    private sealed record OneType(TypeView VolumeType);

    private sealed record TypeView(Guid Id, string Name, string? Description, bool IsPublic)
    {
        [JsonPropertyName("os-volume-type-access:is_public")]
        public bool Access => IsPublic;

        public string? QosSpecsId { get; }

        /// <summary>For administrators.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public IReadOnlyDictionary<string, string>? ExtraSpecs { get; init; }

        public static TypeView Of(VolumeType type, bool admin) => new(type.Id, type.Name, type.Description, type.IsPublic) { ExtraSpecs = admin ? type.ExtraSpecs : null };
    }
}
