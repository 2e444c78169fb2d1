using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>Issues, shows and revokes tokens. Source: Keystone API v3, "Authentication and token management".</summary>
internal static class TokenEndpoints
{
    private const string SubjectHeader = "X-Subject-Token";
    private const string Refused = "The request you have made requires authentication.";

    public static void MapTokens(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/identity/v3/auth/tokens", IssueAsync);
        var auth = routes.MapGroup("/identity/v3/auth").RequireAuthorization();
        auth.MapGet("/tokens", ShowAsync);
        auth.MapMethods("/tokens", [HttpMethods.Head], CheckAsync);
        auth.MapDelete("/tokens", RevokeAsync);
        auth.MapGet("/catalog", CatalogOf);
        auth.MapGet("/projects", ProjectsOf);
        auth.MapGet("/domains", DomainsOf);
    }

    private static async Task<Created<TokenDocument>> IssueAsync(HttpContext context, UserDirectory directory, DevelopmentTokens tokens, CancellationToken ct)
    {
        var request = TokenRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var users = directory.Users;
        var parent = request.Token is { } earlier ? await tokens.FindAsync(earlier, acceptExpired: false, ct) ?? throw Unauthorized() : null;
        var user = parent?.User;
        if (request.Password is { } proof)
        {
            var claimed = proof.User.FindIn(users);
            if (!await directory.CheckAsync(claimed, proof.Password, ct) || (user is not null && user.Id != claimed!.Id))
            {
                throw Unauthorized();
            }

            user = claimed;
        }

        var project = request.Unscoped ? null
            : request.Project is { } wanted ? wanted.ProjectIn(users) ?? throw Unauthorized()
            : user!.DefaultProjectId is { } home ? users.Project(home) : null;
        if (project is not null && (!project.Enabled || !user!.Roles.ContainsKey(project.Id)))
        {
            throw Unauthorized();
        }

        var (token, issued) = await tokens.IssueAsync(user!, project, request.Methods, parent, ct);
        context.Response.Headers[SubjectHeader] = token;
        return TypedResults.Created((string?)null, Document(context, users, issued));
    }

    private static async Task<Ok<TokenDocument>> ShowAsync(HttpContext context, UserDirectory directory, DevelopmentTokens tokens, CancellationToken ct)
    {
        var (token, issued) = await SubjectAsync(context, tokens, Policies.ValidateToken, ct);
        context.Response.Headers[SubjectHeader] = token;
        return TypedResults.Ok(Document(context, directory.Users, issued));
    }

    private static async Task<Ok> CheckAsync(HttpContext context, DevelopmentTokens tokens, CancellationToken ct)
    {
        var (token, _) = await SubjectAsync(context, tokens, Policies.CheckToken, ct);
        context.Response.Headers[SubjectHeader] = token;
        return TypedResults.Ok();
    }

    private static async Task<NoContent> RevokeAsync(HttpContext context, DevelopmentTokens tokens, CancellationToken ct)
    {
        var (token, _) = await SubjectAsync(context, tokens, Policies.RevokeToken, ct);
        await tokens.RevokeAsync(token, ct);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<CatalogDocument>> CatalogOf(HttpContext context, UserDirectory directory)
    {
        context.Demand(Policies.ShowCatalog);
        var users = directory.Users;
        await Task.CompletedTask;
        return TypedResults.Ok(new CatalogDocument(
            Catalog.Of(context, users, context.Token().ProjectId is { } id ? users.Project(id) : null), new(null, context.Url("/identity/v3/auth/catalog"), null)));
    }

    private static Ok<DirectoryEndpoints.ProjectList> ProjectsOf(HttpContext context, UserDirectory directory)
    {
        context.Demand(Policies.ShowOwnProjects);
        var users = directory.Users;
        var roles = users.User(context.Token().UserId)?.Roles;
        return TypedResults.Ok(DirectoryEndpoints.ProjectsView(context, "/identity/v3/auth/projects", users.Projects.Where(p => p.Enabled && roles?.ContainsKey(p.Id) is true)));
    }

    /// <summary>Nobody has a role in the domain itself.</summary>
    private static Ok<DirectoryEndpoints.DomainList> DomainsOf(HttpContext context)
    {
        context.Demand(Policies.ShowOwnDomains);
        return TypedResults.Ok(new DirectoryEndpoints.DomainList([], new(null, context.Url("/identity/v3/auth/domains"), null)));
    }

    /// <summary>The token that the request is about: 404 when it means nothing, 403 when it is somebody else's.</summary>
    private static async Task<(string Token, IssuedToken Issued)> SubjectAsync(HttpContext context, DevelopmentTokens tokens, string rule, CancellationToken ct)
    {
        var presented = context.Request.Headers[SubjectHeader] is [{ Length: > 0 } one] && one.All(char.IsAscii)
            ? one
            : throw Fault.BadRequest($"The header {SubjectHeader} is missing: it says which token is meant");
        var allowExpired = new ListQuery(context).Switch("allow_expired");
        if (await tokens.FindAsync(presented, allowExpired, ct) is not { } issued)
        {
            // The caller who may not ask learns nothing about which tokens there are.
            context.Demand(rule, PolicyTarget.Of("", context.Token().UserId));
            throw Fault.NotFound("Could not find token.");
        }

        context.Demand(rule, PolicyTarget.Of(issued.Project?.Id ?? "", issued.User.Id));
        return (presented, issued);
    }

    private static Fault Unauthorized() => new(StatusCodes.Status401Unauthorized, Refused);

    private static TokenDocument Document(HttpContext context, Users users, IssuedToken issued)
    {
        var domain = new DomainReference(Users.DomainId, Users.DomainName);
        return new(new(
            issued.Record.Methods, new(issued.User.Id, issued.User.Name, domain, null), issued.Record.AuditIds,
            issued.Record.ExpiresAt.Microseconds() + "Z", issued.Record.IssuedAt.Microseconds() + "Z")
        {
            Project = issued.Project is { } project ? new(project.Id, project.Name, domain) : null,
            IsDomain = issued.Project is null ? null : false,
            Roles = issued.Project is null ? null : [.. issued.Roles.Select(r => new NamedReference(Users.RoleId(r), r))],
            Catalog = issued.Project is null || context.Request.Query.ContainsKey("nocatalog") ? null : Development.Catalog.Of(context, users, issued.Project),
        });
    }

    private sealed record TokenDocument(TokenView Token);

    private sealed record TokenView(IReadOnlyList<string> Methods, UserReference User, IReadOnlyList<string> AuditIds, string ExpiresAt, string IssuedAt)
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public ProjectReference? Project { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public bool? IsDomain { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public IReadOnlyList<NamedReference>? Roles { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public IReadOnlyList<Catalog.Service>? Catalog { get; init; }
    }

    private sealed record UserReference(string Id, string Name, DomainReference Domain, string? PasswordExpiresAt);

    private sealed record ProjectReference(string Id, string Name, DomainReference Domain);

    private sealed record DomainReference(string Id, string Name);

    private sealed record NamedReference(string Id, string Name);

    private sealed record CatalogDocument(IReadOnlyList<Catalog.Service> Catalog, DirectoryEndpoints.ListLinks Links);
}
