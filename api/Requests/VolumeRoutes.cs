using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Versions;

namespace SnapshotFlow.Api.Requests;

/// <summary>Where the Block Storage API is: under the caller's project, and from microversion 3.67 on without it too. Source: Cinder, REST API version history.</summary>
internal static class VolumeRoutes
{
    private static readonly Microversion ProjectMayBeLeftOut = new(3, 67);

    /// <summary>Maps the routes of a resource at both places.</summary>
    public static void MapVolumeGroup(this IEndpointRouteBuilder routes, string resource, Action<RouteGroupBuilder> map)
    {
        map(routes.MapGroup($"/volume/v3/{ProjectInPath.Segment}/{resource}").RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Volume));
        var shorter = routes.MapGroup($"/volume/v3/{resource}").RequireAuthorization().WithMetadata(MicroversionRange.Volume).ExcludeFromDescription();
        shorter.AddEndpointFilter((invocation, next) => invocation.HttpContext.Microversion() >= ProjectMayBeLeftOut
            ? next(invocation)
            : throw Fault.NotFound($"The resource could not be found. The project may be left out of the path from microversion {ProjectMayBeLeftOut} on."));
        map(shorter);
    }
}
