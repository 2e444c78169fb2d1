using System.Security.Cryptography;
using System.Text;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>Where the services are that this process serves, as clients look for them. Source: Keystone, service catalog; OpenStack service types authority.</summary>
internal static class Catalog
{
    /// <summary>The Block Storage service is there under its type and under the alias that older clients ask for.</summary>
    public static IReadOnlyList<Service> Of(HttpContext context, Users users, Project? project)
    {
        List<Service> services =
        [
            Entry("compute", "nova", "/compute/v2.1"),
            Entry("image", "glance", "/image"),
            Entry("identity", "keystone", "/identity"),
        ];
        if (project is not null)
        {
            services.Add(Entry("block-storage", "cinder", $"/volume/v3/{project.Id}"));
            services.Add(Entry("volumev3", "cinderv3", $"/volume/v3/{project.Id}"));
        }

        return services;

        Service Entry(string type, string name, string path) => new(
            Id($"service {type}"), type, name,
            [.. new[] { "public", "internal", "admin" }.Select(i => new Endpoint(Id($"endpoint {type} {i}"), i, users.Region, users.Region, context.Url(path)))]);
    }

    private static string Id(string of) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(of)))[..32];

    internal sealed record Service(string Id, string Type, string Name, IReadOnlyList<Endpoint> Endpoints);

    internal sealed record Endpoint(string Id, string Interface, string Region, string RegionId, string Url);
}
