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

namespace SnapshotFlow.Api.Servers;

/// <summary>The part of the Compute API that leads to an image: list and show servers, and the action <c>createImage</c>.</summary>
internal static class ServerEndpoints
{
    private const int MaxPage = 1000;

    /// <summary>Below 2.39 the caller's metadata has a quota of its own. Source: Nova, default of <c>metadata_items</c>.</summary>
    private const int MetadataItems = 128;

    private static readonly Microversion MetadataQuotaGone = new(2, 39);
    private static readonly Microversion ImageIdInBody = new(2, 45);

    public static void MapServers(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/compute/v2.1", $"/compute/v2.1/{ProjectInPath.Segment}" })
        {
            var servers = routes.MapGroup($"{prefix}/servers").RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Compute);
            servers.MapGet("", ListAsync);
            servers.MapGet("/detail", ListDetailAsync);
            servers.MapGet("/{id}", ShowAsync);
            servers.MapPost("/{id}/action", CreateImageAsync).RepeatableByKey(Policies.CreateImage);
        }
    }

    private static async Task<Ok<ServerList<ServerSummary>>> ListAsync(HttpContext context, ServerStore store, CancellationToken ct) =>
        await PageAsync<ServerSummary>(Policies.ListServers, context, store, servers => Task.FromResult(servers.Select(s => ServerView.Summary(s, context))), ct);

    private static async Task<Ok<ServerList<ServerView>>> ListDetailAsync(HttpContext context, ServerStore store, CancellationToken ct) =>
        await PageAsync<ServerView>(
            Policies.ListServersDetailed,
            context,
            store,
            async servers =>
            {
                var volumes = await store.AttachedVolumesAsync(servers.Select(s => s.Id).ToList(), ct);
                return servers.Select(s => ServerView.Of(s, volumes[s.Id], context));
            },
            ct);

    private static async Task<Ok<OneServer>> ShowAsync(string id, HttpContext context, ServerStore store, CancellationToken ct)
    {
        var server = await store.RequireAsync(id, context.Caller(), ct);
        context.Demand(Policies.ShowServer, PolicyTarget.Of(server.ProjectId, server.UserId));
        var volumes = await store.AttachedVolumesAsync([server.Id], ct);
        return TypedResults.Ok(new OneServer(ServerView.Of(server, volumes[server.Id], context)));
    }

    /// <summary>The order of the checks is Nova's: body, then server, then policy, then what only the run can know.</summary>
    private static async Task<Results<Accepted, Accepted<CreatedImage>>> CreateImageAsync(
        string id, HttpContext context, ServerStore store, ImageRuns runs, CancellationToken ct)
    {
        var action = CreateImageAction.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        var caller = context.Caller();
        var server = await store.RequireAsync(id, caller, ct);
        context.Demand(Policies.CreateImage, PolicyTarget.Of(server.ProjectId, server.UserId));
        if (context.Microversion() < MetadataQuotaGone && action.Metadata.Count > MetadataItems)
        {
            throw Fault.Forbidden("Image metadata limit exceeded");
        }

        context.Demand(Policies.CreateVolumeBackedImage, PolicyTarget.Of(server.ProjectId, server.UserId));

        var image = IdempotencyKey.Image(key, caller);
        await runs.StartAsync(new(image, server.Id, action.Name, action.Metadata, caller, context.TraceIdentifier) { GlobalRequestId = RequestId.GlobalId(context.Request) }, repeatable: key is not null, ct);
        return context.Microversion() < ImageIdInBody
            ? TypedResults.Accepted(context.Url($"/image/v2/images/{image}"))
            : TypedResults.Accepted((string?)null, new CreatedImage(image));
    }

    /// <summary>A status that is none of Nova's is no server's. Source: Nova, <c>GET /servers</c>: an unknown status answers an empty list.</summary>
    private static ServerFilter Filter(ListQuery query)
    {
        VmState? state = query.Text("status") is not { } status ? null
            : Enum.GetValues<VmState>().Cast<VmState?>().FirstOrDefault(s => ServerStates.Status(s!.Value).Equals(status, StringComparison.OrdinalIgnoreCase)) ?? VmState.Deleted;
        return new(query.Text("name"), state);
    }

    private static async Task<Ok<ServerList<T>>> PageAsync<T>(
        string rule, HttpContext context, ServerStore store, Func<IReadOnlyList<Server>, Task<IEnumerable<T>>> views, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(rule);
        var query = new ListQuery(context);
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.BadRequest($"marker [{text}] not found")));
        var servers = await store.ListAsync(query.Switch("all_tenants") && context.May(Policies.ListServersOfAll, PolicyTarget.Of(caller.ProjectId)) ? null : caller.ProjectId, Filter(query), page, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && servers.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(servers[^1].Id)))] : null;
        return TypedResults.Ok(new ServerList<T>((await views(servers)).ToList(), links));
    }

    private sealed record ServerList<T>(
        IReadOnlyList<T> Servers, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? ServersLinks);

    private sealed record OneServer(ServerView Server);

    private sealed record CreatedImage(ImageId ImageId);
}
