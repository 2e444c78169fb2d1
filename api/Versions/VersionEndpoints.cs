using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Versions;

/// <summary>
/// The documents by which clients find out what is served where; no token needed. Source: the version documents of Nova, Cinder and Glance, of which clients read
/// <c>id</c>, <c>status</c>, <c>version</c>, <c>min_version</c> and the link <c>self</c>. Cinder and Glance answer their root with 300.
/// </summary>
internal static class VersionEndpoints
{
    public static void MapVersions(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/", Services);
        routes.MapGet("/compute", (HttpContext context) => TypedResults.Ok(new VersionsView([Compute(context)])));
        routes.MapGet("/compute/v2.1", (HttpContext context) => TypedResults.Ok(new VersionView(Compute(context))));
        routes.MapGet("/volume", (HttpContext context) => MultipleChoices(new VersionsView([Volume(context)])));
        routes.MapGet("/volume/v3", (HttpContext context) => TypedResults.Ok(new VersionsView([Volume(context)])));
        routes.MapGet("/image", (HttpContext context) => MultipleChoices(new VersionsView([Image(context)])));
        routes.MapGet("/image/versions", (HttpContext context) => TypedResults.Ok(new VersionsView([Image(context)])));
    }

    /// <summary>Programs are told what is served where; people with a browser see the dashboard.</summary>
    private static Results<Ok<ServicesView>, RedirectHttpResult> Services(HttpContext context)
    {
        context.Response.Headers.Vary = "Accept";
        return context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase) ? TypedResults.LocalRedirect("~/dashboard") : TypedResults.Ok(ServicesOf(context));
    }

    private static ServicesView ServicesOf(HttpContext context) => new("SnapshotFlow",
    [
        new("identity", [Link.Self(context.RequestServices.GetRequiredService<ITokenVerifier>().AuthUri(context))]),
        new("compute", [Link.Self(context.Url("/compute/v2.1"))]),
        new("block-storage", [Link.Self(context.Url("/volume/v3"))]),
        new("image", [Link.Self(context.Url("/image"))]),
        new("runs", [Link.Self(context.Url("/runs"))]),
        new("health", [Link.Self(context.Url("/health/ready"))]),
    ]);

    private static ServiceVersion Compute(HttpContext context) => new(
        "v2.1", "CURRENT", [Link.Self(context.Url("/compute/v2.1/"))], MicroversionRange.Compute.Maximum.ToString(), MicroversionRange.Compute.Minimum.ToString());

    private static ServiceVersion Volume(HttpContext context) => new(
        "v3.0", "CURRENT", [Link.Self(context.Url("/volume/v3/"))], MicroversionRange.Volume.Maximum.ToString(), MicroversionRange.Volume.Minimum.ToString());

    /// <summary>2.7 brought hidden images and the second hash, the newest that our records show. Glance has no microversions: the id says it all.</summary>
    private static ServiceVersion Image(HttpContext context) => new("v2.7", "CURRENT", [Link.Self(context.Url("/image/v2/"))]);

    private static JsonHttpResult<VersionsView> MultipleChoices(VersionsView versions) => TypedResults.Json(versions, statusCode: StatusCodes.Status300MultipleChoices);

    private sealed record ServicesView(string Name, IReadOnlyList<Service> Services);

    private sealed record Service(string Type, IReadOnlyList<Link> Links);

    private sealed record VersionsView(IReadOnlyList<ServiceVersion> Versions);

    private sealed record VersionView(ServiceVersion Version);

    private sealed record ServiceVersion(string Id, string Status, IReadOnlyList<Link> Links, string? Version = null, string? MinVersion = null);
}
