using Microsoft.AspNetCore.Http.HttpResults;

namespace SnapshotFlow.Api.OpenApi;

/// <summary>A page on which every endpoint can be tried, with nothing from elsewhere.</summary>
internal static class TryPage
{
    /// <summary>The page itself and calls to where it came from; nothing else, whatever a stored name may hold.</summary>
    private const string Policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static async Task<ContentHttpResult> Show(HttpContext context)
    {
        await using var stream = typeof(TryPage).Assembly.GetManifestResourceStream("try.html")!;
        using var reader = new StreamReader(stream);
        context.Response.Headers.ContentSecurityPolicy = Policy;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return TypedResults.Content(await reader.ReadToEndAsync(context.RequestAborted), "text/html; charset=utf-8");
    }
}
