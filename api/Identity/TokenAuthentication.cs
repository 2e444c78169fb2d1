using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Api.Identity;

/// <summary>
/// Reads <c>X-Auth-Token</c>, or else <c>Authorization: Bearer</c>, and <c>X-Service-Token</c> when a service passes a user's request on. No token, an unknown
/// one and an unknown service's are all 401. Only endpoints that demand a caller look: nobody needs Keystone to be told that a process is alive.
/// Source: keystonemiddleware, auth_token.
/// </summary>
internal sealed class TokenAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, ITokenVerifier tokens, IOptions<IdentityOptions> identity)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "token";
    private const string Bearer = "Bearer ";
    private const int LongestToken = 8192;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is null || PresentedToken() is not { } presented)
        {
            return AuthenticateResult.NoResult();
        }

        IReadOnlyList<string> serviceRoles = [];
        if (Request.Headers["X-Service-Token"] is [{ Length: > 0 } service])
        {
            if (await VerifyAsync(service, acceptExpired: false) is not { } known)
            {
                return AuthenticateResult.Fail("unknown service token");
            }

            serviceRoles = known.Roles;
        }

        var acceptExpired = serviceRoles.Intersect(identity.Value.ServiceTokenRoles, StringComparer.OrdinalIgnoreCase).Any();
        if (await VerifyAsync(presented, acceptExpired) is not { } token)
        {
            return AuthenticateResult.Fail("unknown token");
        }

        Context.Features.Set(new CallerOf.Authenticated(token with { ServiceRoles = serviceRoles }));
        return AuthenticateResult.Success(new(new ClaimsPrincipal(new ClaimsIdentity(SchemeName)), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.WWWAuthenticate = $"Keystone uri=\"{tokens.AuthUri(Context)}\"";
        return Task.CompletedTask;
    }

    private async Task<VerifiedToken?> VerifyAsync(string token, bool acceptExpired) =>
        token.Length <= LongestToken && token.All(char.IsAscii) ? await tokens.VerifyAsync(token, acceptExpired, Context.RequestAborted) : null;

    private string? PresentedToken() =>
        Request.Headers["X-Auth-Token"] is [{ Length: > 0 } token] ? token
        : Request.Headers.Authorization is [{ } value] && value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? value[Bearer.Length..].Trim()
        : null;
}
