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

    /// <summary>What an image may be.</summary>
    public static readonly string[] Visibilities = ["private", "shared", "public", "community"];

    private static readonly string[] ListedVisibilities = [.. Visibilities, "all"];

    private static readonly string[] SortKeys = ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"];

    private static readonly string[] MemberStatuses = ["pending", "accepted", "rejected", "all"];

    /// <summary>What has a meaning of its own; every other parameter asks for images with that custom property.</summary>
    private static readonly string[] Understood =
    [
        "limit", "marker", "sort", "sort_key", "sort_dir", "name", "status", "visibility", "owner", "os_hidden", "id", "protected", "tag", "member_status", "created_at",
        "updated_at", "disk_format", "container_format", "size_min", "size_max", "min_disk", "min_ram", "checksum", "os_hash_value", "os_hash_algo",
    ];

    public static IServiceCollection AddImages(this IServiceCollection services) => services.AddSingleton<ImageChanges>();

    public static void MapImages(this IEndpointRouteBuilder routes)
    {
        var images = routes.MapGroup("/image/v2/images").RequireAuthorization();
        images.MapGet("", ListAsync);
        images.MapGet("/{id}", ShowAsync);
        images.MapDelete("/{id}", DeleteAsync);
        images.MapGet("/{id}/file", NoContentsAsync);
        images.MapPost("", NotUploaded).ExcludeFromDescription();
        images.MapPut("/{id}/file", NotUploaded).ExcludeFromDescription();
        ImageChanges.Map(images);
        ImageMembers.Map(images);
    }

    private static async Task<Ok<ImageList>> ListAsync(HttpContext context, ImageStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ListImages);
        var query = new ListQuery(context);
        var page = new Page(
            query.Limit(DefaultPage, MaxPage), query.Marker(text => Fault.BadRequest($"There is no image with the id {text} to continue the list after.")));
        var images = await store.ListAsync(caller, Filter(query), page, ct);
        var next = page.Limit > 0 && images.Count == page.Limit ? PathBelowEndpoint(query.NextPage(images[^1].Id)) : null;
        return TypedResults.Ok(new ImageList(images.Select(ImageView.Of).ToList(), PathBelowEndpoint(query.FirstPage()), next));
    }

    private static async Task<Ok<ImageView>> ShowAsync(string id, HttpContext context, ImageStore store, CancellationToken ct) =>
        TypedResults.Ok(ImageView.Of(await RequireVisibleAsync(store, id, context, Policies.ShowImage, ct)));

    private static async Task<Image> RequireVisibleAsync(ImageStore store, string id, HttpContext context, string rule, CancellationToken ct)
    {
        var caller = context.Caller();
        var image = ImageId.TryParse(id, null, out var known) ? await store.FindVisibleAsync(known, caller, ct) : null;
        context.Demand(rule, PolicyTarget.Of(image?.OwnerProjectId ?? caller.ProjectId).With("visibility", image?.Visibility).With("member_id", caller.ProjectId));
        return image ?? throw Fault.NotFound($"No image found with ID {id}");
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
    internal static async Task<Image> RequireOwnAsync(ImageStore store, string id, HttpContext context, string rule, CancellationToken ct)
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

    /// <summary>An image of a server has no contents of its own: its snapshots have.</summary>
    private static async Task<NoContent> NoContentsAsync(string id, HttpContext context, ImageStore store, CancellationToken ct)
    {
        var image = await RequireVisibleAsync(store, id, context, Policies.DownloadImage, ct);
        return image.Status is ImageStatus.Deactivated && !context.Caller().IsAdmin
            ? throw Fault.Forbidden("The requested image has been deactivated. Image data download is forbidden.")
            : TypedResults.NoContent();
    }

    /// <summary>Who tries it wants to know what to do instead.</summary>
    private static IResult NotUploaded(HttpContext context)
    {
        context.Demand(Policies.CreateImageRecord, PolicyTarget.Of(context.Caller().ProjectId));
        context.Response.Headers.Allow = HttpMethods.Get;
        throw new Fault(
            StatusCodes.Status405MethodNotAllowed,
            $"The method {context.Request.Method} is not allowed for this resource: images are not uploaded here but made of servers, by their action createImage or by POST /runs.");
    }

    private static ImageFilter Filter(ListQuery query)
    {
        if (query.Text("changes-since") is { } since)
        {
            throw ListQuery.Invalid("changes-since", since, "Images cannot be filtered by it; use updated_at=gte:<time>");
        }

        string? OneOf(string name, string[] words) => query.Text(name) is not { } text || words.Contains(text) ? query.Text(name)
            : throw ListQuery.Invalid(name, text, $"Known are {string.Join(", ", words)}");
        IReadOnlyList<string>? In(string name) => query.Text(name) is not { } text ? null
            : text.StartsWith("in:", StringComparison.Ordinal) ? [.. text[3..].Split(',').Select(v => v.Trim('"'))]
            : [text];
        return new(
            Visibility: OneOf("visibility", ListedVisibilities), Owner: query.Text("owner"), Hidden: query.Switch("os_hidden"),
            Properties: query.Names.Except(Understood).ToDictionary(n => n, n => query.Text(n)!))
        {
            // An id that is no UUID is no image's.
            Ids = In("id")?.Select(text => ImageId.TryParse(text, null, out var id) ? id : (ImageId?)null).OfType<ImageId>().ToList(),
            Names = In("name"),
            Statuses = In("status"),
            DiskFormats = In("disk_format"),
            ContainerFormats = In("container_format"),
            MemberStatus = OneOf("member_status", MemberStatuses),
            Protected = query.Text("protected") is null ? null : query.Switch("protected"),
            Checksum = query.Text("checksum"),
            HashValue = query.Text("os_hash_value"),
            HashAlgo = query.Text("os_hash_algo"),
            SizeMin = query.Whole("size_min"),
            SizeMax = query.Whole("size_max"),
            MinDisk = (int?)query.Whole("min_disk", int.MaxValue),
            MinRam = (int?)query.Whole("min_ram", int.MaxValue),
            Tags = query.All("tag"),
            Created = query.Time("created_at"),
            Updated = query.Time("updated_at"),
            Order = query.Sort(SortKeys),
        };
    }

    /// <summary>Glance's links begin at its version, not at the path that the service is mounted at.</summary>
    private static string PathBelowEndpoint(string path) => path["/image".Length..];
}
