using System.Text.Json;
using System.Text.Json.Serialization;
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

/// <summary>The part of the Block Storage API that is about volumes: to see them, to make one from a snapshot, and to delete it again. Source: Cinder API v3.</summary>
internal static class VolumeEndpoints
{
    private const int MaxPage = 1000;

    /// <summary>From here on an image that was made of a server stands for the snapshot of its root. Source: Cinder.</summary>
    private static readonly Microversion ImagesAreSnapshots = new(3, 46);
    private static readonly Microversion UnknownFiltersRefused = new(3, 31);

    /// <summary>The filters that Cinder's own file allows of what volumes have here, and what is no filter.</summary>
    private static readonly string[] Understood =
    [
        "limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "name", "status", "bootable", "migration_status", "availability_zone", "metadata",
    ];

    public static void MapVolumes(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("volumes", volumes =>
    {
        volumes.MapGet("", ListAsync);
        volumes.MapGet("/detail", ListDetailAsync);
        volumes.MapGet("/{id}", ShowAsync);
        volumes.MapPost("", CreateAsync).RepeatableByKey(Policies.CreateVolume);
        volumes.MapDelete("/{id}", DeleteAsync);
    });

    private static Task<Ok<VolumeList<VolumeSummary>>> ListAsync(HttpContext context, VolumeStore store, CancellationToken ct) =>
        PageAsync(context, store, (page, _) => Task.FromResult(page.Select(v => VolumeSummary.Of(v, context))), ct);

    private static Task<Ok<VolumeList<VolumeView>>> ListDetailAsync(HttpContext context, VolumeStore store, CancellationToken ct) =>
        PageAsync(context, store, async (page, token) => await ViewsAsync(page, context, store, token), ct);

    private static async Task<Ok<OneVolume>> ShowAsync(string id, HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var volume = await RequireAsync(store, id, context.Caller(), ct);
        context.Demand(Policies.ShowVolume, PolicyTarget.Of(volume.ProjectId, volume.UserId));
        return TypedResults.Ok(new OneVolume((await ViewsAsync([volume], context, store, ct)).Single()));
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
        var caller = context.Caller();
        var volume = await RequireAsync(store, id, caller, ct);
        context.Demand(Policies.DeleteVolume, PolicyTarget.Of(volume.ProjectId, volume.UserId));
        await runs.DeleteVolumeAsync(new(volume.Id, Force: false, caller, context.TraceIdentifier), ct);
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

    private static async Task<Volume> RequireAsync(VolumeStore store, string id, Caller caller, CancellationToken ct) =>
        VolumeId.TryParse(id, null, out var known) && await store.FindVisibleAsync(known, caller, ct) is { } volume
            ? volume
            : throw Fault.NotFound($"Volume {id} could not be found.");

    private static async Task<IEnumerable<VolumeView>> ViewsAsync(IReadOnlyList<Volume> page, HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var attachments = await store.AttachmentsAsync(page.Select(v => v.Id).ToList(), ct);
        var views = new List<VolumeView>();
        foreach (var volume in page)
        {
            views.Add(VolumeView.Of(volume, attachments[volume.Id], volume.Bootable ? await store.GlanceMetadataAsync(volume.Id, ct) : new Dictionary<string, string>(), context));
        }

        return views;
    }

    private static async Task<Ok<VolumeList<T>>> PageAsync<T>(
        HttpContext context, VolumeStore store, Func<IReadOnlyList<Volume>, CancellationToken, Task<IEnumerable<T>>> views, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListVolumes);
        var query = new ListQuery(context);
        query.RequireNewestFirst();
        var version = context.Microversion();
        if (version >= UnknownFiltersRefused && !caller.IsAdmin)
        {
            query.RequireKnown(Understood);
        }

        var filter = new VolumeFilter(
            query.Text("name"), query.Text("status"), query.Text("bootable") is null ? null : query.Switch("bootable"), query.Text("migration_status"), query.Text("availability_zone"),
            query.Text("metadata") is { } metadata ? DictionaryLiteral.Parse(metadata) : null);
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Volume {text} could not be found.")), query.Offset());
        var everywhere = caller.IsAdmin && query.Switch("all_tenants");
        var found = await store.ListAsync(everywhere ? query.Text("project_id") : caller.ProjectId, filter, page, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && found.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(found[^1].Id)))] : null;
        return TypedResults.Ok(new VolumeList<T>((await views(found, ct)).ToList(), links));
    }

    private sealed record OneVolume(VolumeView Volume);

    private sealed record VolumeList<T>(
        IReadOnlyList<T> Volumes, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? VolumesLinks);
}
