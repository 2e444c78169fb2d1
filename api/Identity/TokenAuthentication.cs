using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity;

/// <summary>Reads <c>X-Auth-Token</c>, or else <c>Authorization: Bearer</c>. No token and an unknown one are both 401.</summary>
internal sealed class TokenAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, TokenFile tokens)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "token";
    private const string Bearer = "Bearer ";

    protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(
        PresentedToken() is not { } token ? AuthenticateResult.NoResult()
        : tokens.Find(token) is { } caller ? AuthenticateResult.Success(new(caller.ToPrincipal(Scheme.Name), Scheme.Name))
        : AuthenticateResult.Fail("unknown token"));

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.WWWAuthenticate = "Bearer realm=\"snapshotflow\"";
        return Task.CompletedTask;
    }

    private string? PresentedToken() =>
        Request.Headers["X-Auth-Token"] is [{ Length: > 0 } token] ? token
        : Request.Headers.Authorization is [{ } value] && value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? value[Bearer.Length..].Trim()
        : null;
}

/// <summary>The caller of a request, as claims and back.</summary>
internal static class CallerClaims
{
    private const string Project = "project_id";

    public static ClaimsPrincipal ToPrincipal(this Caller caller, string scheme) => new(new ClaimsIdentity(
        [new(Project, caller.ProjectId), new(ClaimTypes.NameIdentifier, caller.UserId), .. caller.Roles.Select(r => new Claim(ClaimTypes.Role, r))], scheme));

    /// <summary>Who asks. Only on endpoints that require authentication.</summary>
    public static Caller Caller(this HttpContext context) => new(
        context.User.FindFirstValue(Project)!,
        context.User.FindFirstValue(ClaimTypes.NameIdentifier)!,
        context.User.FindAll(ClaimTypes.Role).Select(c => c.Value).ToList());
}
