using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Images;

/// <summary>The projects that an image is shared with. Sharing an image does not share its snapshots. Source: Glance API v2, image members.</summary>
internal static class ImageMembers
{
    private const int MaxMembers = 128;
    private const int MaxLength = 255;

    private static readonly string[] Statuses = ["pending", "accepted", "rejected"];

    public static void Map(RouteGroupBuilder images)
    {
        images.MapGet("/{id}/members", ListAsync);
        images.MapPost("/{id}/members", AddAsync);
        images.MapGet("/{id}/members/{member}", ShowAsync);
        images.MapPut("/{id}/members/{member}", AnswerAsync);
        images.MapDelete("/{id}/members/{member}", RemoveAsync);
    }

    private static async Task<Ok<MemberList>> ListAsync(string id, HttpContext context, ImageStore store, Database database, CancellationToken ct)
    {
        var (image, seen) = await SeenAsync(id, context, store, database, Policies.ListImageMembers, ct);
        return TypedResults.Ok(new MemberList(seen.Select(m => MemberView.Of(image, m)).ToList()));
    }

    private static async Task<Ok<MemberView>> ShowAsync(string id, string member, HttpContext context, ImageStore store, Database database, CancellationToken ct)
    {
        var (image, seen) = await SeenAsync(id, context, store, database, Policies.ShowImageMember, ct);
        return seen.FirstOrDefault(m => m.Member == member) is { } found ? TypedResults.Ok(MemberView.Of(image, found)) : throw NoMember(id, member);
    }

    private static async Task<Ok<MemberView>> AddAsync(
        string id, HttpContext context, ImageStore store, NotificationStore notifications, Database database, TimeProvider time, CancellationToken ct)
    {
        var member = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["member"], optional: [])["member"];
        var project = member.Text(MaxLength) is { Length: > 0 } text ? text : throw member.Invalid("Member can't be empty");
        var image = await ImageEndpoints.RequireOwnAsync(store, id, context, Policies.AddImageMember, ct);
        if (image.Visibility != "shared")
        {
            throw Fault.Forbidden("Only shared images have members.");
        }

        return await database.WriteAsync(
            async session =>
            {
                _ = await store.LockAsync(session, image.Id) ?? throw Fault.NotFound($"No image found with ID {id}");
                var (count, now) = ((await store.MembersAsync(session, image.Id)).Count, time.GetUtcNow());
                if (!await store.AddMemberAsync(session, image.Id, project, now))
                {
                    throw Fault.Conflict($"Member {project} is duplicated for image {image.Id}");
                }

                if (count >= MaxMembers)
                {
                    throw new Fault(
                        StatusCodes.Status413PayloadTooLarge,
                        $"The limit has been exceeded on the number of allowed image members for this image. Attempted: {count + 1}, Maximum: {MaxMembers}", TimeSpan.Zero);
                }

                var added = await store.RequireMemberAsync(session, image, project);
                await notifications.AddAsync(session, [Told("create", image, added, now)]);
                return TypedResults.Ok(MemberView.Of(image, added));
            },
            ct);
    }

    /// <summary>Only the project that it is shared with says what it thinks of it. Clients send <c>member</c> along; the path says who it is.</summary>
    private static async Task<Ok<MemberView>> AnswerAsync(
        string id, string member, HttpContext context, ImageStore store, NotificationStore notifications, Database database, TimeProvider time, CancellationToken ct)
    {
        var status = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["status"], optional: ["member"])["status"].OneOf(Statuses);
        var (image, seen) = await SeenAsync(id, context, store, database, null, ct);
        if (seen.All(m => m.Member != member))
        {
            throw NoMember(id, member);
        }

        context.Demand(Policies.ModifyImageMember, PolicyTarget.Of(image.OwnerProjectId).With("member_id", member));
        return await database.WriteAsync(
            async session =>
            {
                var now = time.GetUtcNow();
                if (!await store.SetMemberStatusAsync(session, image.Id, member, status, now))
                {
                    throw NoMember(id, member);
                }

                var changed = await store.RequireMemberAsync(session, image, member);
                await notifications.AddAsync(session, [Told("update", image, changed, now)]);
                return TypedResults.Ok(MemberView.Of(image, changed));
            },
            ct);
    }

    private static async Task<NoContent> RemoveAsync(
        string id, string member, HttpContext context, ImageStore store, NotificationStore notifications, Database database, TimeProvider time, CancellationToken ct)
    {
        var image = await ImageEndpoints.RequireOwnAsync(store, id, context, Policies.DeleteImageMember, ct);
        return await database.WriteAsync(
            async session =>
            {
                var found = (await store.MembersAsync(session, image.Id)).FirstOrDefault(m => m.Member == member);
                if (found is null || !await store.RemoveMemberAsync(session, image.Id, member))
                {
                    throw NoMember(id, member);
                }

                await notifications.AddAsync(session, [Told("delete", image, found, time.GetUtcNow())]);
                return TypedResults.NoContent();
            },
            ct);
    }

    private static async Task<ImageMember> RequireMemberAsync(this ImageStore store, Session session, Image image, string member) =>
        (await store.MembersAsync(session, image.Id)).Single(m => m.Member == member);

    private static Notification Told(string happened, Image image, ImageMember member, DateTimeOffset now) =>
        Notification.OfImageMember(happened, image.Id, member.Member, member.Status, member.CreatedAt, now);

    /// <summary>An owner sees all members, a member itself, and nobody else that there are any.</summary>
    private static async Task<(Image Image, IReadOnlyList<ImageMember> Members)> SeenAsync(
        string id, HttpContext context, ImageStore store, Database database, string? rule, CancellationToken ct)
    {
        var caller = context.Caller();
        var image = ImageId.TryParse(id, null, out var known) ? await store.FindVisibleAsync(known, caller, ct) : null;
        if (image is null)
        {
            throw Fault.NotFound($"No image found with ID {id}");
        }

        if (image.Visibility != "shared")
        {
            throw Fault.Forbidden("Only shared images have members.");
        }

        var members = await database.ReadAsync(session => store.MembersAsync(session, image.Id), ct);
        var own = caller.IsAdmin || image.OwnerProjectId == caller.ProjectId;
        if (rule is not null)
        {
            context.Demand(rule, PolicyTarget.Of(image.OwnerProjectId).With("member_id", own ? null : caller.ProjectId));
        }

        return (image, own ? members : [.. members.Where(m => m.Member == caller.ProjectId)]);
    }

    private static Fault NoMember(string image, string member) => Fault.NotFound($"Member {member} is not found for image {image}");

    private sealed record MemberList(IReadOnlyList<MemberView> Members)
    {
        public string Schema { get; } = "/v2/schemas/members";
    }

    private sealed record MemberView(string MemberId, string ImageId, string Status, string CreatedAt, string UpdatedAt)
    {
        public string Schema { get; } = "/v2/schemas/member";

        public static MemberView Of(Image image, ImageMember m) => new(m.Member, image.Id.ToString(), m.Status, m.CreatedAt.Seconds(), m.UpdatedAt.Seconds());
    }
}
