using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Sessions;

/// <summary>
/// A person's session in a browser: the token, in a cookie that no script can read, that no other site's page can have sent, and that ends with the browser.
/// Only pages take it: the API itself listens to headers alone, so that a page of somebody else can never call it.
/// </summary>
internal static class SessionCookie
{
    /// <summary>What a form of a session's page carries beside the cookie.</summary>
    public const string ProofField = "proof";

    /// <summary>Browsers keep no more than 4096 bytes of a cookie. Source: RFC 6265, 6.1.</summary>
    private const int LongestToken = 3800;

    /// <summary>The token of the request; null when it has none.</summary>
    public static string? TokenOf(HttpContext context) => context.Request.Cookies[Name(context)] is { Length: > 0 and <= LongestToken } token ? token : null;

    /// <summary>Begins a session; false when the token is too long for a cookie.</summary>
    public static bool TryBegin(HttpContext context, string token)
    {
        if (Uri.EscapeDataString(token).Length > LongestToken)
        {
            return false;
        }

        context.Response.Cookies.Append(Name(context), token, Options(context));
        return true;
    }

    public static void End(HttpContext context) => context.Response.Cookies.Delete(Name(context), Options(context));

    /// <summary>What a form must carry to be believed: follows from the token, which whoever forges a form does not know.</summary>
    public static string ProofOf(string token) => Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(token), "a form of this session"u8));

    /// <summary>Whether a form carries the session's proof.</summary>
    public static bool IsProof(string token, string? proof) =>
        CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(ProofOf(token)), Encoding.ASCII.GetBytes(proof ?? ""));

    /// <summary>With the prefix, browsers take it over TLS and from this very host only. Source: RFC 6265bis, "__Host-".</summary>
    private static string Name(HttpContext context) => IsOverTls(context) ? "__Host-snapshotflow" : "snapshotflow";

    private static CookieOptions Options(HttpContext context) => new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = IsOverTls(context), Path = "/" };

    /// <summary>As the browser sees it, also behind a proxy that ends TLS.</summary>
    private static bool IsOverTls(HttpContext context) => context.Url("").StartsWith("https:", StringComparison.OrdinalIgnoreCase);
}
