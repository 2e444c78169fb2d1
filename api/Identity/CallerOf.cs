using Microsoft.AspNetCore.Http.Features;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity;

/// <summary>The caller of a request. Only on endpoints that require authentication.</summary>
internal static class CallerOf
{
    private const string Admin = "admin";

    /// <summary>What the caller's token says.</summary>
    public static VerifiedToken Token(this HttpContext context) => context.Features.GetRequiredFeature<Authenticated>().Token;

    /// <summary>Who asks. An administrator is who the rule <c>context_is_admin</c> says, and has the role <c>admin</c> from here on; nobody else has.</summary>
    public static Caller Caller(this HttpContext context)
    {
        var authenticated = context.Features.GetRequiredFeature<Authenticated>();
        return authenticated.Caller ??= new(
            authenticated.Token.ProjectId ?? "",
            authenticated.Token.UserId,
            [.. authenticated.Token.Roles.Where(r => !r.Equals(Admin, StringComparison.OrdinalIgnoreCase)), .. context.IsAdmin() ? [Admin] : Array.Empty<string>()]);
    }

    /// <summary>What authentication found out.</summary>
    internal sealed class Authenticated(VerifiedToken token)
    {
        public VerifiedToken Token { get; } = token;

        public Caller? Caller { get; set; }
    }
}
