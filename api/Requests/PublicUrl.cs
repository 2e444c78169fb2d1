using Microsoft.Extensions.Options;

namespace SnapshotFlow.Api.Requests;

/// <summary>How callers reach this process. Bound to the section <c>Api</c>.</summary>
internal sealed class ApiOptions
{
    /// <summary>Absolute http or https URL that links begin with, for a process behind a proxy. Null: the scheme and host that the request named.</summary>
    public Uri? PublicUrl { get; set; }
}

internal static class PublicUrl
{
    public static IServiceCollection AddPublicUrl(this IServiceCollection services)
    {
        services.AddOptions<ApiOptions>().BindConfiguration("Api").ValidateOnStart()
            .Validate(
                o => o.PublicUrl is null or { IsAbsoluteUri: true, Scheme: "http" or "https" },
                "Api:PublicUrl is not an absolute http or https URL: write for example https://cloud.example, or leave it out");
        return services;
    }

    /// <summary>The absolute URL of a path of ours.</summary>
    public static string Url(this HttpContext context, string path)
    {
        var configured = context.RequestServices.GetRequiredService<IOptions<ApiOptions>>().Value.PublicUrl;
        return (configured?.ToString().TrimEnd('/') ?? $"{context.Request.Scheme}://{context.Request.Host}") + path;
    }
}
