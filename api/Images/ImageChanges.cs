using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Images;

/// <summary>What a caller changes of an image: attributes and properties, tags, and whether it may be used. Source: Glance API v2.</summary>
internal sealed class ImageChanges(Database database, ImageStore images, NotificationStore notifications, TimeProvider time)
{
    private const int MaxTagLength = 255;
    private const int MaxTags = 128;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPatch("/{id}", (string id, HttpContext context, ImageChanges changes, CancellationToken ct) => changes.PatchAsync(id, context, ct));
        group.MapPut("/{id}/tags/{tag}", (string id, string tag, HttpContext context, ImageChanges changes, CancellationToken ct) => changes.TagAsync(id, tag, context, ct));
        group.MapDelete("/{id}/tags/{tag}", (string id, string tag, HttpContext context, ImageChanges changes, CancellationToken ct) => changes.UntagAsync(id, tag, context, ct));
        group.MapPost("/{id}/actions/deactivate", (string id, HttpContext context, ImageChanges changes, CancellationToken ct) =>
            changes.SwitchAsync(id, context, Policies.DeactivateImage, ImageStatus.Active, ImageStatus.Deactivated, ct));
        group.MapPost("/{id}/actions/reactivate", (string id, HttpContext context, ImageChanges changes, CancellationToken ct) =>
            changes.SwitchAsync(id, context, Policies.ReactivateImage, ImageStatus.Deactivated, ImageStatus.Active, ct));
    }

    private async Task<Ok<ImageView>> PatchAsync(string id, HttpContext context, CancellationToken ct)
    {
        var patch = await ImagePatch.ReadAsync(context.Request, ct);
        var image = await ChangeAsync(
            id, context, Policies.ModifyImage,
            before => patch.Apply(before, visibility => DemandVisibility(context, before, visibility), context.Caller().IsAdmin), ct);
        return TypedResults.Ok(ImageView.Of(image));
    }

    private async Task<NoContent> TagAsync(string id, string tag, HttpContext context, CancellationToken ct)
    {
        if (tag.Length > MaxTagLength || tag.Any(c => char.IsSurrogate(c) || c == '\0'))
        {
            throw Fault.BadRequest($"A tag has at most {MaxTagLength} characters, none of four bytes.");
        }

        await ChangeAsync(
            id, context, Policies.ModifyImage,
            before => before.Tags.Contains(tag) ? before
                : before.Tags.Count < MaxTags ? before with { Tags = [.. before.Tags.Append(tag).Order(StringComparer.Ordinal)] }
                : throw new Fault(
                    StatusCodes.Status413PayloadTooLarge, $"The limit has been exceeded on the number of allowed image tags. Attempted: {MaxTags + 1}, Maximum: {MaxTags}", TimeSpan.Zero),
            ct);
        return TypedResults.NoContent();
    }

    private async Task<NoContent> UntagAsync(string id, string tag, HttpContext context, CancellationToken ct)
    {
        await ChangeAsync(
            id, context, Policies.ModifyImage, before => before.Tags.Contains(tag) ? before with { Tags = [.. before.Tags.Where(t => t != tag)] } : throw Fault.NotFound($"Image {id} has no tag {tag}."), ct);
        return TypedResults.NoContent();
    }

    private async Task<NoContent> SwitchAsync(string id, HttpContext context, string rule, ImageStatus from, ImageStatus to, CancellationToken ct)
    {
        await ChangeAsync(
            id, context, rule,
            before => before.Status == to ? before
                : before.Status == from ? before with { Status = to }
                : throw Fault.Forbidden($"Not allowed to go from {before.Status.ToText()} to {to.ToText()}."),
            ct);
        return TypedResults.NoContent();
    }

    private async Task<Image> ChangeAsync(string id, HttpContext context, string rule, Func<Image, Image> change, CancellationToken ct)
    {
        var found = await ImageEndpoints.RequireOwnAsync(images, id, context, rule, ct);
        return await database.WriteAsync(
            async session =>
            {
                // Two changes at once come one after the other, and none is lost.
                var before = await images.LockAsync(session, found.Id);
                if (before is null or { Status: ImageStatus.PendingDelete })
                {
                    throw Fault.NotFound($"No image found with ID {id}");
                }

                var now = time.GetUtcNow();
                var after = change(before) with { UpdatedAt = now };
                if (ReferenceEquals(before, after) || before == after with { UpdatedAt = before.UpdatedAt })
                {
                    return before;
                }

                await images.UpdateAsync(session, after, now);
                await notifications.AddAsync(session, [Notification.OfImage("update", after, now)]);
                return after;
            },
            ct);
    }

    private static void DemandVisibility(HttpContext context, Image image, string visibility)
    {
        if (visibility is "public")
        {
            context.Demand(Policies.PublicizeImage, PolicyTarget.Of(image.OwnerProjectId));
        }
        else if (visibility is "community")
        {
            context.Demand(Policies.CommunitizeImage, PolicyTarget.Of(image.OwnerProjectId));
        }
    }
}
