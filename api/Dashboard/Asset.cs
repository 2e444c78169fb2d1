using System.Collections.Frozen;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>The files that the pages need: part of the program, under a name that changes with their content.</summary>
internal static class Asset
{
    public const string Path = "/dashboard/assets/{name}";

    private static readonly FrozenDictionary<string, (byte[] Content, string Type, string Digest)> Files = new[]
    {
        ("dashboard.css", "text/css; charset=utf-8"), ("dashboard.js", "text/javascript; charset=utf-8"), ("icon.svg", "image/svg+xml"),
    }.ToFrozenDictionary(f => f.Item1, f => (Read(f.Item1), f.Item2, Convert.ToHexStringLower(SHA256.HashData(Read(f.Item1)))[..12]));

    /// <summary>Where a page finds a file.</summary>
    public static string Url(string name) => $"/dashboard/assets/{name}?v={Files[name].Digest}";

    public static FileContentHttpResult Serve(string name, HttpContext context)
    {
        if (!Files.TryGetValue(name, out var file))
        {
            throw Fault.NotFound("The resource could not be found.");
        }

        context.Response.Headers.CacheControl = context.Request.Query["v"] == file.Digest ? "public, max-age=31536000, immutable" : "no-cache";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return TypedResults.Bytes(file.Content, file.Type);
    }

    private static byte[] Read(string name)
    {
        using var stream = typeof(Asset).Assembly.GetManifestResourceStream($"dashboard/{name}")!;
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    }
}
