using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Api.Identity.Sessions;

/// <summary>Metadata of endpoints whose callers are people with a browser: the session's cookie says who they are, and nothing else does.</summary>
/// <param name="SignInPath">Where they go when it says nothing.</param>
internal sealed record BySession(string SignInPath);

/// <summary>Reads the cookie. Who has none, or one that has ended, is sent to sign in; what is no page answers 401.</summary>
internal sealed class SessionAuthentication(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, ITokenVerifier tokens)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "session";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is null || SessionCookie.TokenOf(Context) is not { } presented)
        {
            return AuthenticateResult.NoResult();
        }

        if (!presented.All(char.IsAscii) || await tokens.VerifyAsync(presented, acceptExpired: false, Context.RequestAborted) is not { } token)
        {
            return AuthenticateResult.Fail("the session has ended");
        }

        Context.Features.Set(new CallerOf.Authenticated(token));
        return AuthenticateResult.Success(new(new ClaimsPrincipal(new ClaimsIdentity(SchemeName)), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (HttpMethods.IsGet(Request.Method) && Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase))
        {
            var here = Request.PathBase + Request.Path + Request.QueryString;
            Response.Redirect($"{Context.GetEndpoint()!.Metadata.GetRequiredMetadata<BySession>().SignInPath}?next={Uri.EscapeDataString(here)}");
        }
        else
        {
            Response.StatusCode = StatusCodes.Status401Unauthorized;
        }

        return Task.CompletedTask;
    }
}
