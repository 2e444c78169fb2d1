using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>Projects, users, roles and the one domain, to read: the users file is where they are changed. Source: Keystone API v3.</summary>
internal static class DirectoryEndpoints
{
    public static void MapDirectory(this IEndpointRouteBuilder routes)
    {
        var identity = routes.MapGroup("/identity/v3").RequireAuthorization();
        identity.MapGet("/projects", ListProjects);
        identity.MapGet("/projects/{id}", ShowProject);
        identity.MapGet("/users", ListUsers);
        identity.MapGet("/users/{id}", ShowUser);
        identity.MapGet("/users/{id}/projects", ListProjectsOfUser);
        identity.MapGet("/roles", ListRoles);
        identity.MapGet("/domains", ListDomains);
        identity.MapGet("/domains/{id}", ShowDomain);
    }

    public static ProjectList ProjectsView(HttpContext context, string path, IEnumerable<Project> projects) =>
        new([.. projects.Select(p => View(context, p))], Links(context, path));

    private static Ok<ProjectList> ListProjects(HttpContext context, UserDirectory directory)
    {
        context.Demand(Policies.ListProjects);
        var named = Named(context);
        return TypedResults.Ok(ProjectsView(context, "/identity/v3/projects", directory.Users.Projects.Where(p => named(p.Name))));
    }

    private static Ok<OneProject> ShowProject(string id, HttpContext context, UserDirectory directory)
    {
        // Whoever may not read projects learns nothing about which there are.
        context.Demand(Policies.ShowProject, PolicyTarget.Of(id, context.Token().UserId));
        return directory.Users.Project(id) is { } project
            ? TypedResults.Ok(new OneProject(View(context, project)))
            : throw Fault.NotFound($"Could not find project: {id}.");
    }

    private static Ok<UserList> ListUsers(HttpContext context, UserDirectory directory)
    {
        context.Demand(Policies.ListUsers);
        var named = Named(context);
        return TypedResults.Ok(new UserList([.. directory.Users.All.Where(u => named(u.Name)).Select(u => View(context, u))], Links(context, "/identity/v3/users")));
    }

    private static Ok<OneUser> ShowUser(string id, HttpContext context, UserDirectory directory) =>
        TypedResults.Ok(new OneUser(View(context, RequireUser(id, Policies.ShowUser, context, directory))));

    private static Ok<ProjectList> ListProjectsOfUser(string id, HttpContext context, UserDirectory directory)
    {
        var user = RequireUser(id, Policies.ListUserProjects, context, directory);
        return TypedResults.Ok(ProjectsView(context, $"/identity/v3/users/{user.Id}/projects", directory.Users.Projects.Where(p => user.Roles.ContainsKey(p.Id))));
    }

    private static Ok<RoleList> ListRoles(HttpContext context, UserDirectory directory)
    {
        context.Demand(Policies.ListRoles);
        var named = Named(context);
        return TypedResults.Ok(new RoleList([.. directory.Users.Roles.Where(named).Select(r => new RoleView(Users.RoleId(r), r, null))], Links(context, "/identity/v3/roles")));
    }

    private static Ok<DomainList> ListDomains(HttpContext context)
    {
        context.Demand(Policies.ListDomains);
        var named = Named(context);
        return TypedResults.Ok(new DomainList([.. new[] { Domain }.Where(d => named(d.Name))], Links(context, "/identity/v3/domains")));
    }

    private static Ok<OneDomain> ShowDomain(string id, HttpContext context)
    {
        context.Demand(Policies.ShowDomain);
        return id == Domain.Id ? TypedResults.Ok(new OneDomain(Domain)) : throw Fault.NotFound($"Could not find domain: {id}.");
    }

    private static User RequireUser(string id, string rule, HttpContext context, UserDirectory directory)
    {
        context.Demand(rule, PolicyTarget.Of("", id));
        return directory.Users.User(id) ?? throw Fault.NotFound($"Could not find user: {id}.");
    }

    private static Func<string, bool> Named(HttpContext context) => new ListQuery(context).Text("name") is { } name ? n => n == name : _ => true;

    private static ListLinks Links(HttpContext context, string path) => new(null, context.Url(path), null);

    private static ProjectView View(HttpContext context, Project p) => new(
        p.Id, p.Name, p.Description, p.Enabled, Users.DomainId, Users.DomainId, false, [], new Dictionary<string, string>(), new(context.Url($"/identity/v3/projects/{p.Id}")));

    private static UserView View(HttpContext context, User u) => new(
        u.Id, u.Name, u.Enabled, Users.DomainId, u.DefaultProjectId, null, new Dictionary<string, string>(), new(context.Url($"/identity/v3/users/{u.Id}")));

    private static readonly DomainView Domain = new(Users.DomainId, Users.DomainName, "The default domain", true, [], new Dictionary<string, string>());

    internal sealed record ProjectList(IReadOnlyList<ProjectView> Projects, ListLinks Links);

    internal sealed record DomainList(IReadOnlyList<DomainView> Domains, ListLinks Links);

    internal sealed record ListLinks(string? Next, string Self, string? Previous);

    internal sealed record ProjectView(
        string Id, string Name, string Description, bool Enabled, string DomainId, string ParentId, bool IsDomain, IReadOnlyList<string> Tags,
        IReadOnlyDictionary<string, string> Options, SelfLink Links);

    internal sealed record SelfLink(string Self);

    internal sealed record DomainView(
        string Id, string Name, string Description, bool Enabled, IReadOnlyList<string> Tags, IReadOnlyDictionary<string, string> Options);

    private sealed record OneProject(ProjectView Project);

    private sealed record OneUser(UserView User);

    private sealed record OneDomain(DomainView Domain);

    private sealed record UserList(IReadOnlyList<UserView> Users, ListLinks Links);

    private sealed record RoleList(IReadOnlyList<RoleView> Roles, ListLinks Links);

    private sealed record UserView(
        string Id, string Name, bool Enabled, string DomainId, string? DefaultProjectId, string? PasswordExpiresAt, IReadOnlyDictionary<string, string> Options,
        SelfLink Links);

    private sealed record RoleView(string Id, string Name, string? DomainId);
}
