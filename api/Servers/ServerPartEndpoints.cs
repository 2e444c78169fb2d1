using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Servers;

/// <summary>
/// What clients look up beside a server: its volumes, and flavors, of which there are none, because servers are registered and not built here.
/// Source: Nova API, <c>os-volume_attachments</c> and <c>flavors</c>.
/// </summary>
internal static class ServerPartEndpoints
{
    private static readonly Microversion Tag = new(2, 70);
    private static readonly Microversion DeleteOnTermination = new(2, 79);
    private static readonly Microversion NoId = new(2, 89);

    public static void MapServerParts(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/compute/v2.1", $"/compute/v2.1/{ProjectInPath.Segment}" })
        {
            var compute = routes.MapGroup(prefix).RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Compute);
            compute.MapGet("/servers/{id}/os-volume_attachments", ListAttachmentsAsync);
            compute.MapGet("/servers/{id}/os-volume_attachments/{volume_id}", ShowAttachmentAsync);
            compute.MapGet("/flavors", ListFlavors);
            compute.MapGet("/flavors/detail", ListFlavors);
            compute.MapGet("/flavors/{id}", ShowFlavor);
        }
    }

    private static async Task<Ok<AttachmentList>> ListAttachmentsAsync(string id, HttpContext context, ServerStore store, CancellationToken ct)
    {
        var server = await store.RequireAsync(id, context.Caller(), ct);
        context.Demand(Policies.ListVolumeAttachments, PolicyTarget.Of(server.ProjectId, server.UserId));
        return TypedResults.Ok(new AttachmentList([.. (await VolumesAsync(store, server, ct)).Select(d => AttachmentView.Of(d, server, context.Microversion()))]));
    }

    private static async Task<Ok<OneAttachment>> ShowAttachmentAsync(string id, HttpContext context, ServerStore store, CancellationToken ct)
    {
        var server = await store.RequireAsync(id, context.Caller(), ct);
        context.Demand(Policies.ShowVolumeAttachment, PolicyTarget.Of(server.ProjectId, server.UserId));
        var wanted = (string)context.GetRouteValue("volume_id")!;
        return (await VolumesAsync(store, server, ct)).FirstOrDefault(d => d.VolumeId.ToString() == wanted) is { } device
            ? TypedResults.Ok(new OneAttachment(AttachmentView.Of(device, server, context.Microversion())))
            : throw Fault.NotFound($"Instance {server.Id} is not attached to volume {wanted}");
    }

    private static Ok<FlavorList> ListFlavors(HttpContext context)
    {
        context.Demand(Policies.ListFlavors);
        return TypedResults.Ok(new FlavorList([]));
    }

    private static NotFound ShowFlavor(string id, HttpContext context)
    {
        context.Demand(Policies.ListFlavors);
        throw Fault.NotFound($"Flavor {id} could not be found.");
    }

    private static async Task<IEnumerable<BlockDevice>> VolumesAsync(ServerStore store, Server server, CancellationToken ct) =>
        (await store.BlockDevicesAsync(server.Id, ct)).Where(d => d is { IsVolume: true, NoDevice: false, VolumeId: not null });

    private sealed record AttachmentList([property: JsonPropertyName("volumeAttachments")] IReadOnlyList<AttachmentView> Attachments);

    private sealed record OneAttachment([property: JsonPropertyName("volumeAttachment")] AttachmentView Attachment);

    private sealed record FlavorList(IReadOnlyList<string> Flavors);

    private sealed record AttachmentView(
        [property: JsonPropertyName("volumeId")] VolumeId VolumeId, [property: JsonPropertyName("serverId")] ServerId ServerId, string? Device)
    {
        /// <summary>The volume's once more; gone from 2.89.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public VolumeId? Id { get; init; }

        /// <summary>From 2.70; null when there is none, which clients that know no tags must not see.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public System.Text.Json.JsonElement? Tag { get; init; }

        /// <summary>From 2.79.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public bool? DeleteOnTermination { get; init; }

        public static AttachmentView Of(BlockDevice device, Server server, Microversion version) => new(device.VolumeId!.Value, server.Id, device.DeviceName)
        {
            Id = version < NoId ? device.VolumeId : null,
            Tag = version >= ServerPartEndpoints.Tag ? System.Text.Json.JsonSerializer.SerializeToElement(device.Tag) : null,
            DeleteOnTermination = version >= ServerPartEndpoints.DeleteOnTermination ? device.DeleteOnTermination : null,
        };
    }
}
