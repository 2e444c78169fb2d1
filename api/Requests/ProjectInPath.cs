using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;

namespace SnapshotFlow.Api.Requests;

/// <summary>A project in the path must be the token's, also for administrators. Source: Nova and Cinder, <c>wsgi.py</c>.</summary>
internal static class ProjectInPath
{
    public const string Segment = "{project_id}";

    public static RouteGroupBuilder RequireOwnProjectInPath(this RouteGroupBuilder group)
    {
        group.AddEndpointFilter((invocation, next) =>
        {
            var context = invocation.HttpContext;
            var own = context.Caller().ProjectId;
            return context.GetRouteValue("project_id") is string asked && asked != own
                ? throw Fault.BadRequest($"Malformed request URL: URL's project_id '{asked}' doesn't match Context's project_id '{own}'")
                : next(invocation);
        });
        return group;
    }
}
