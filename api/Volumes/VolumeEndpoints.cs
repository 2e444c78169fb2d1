using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Volumes;

/// <summary>The part of the Block Storage API that is about volumes: to see and describe them, to make one from a snapshot, and to delete it again. Source: Cinder API v3.</summary>
internal static class VolumeEndpoints
{
    /// <summary>From here on an image that was made of a server stands for the snapshot of its root. Source: Cinder.</summary>
    private static readonly Microversion ImagesAreSnapshots = new(3, 46);

    public static IServiceCollection AddVolumes(this IServiceCollection services) =>
        services.AddSingleton<VolumeChanges>().AddSingleton<VolumeMetadata>().AddSingleton<VolumeActions>();

    public static void MapVolumes(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("volumes", volumes =>
    {
        volumes.MapGet("", VolumeLists.ListAsync);
        volumes.MapGet("/detail", VolumeLists.ListDetailAsync);
        volumes.MapGet("/summary", VolumeLists.SummarizeAsync);
        volumes.MapGet("/{id}", ShowAsync);
        volumes.MapPost("", CreateAsync).RepeatableByKey(Policies.CreateVolume);
        volumes.MapDelete("/{id}", DeleteAsync);
        volumes.MapPut("/{id}", (string id, HttpContext context, VolumeChanges changes, CancellationToken ct) => changes.UpdateAsync(id, context, ct));
        volumes.MapGet("/{id}/metadata", (string id, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.ShowAsync(id, context, ct));
        volumes.MapPost("/{id}/metadata", (string id, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.MergeAsync(id, context, ct));
        volumes.MapPut("/{id}/metadata", (string id, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.ReplaceAsync(id, context, ct));
        volumes.MapGet("/{id}/metadata/{key}", (string id, string key, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.ShowOneAsync(id, key, context, ct));
        volumes.MapPut("/{id}/metadata/{key}", (string id, string key, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.SetOneAsync(id, key, context, ct));
        volumes.MapDelete("/{id}/metadata/{key}", (string id, string key, HttpContext context, VolumeMetadata metadata, CancellationToken ct) => metadata.DeleteOneAsync(id, key, context, ct));
        volumes.MapPost("/{id}/action", (string id, HttpContext context, VolumeActions actions, CancellationToken ct) => actions.ActAsync(id, context, ct));
    });

    private static async Task<Ok<OneVolume>> ShowAsync(string id, HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var volume = await store.RequireAsync(id, context, Policies.ShowVolume, ct);
        return TypedResults.Ok(new OneVolume((await VolumeView.OfAsync([volume], context, store, ct)).Single()));
    }

    private static async Task<Accepted<OneVolume>> CreateAsync(HttpContext context, ImageStore images, SnapshotStore snapshots, ResourceRuns runs, CancellationToken ct)
    {
        var request = CreateVolumeRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        var caller = context.Caller();
        context.Demand(Policies.CreateVolume);
        var snapshot = request.Snapshot ?? await RootOfAsync(request.Image!.Value, context, images, snapshots, ct);
        if (await snapshots.FindVisibleAsync(snapshot, caller, ct) is null)
        {
            throw Fault.NotFound($"Snapshot {snapshot} could not be found.");
        }

        var volume = await runs.CreateVolumeAsync(
            new(key is null ? VolumeId.New() : DeterministicId.Volume(caller.ProjectId, key), snapshot, request.SizeGib, request.Name, request.Description, request.VolumeType,
                request.AvailabilityZone, request.Metadata, caller, context.TraceIdentifier),
            ct);
        return TypedResults.Accepted((string?)null, new OneVolume(VolumeView.Of(volume, [], new Dictionary<string, string>(), context)));
    }

    private static async Task<Accepted> DeleteAsync(string id, HttpContext context, VolumeStore store, ResourceRuns runs, CancellationToken ct)
    {
        var volume = await store.RequireAsync(id, context, Policies.DeleteVolume, ct);
        await runs.DeleteVolumeAsync(new(volume.Id, Force: false, context.Caller(), context.TraceIdentifier), ct);
        return TypedResults.Accepted((string?)null);
    }

    /// <summary>The snapshot of an image's root volume, by the image's own mapping. Source: Cinder, <c>_get_image_snapshot</c>.</summary>
    private static async Task<SnapshotId> RootOfAsync(ImageId id, HttpContext context, ImageStore images, SnapshotStore snapshots, CancellationToken ct)
    {
        if (context.Microversion() < ImagesAreSnapshots)
        {
            throw Fault.BadRequest("Invalid input received: An image that was made of a server stands for a snapshot from microversion 3.46 on. Ask with that, or give snapshot_id.");
        }

        var image = await images.FindVisibleAsync(id, context.Caller(), ct) ?? throw Fault.NotFound($"Image {id} could not be found.");
        return Root(image) is not { } snapshot
                ? throw Fault.BadRequest($"Invalid image identifier or unable to access requested image: {id} names no snapshot to start from.")
            : await snapshots.FindVisibleAsync(snapshot, context.Caller(), ct) is null
                ? throw Fault.NotFound($"Nova specific image is found, but boot volume snapshot id:{snapshot} not found.")
            : snapshot;
    }

    private static SnapshotId? Root(Image image)
    {
        try
        {
            var entries = image.Properties.TryGetValue("block_device_mapping", out var text) ? JsonSerializer.Deserialize<List<BlockDeviceEntry?>>(text) : null;
            return entries?.FirstOrDefault(e => e is { SourceType: "snapshot", BootIndex: 0 })?.SnapshotId;
        }
        catch (JsonException)
        {
            // The property is the owner's to edit.
            return null;
        }
    }

    /// <summary>The volume as the caller may read it. Null when there is none, or none to be seen: whoever may not read it does not learn that it is there. Source: Cinder.</summary>
    internal static async Task<Volume?> FindReadableAsync(this VolumeStore store, VolumeId id, HttpContext context, CancellationToken ct) =>
        await store.FindVisibleAsync(id, context.Caller(), ct) is { } volume && context.May(Policies.ShowVolume, PolicyTarget.Of(volume.ProjectId, volume.UserId)) ? volume : null;

    /// <summary>The volume as the caller sees it, or 404; 403 when the rule does not let the caller do this with it.</summary>
    internal static async Task<Volume> RequireAsync(this VolumeStore store, string id, HttpContext context, string rule, CancellationToken ct)
    {
        var volume = VolumeId.TryParse(id, null, out var known) && await store.FindReadableAsync(known, context, ct) is { } found
            ? found
            : throw Fault.NotFound($"Volume {id} could not be found.");
        context.Demand(rule, PolicyTarget.Of(volume.ProjectId, volume.UserId));
        return volume;
    }

    internal sealed record OneVolume(VolumeView Volume);
}
