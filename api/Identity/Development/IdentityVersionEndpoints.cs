using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>The documents by which clients find out that this is version 3. Source: Keystone, version discovery; 3.14 is the newest.</summary>
internal static class IdentityVersionEndpoints
{
    public static void MapIdentityVersions(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/identity", (HttpContext context) => TypedResults.Json(
            new VersionsDocument(new([Version(context)])), statusCode: StatusCodes.Status300MultipleChoices));
        routes.MapGet("/identity/v3", One);
    }

    private static Ok<VersionDocument> One(HttpContext context) => TypedResults.Ok(new VersionDocument(Version(context)));

    private static VersionView Version(HttpContext context) => new(
        "v3.14", "stable", "2020-04-07T00:00:00Z", [Link.Self(context.Url("/identity/v3/"))], [new("application/json", "application/vnd.openstack.identity-v3+json")]);

    private sealed record VersionsDocument(VersionValues Versions);

    private sealed record VersionValues(IReadOnlyList<VersionView> Values);

    private sealed record VersionDocument(VersionView Version);

    private sealed record VersionView(string Id, string Status, string Updated, IReadOnlyList<Link> Links, [property: System.Text.Json.Serialization.JsonPropertyName("media-types")] IReadOnlyList<MediaType> MediaTypes);

    private sealed record MediaType(string Base, string Type);
}
