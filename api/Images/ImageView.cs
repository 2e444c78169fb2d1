using System.Text.Json.Serialization;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Images;

/// <summary>An image; custom properties stand beside the attributes. Source: Glance Image API v2, schema <c>image</c>.</summary>
internal sealed record ImageView(string Id, string? Name, string Status, string Visibility, string Owner, string CreatedAt, string UpdatedAt)
{
    public required bool Protected { get; init; }

    public required bool OsHidden { get; init; }

    public required long? Size { get; init; }

    /// <summary>Glance does not store a computed zero.</summary>
    public long? VirtualSize { get; }

    public required string? DiskFormat { get; init; }

    public required string? ContainerFormat { get; init; }

    public required int MinDisk { get; init; }

    public required int MinRam { get; init; }

    public required string? Checksum { get; init; }

    public required string? OsHashAlgo { get; init; }

    public required string? OsHashValue { get; init; }

    public required IReadOnlyList<string> Tags { get; init; }

    public required string Self { get; init; }

    public required string File { get; init; }

    public string Schema { get; } = "/v2/schemas/image";

    [JsonExtensionData]
    public IDictionary<string, object?> Properties { get; init; } = new Dictionary<string, object?>();

    public static ImageView Of(Image image) => new(
        image.Id.ToString(), image.Name, image.Status.ToText(), image.Visibility, image.OwnerProjectId, image.CreatedAt.Seconds(), image.UpdatedAt.Seconds())
    {
        Protected = image.Protected,
        OsHidden = image.Hidden,
        Size = image.SizeBytes,
        DiskFormat = image.DiskFormat,
        ContainerFormat = image.ContainerFormat,
        MinDisk = image.MinDisk,
        MinRam = image.MinRam,
        Checksum = image.Checksum,
        OsHashAlgo = image.HashAlgo,
        OsHashValue = image.HashValue,
        Tags = image.Tags,
        Self = $"/v2/images/{image.Id}",
        File = $"/v2/images/{image.Id}/file",
        Properties = image.Properties.ToDictionary(p => p.Key, p => (object?)p.Value),
    };
}

/// <summary>A page of images. <c>next</c> is there whenever the page is full, even if nothing follows.</summary>
internal sealed record ImageList(
    IReadOnlyList<ImageView> Images, string First, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next)
{
    public string Schema { get; } = "/v2/schemas/images";
}
