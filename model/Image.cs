namespace SnapshotFlow.Model;

/// <summary>An image as the records know it.</summary>
public sealed record Image
{
    /// <summary>The only formats of an image that has no contents of its own: Glance inspects uploads, and zero bytes are valid <c>raw</c>.</summary>
    public const string DiskFormatRaw = "raw";

    /// <summary>See <see cref="DiskFormatRaw"/>.</summary>
    public const string ContainerFormatBare = "bare";

    /// <summary>MD5 of nothing: the checksum of an image without contents.</summary>
    public const string EmptyChecksum = "d41d8cd98f00b204e9800998ecf8427e";

    /// <summary>The algorithm of <see cref="EmptyHash"/>. Source: Glance's default <c>hashing_algorithm</c>.</summary>
    public const string HashAlgorithm = "sha512";

    /// <summary>SHA-512 of nothing.</summary>
    public const string EmptyHash =
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    /// <summary>Its id, also the id of the run that made it.</summary>
    public required ImageId Id { get; init; }

    /// <summary>Display name; null when it has none.</summary>
    public string? Name { get; init; }

    /// <summary>The project it belongs to.</summary>
    public required string OwnerProjectId { get; init; }

    /// <summary>Where it stands.</summary>
    public required ImageStatus Status { get; init; }

    /// <summary><c>private</c>, <c>shared</c>, <c>public</c> or <c>community</c>.</summary>
    public required string Visibility { get; init; }

    /// <summary>May not be deleted.</summary>
    public bool Protected { get; init; }

    /// <summary>Left out of lists unless asked for.</summary>
    public bool Hidden { get; init; }

    /// <summary>Bytes; null before it has contents.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>For example <c>raw</c>.</summary>
    public string? DiskFormat { get; init; }

    /// <summary>For example <c>bare</c>.</summary>
    public string? ContainerFormat { get; init; }

    /// <summary>GiB a root disk needs.</summary>
    public int MinDisk { get; init; }

    /// <summary>MiB of memory a server needs.</summary>
    public int MinRam { get; init; }

    /// <summary>MD5 of its contents; null before it has any.</summary>
    public string? Checksum { get; init; }

    /// <summary>Algorithm of <see cref="HashValue"/>.</summary>
    public string? HashAlgo { get; init; }

    /// <summary>Hash of its contents; null before it has any.</summary>
    public string? HashValue { get; init; }

    /// <summary>Tags.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Custom properties, all text; on the wire they stand beside the attributes.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    /// <summary>When its row was written.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its row last changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }
}
