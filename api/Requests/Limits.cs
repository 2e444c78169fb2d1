using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace SnapshotFlow.Api.Requests;

/// <summary>What a request may be at most, and how JSON is written.</summary>
internal static class Limits
{
    /// <summary>Larger bodies are 413: no request of this API has a reason to come near.</summary>
    private const int MaxBodyBytes = 64 * 1024;

    public static void AddLimits(this WebApplicationBuilder builder) => builder.WebHost.ConfigureKestrel(kestrel =>
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        // Any byte is a character, so that an odd header reaches our checks and gets an answer of ours.
        kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;
    });

    public static IServiceCollection AddJson(this IServiceCollection services) => services.ConfigureHttpJsonOptions(json =>
    {
        json.SerializerOptions.Converters.Add(new Timestamps.Milliseconds());
        json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        // Answers are application/json and never part of a page, so quotes and non-ASCII letters need no escape.
        json.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
    });
}
