using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Images;

/// <summary>The part of the Image API that is about images. Source: Glance Image API v2.</summary>
internal static class ImageEndpoints
{
    private const int DefaultPage = 25;
    private const int MaxPage = 1000;

    private static readonly string[] Visibilities = ["private", "shared", "public", "community", "all"];

    private static readonly string[] Understood = ["limit", "marker", "sort", "sort_key", "sort_dir", "name", "status", "visibility", "owner", "os_hidden"];

    /// <summary>What Glance can filter by and these records cannot yet: refused, as an answer without the filter would be a wrong one.</summary>
    private static readonly string[] NotServed =
    [
        "id", "protected", "tag", "member_status", "created_at", "updated_at", "changes-since", "disk_format", "container_format", "size_min", "size_max",
        "min_disk", "min_ram", "checksum", "os_hash_value", "os_hash_algo",
    ];

    public static void MapImages(this IEndpointRouteBuilder routes)
    {
        var images = routes.MapGroup("/image/v2/images").RequireAuthorization();
        images.MapGet("", ListAsync);
        images.MapGet("/{id}", ShowAsync);
        images.MapDelete("/{id}", DeleteAsync);
    }

    private static async Task<Ok<ImageList>> ListAsync(HttpContext context, ImageStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListImages);
        var query = new ListQuery(context);
        query.RequireNewestFirst();
        var page = new Page(
            query.Limit(DefaultPage, MaxPage), query.Marker(text => Fault.BadRequest($"There is no image with the id {text} to continue the list after.")));
        var images = await store.ListAsync(caller, Filter(query), page, ct);
        var next = page.Limit > 0 && images.Count == page.Limit ? PathBelowEndpoint(query.NextPage(images[^1].Id)) : null;
        return TypedResults.Ok(new ImageList(images.Select(ImageView.Of).ToList(), PathBelowEndpoint(query.FirstPage()), next));
    }

    private static async Task<Ok<ImageView>> ShowAsync(string id, HttpContext context, ImageStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        var image = ImageId.TryParse(id, null, out var known) ? await store.FindVisibleAsync(known, caller, ct) : null;
        context.Demand(
            Policies.ShowImage,
            PolicyTarget.Of(image?.OwnerProjectId ?? caller.ProjectId).With("visibility", image?.Visibility).With("member_id", caller.ProjectId));
        return image is null ? throw Fault.NotFound($"No image found with ID {id}") : TypedResults.Ok(ImageView.Of(image));
    }

    /// <summary>
    /// The image's snapshots go with it unless <c>keep_snapshots</c> is on. An image that is still being made is taken back by its run. Returns once nobody finds the
    /// image any more; the header names the operation that reports on the snapshots. A deletion whose run was ended from outside goes on, as the same operation.
    /// </summary>
    private static async Task<NoContent> DeleteAsync(
        string id, HttpContext context, ImageStore store, OperationStore operations, ImageRuns making, ResourceRuns runs, CancellationToken ct)
    {
        var caller = context.Caller();
        var keep = new ListQuery(context).Switch("keep_snapshots");
        if (ImageId.TryParse(id, null, out var known) && await store.FindLeavingAsync(known, caller, ct) is { } leaving && !await runs.IsDeletingAsync(known, ct))
        {
            context.Demand(Policies.DeleteImage, PolicyTarget.Of(leaving.OwnerProjectId));
            var begun = await operations.FindDeletionAsync(known, ct) ?? OperationId.New();
            return await BeginDeleteAsync(new(begun, known, keep, caller, context.TraceIdentifier), context, runs, ct);
        }

        var image = await RequireOwnAsync(store, id, context, Policies.DeleteImage, ct);
        if (image.Status is ImageStatus.Queued && await making.CancelAsync(image.Id, ct))
        {
            await runs.UntilMadeOrNotAsync(image.Id, ct);
            if (await store.FindVisibleAsync(image.Id, caller, ct) is not { Status: not ImageStatus.Queued })
            {
                return TypedResults.NoContent();
            }
        }

        return await BeginDeleteAsync(new(OperationId.New(), image.Id, keep, caller, context.TraceIdentifier), context, runs, ct);
    }

    private static async Task<NoContent> BeginDeleteAsync(DeleteImageInput input, HttpContext context, ResourceRuns runs, CancellationToken ct)
    {
        var operation = await runs.DeleteImageAsync(input, ct);
        context.Response.Headers["X-SnapshotFlow-Operation"] = operation.ToString();
        return TypedResults.NoContent();
    }

    /// <summary>
    /// The image if it is the caller's own to change: one that is not seen is not there, one that is only shown to the caller is forbidden. Source: Glance.
    /// </summary>
    private static async Task<Image> RequireOwnAsync(ImageStore store, string id, HttpContext context, string rule, CancellationToken ct)
    {
        var caller = context.Caller();
        var image = ImageId.TryParse(id, null, out var known) ? await store.FindVisibleAsync(known, caller, ct) : null;
        if (image is null)
        {
            throw Fault.NotFound($"Failed to find image {id} to {(rule == Policies.DeleteImage ? "delete" : "update")}");
        }

        context.Demand(rule, PolicyTarget.Of(image.OwnerProjectId));
        return image;
    }

    /// <summary>Every parameter that is none of Glance's asks for images with that custom property.</summary>
    private static ImageFilter Filter(ListQuery query)
    {
        if (query.Names.FirstOrDefault(n => NotServed.Contains(n)) is { } missing)
        {
            throw ListQuery.Invalid(missing, query.Text(missing) ?? "", "Images cannot be filtered by it");
        }

        var visibility = query.Text("visibility");
        return visibility is null || Visibilities.Contains(visibility)
            ? new(
                query.Text("name"), query.Text("status"), visibility, query.Text("owner"), query.Switch("os_hidden"),
                query.Names.Except(Understood).ToDictionary(n => n, n => query.Text(n)!))
            : throw ListQuery.Invalid("visibility", visibility, $"Known are {string.Join(", ", Visibilities)}");
    }

    /// <summary>Glance's links begin at its version, not at the path that the service is mounted at.</summary>
    private static string PathBelowEndpoint(string path) => path["/image".Length..];
}
