using Microsoft.AspNetCore.Http.Features;
using SnapshotFlow.Api.Faults;

namespace SnapshotFlow.Api.Versions;

/// <summary>The microversions of a service: metadata of its endpoints.</summary>
/// <param name="Service">The service type as it stands in <c>OpenStack-API-Version</c>.</param>
/// <param name="LegacyHeader">The older header that carries a bare version; null when the service never had one.</param>
/// <param name="Minimum">Also what a request without a version gets.</param>
/// <param name="Maximum">What <c>latest</c> means.</param>
internal sealed record MicroversionRange(string Service, string? LegacyHeader, Microversion Minimum, Microversion Maximum)
{
    /// <summary>Source: Nova, REST API version history.</summary>
    public static readonly MicroversionRange Compute = new("compute", "X-OpenStack-Nova-API-Version", new(2, 1), new(2, 104));

    /// <summary>Source: Cinder, REST API version history.</summary>
    public static readonly MicroversionRange Volume = new("volume", null, new(3, 0), new(3, 71));
}

/// <summary>
/// Reads which microversion a request asks for and says on every answer which one it got.
/// Source: Nova API guide, "Microversions"; the newer header wins over the older.
/// </summary>
internal static class MicroversionNegotiation
{
    private const string Header = "OpenStack-API-Version";

    /// <summary>After routing, because the service follows from the endpoint, and after authentication, because who may not call need not agree on a version.</summary>
    public static IApplicationBuilder UseMicroversions(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<MicroversionRange>() is { } range)
        {
            var version = Negotiate(range, context.Request.Headers);
            context.Features.Set(new Negotiated(version));
            var headers = context.Response.Headers;
            headers[Header] = $"{range.Service} {version}";
            headers.Vary = range.LegacyHeader is null ? Header : $"{Header}, {range.LegacyHeader}";
            if (range.LegacyHeader is { } legacy)
            {
                headers[legacy] = version.ToString();
            }
        }

        return next(context);
    });

    /// <summary>The version this request runs under.</summary>
    public static Microversion Microversion(this HttpContext context) => context.Features.GetRequiredFeature<Negotiated>().Version;

    private static Microversion Negotiate(MicroversionRange range, IHeaderDictionary headers)
    {
        if ((Asked(headers[Header], range.Service) ?? (range.LegacyHeader is { } legacy ? headers[legacy].ToString().Trim() : "")) is not { Length: > 0 } asked)
        {
            return range.Minimum;
        }

        if (asked == "latest")
        {
            return range.Maximum;
        }

        var version = Versions.Microversion.Parse(asked)
            ?? throw Fault.BadRequest($"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.");
        return version >= range.Minimum && version <= range.Maximum
            ? version
            : throw new Fault(
                StatusCodes.Status406NotAcceptable, $"Version {version} is not supported by the API. Minimum is {range.Minimum} and maximum is {range.Maximum}.");
    }

    /// <summary>The part of <c>OpenStack-API-Version: compute 2.45, volume 3.50</c> that is meant for the service; null when there is none.</summary>
    private static string? Asked(IEnumerable<string?> values, string service) => values
        .SelectMany(v => (v ?? "").Split(',', StringSplitOptions.TrimEntries))
        .Select(part => part.Split(' ', 2, StringSplitOptions.TrimEntries))
        .Where(words => words[0].Equals(service, StringComparison.OrdinalIgnoreCase))
        .Select(words => words.Length == 2 ? words[1] : "(none)")
        .FirstOrDefault();

    private sealed record Negotiated(Microversion Version);
}
