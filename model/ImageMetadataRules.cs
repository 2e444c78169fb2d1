using System.Buffers;
using System.Collections.Frozen;

namespace SnapshotFlow.Model;

/// <summary>
/// Which custom properties a caller may give an image, checked before any side effect. Source: Nova's schema of <c>createImage.metadata</c>, and Glance's
/// reserved and read-only attributes, which Nova runs into only after the volumes have been cut.
/// </summary>
public static class ImageMetadataRules
{
    /// <summary>Most characters of a key, and of a value. Source: Nova's schema.</summary>
    public const int MaxLength = 255;

    /// <summary>Most custom properties of an image. Source: Glance, default of <c>image_property_quota</c>.</summary>
    public const int MaxProperties = 128;

    /// <summary>The properties that are generated for every image of a server: <c>block_device_mapping</c>, <c>bdm_v2</c>, <c>root_device_name</c>.</summary>
    public static readonly FrozenSet<string> Generated = FrozenSet.Create(StringComparer.Ordinal, "block_device_mapping", "bdm_v2", "root_device_name");

    /// <summary>What the properties that this product adds start with; no caller may set them, and they do not count against <see cref="MaxProperties"/>.</summary>
    public const string OwnPrefix = "snapshotflow_";

    private const string GlancePrefix = "os_glance";

    private static readonly FrozenSet<string> Reserved = FrozenSet.Create(
        StringComparer.Ordinal,
        // Attributes of an image: as a property they would overwrite the attribute.
        "id", "name", "status", "visibility", "protected", "os_hidden", "owner", "size", "virtual_size", "disk_format", "container_format", "min_disk", "min_ram",
        "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "tags", "self", "file", "schema", "direct_url", "stores",
        // Reserved by the image service.
        "location", "locations", "deleted", "deleted_at", "members", "is_public",
        // Read by Nova's image client as "share the image with this project".
        "instance_owner",
        // With these two the image service deletes a key that a volume still needs when the image goes (bug 1852106).
        "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy",
        // With these the image service verifies a signature of contents that are not there.
        "img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid");

    private static readonly SearchValues<char> KeyCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:. ");

    /// <summary>Whether no caller may set the property, and no image inherits it: it means something to the image service or to this product.</summary>
    public static bool IsReserved(string key) =>
        Reserved.Contains(key) || key.StartsWith(GlancePrefix, StringComparison.Ordinal) || key.StartsWith(OwnPrefix, StringComparison.Ordinal);

    /// <summary>What is wrong with a caller's metadata; null when nothing is. The first problem in the order of the keys.</summary>
    public static string? Problem(IReadOnlyDictionary<string, string> metadata) =>
        metadata.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => KeyProblem(p.Key) ?? TextProblem(p.Key, p.Value, MaxLength)).FirstOrDefault(p => p is not null);

    /// <summary>Refuses metadata that no caller may give.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>.</exception>
    public static void Require(IReadOnlyDictionary<string, string> metadata) => Refuse(Problem(metadata));

    /// <summary>Refuses a whole set of properties, inherited ones and the caller's together, that an image cannot have.</summary>
    /// <param name="properties">Without the generated ones.</param>
    /// <param name="generated">How many properties will be generated.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>.</exception>
    public static void RequireStorable(IReadOnlyDictionary<string, string> properties, int generated)
    {
        var count = CountOf(properties.Keys) + generated;
        Refuse(count > MaxProperties
            ? $"The limit has been exceeded on the number of allowed image properties. Attempted: {count}, Maximum: {MaxProperties}. "
              + $"Of these, {generated} describe the block devices; the others are inherited from the server's image or given in the request."
            : properties.OrderBy(p => p.Key, StringComparer.Ordinal)
                .Select(p => (p.Key.Length > MaxLength ? $"Property name '{p.Key}' is longer than {MaxLength} characters." : null)
                    ?? (HasUnstorable(p.Key) ? "Property names can't contain 4 byte unicode." : null)
                    ?? TextProblem(p.Key, p.Value, int.MaxValue))
                .FirstOrDefault(p => p is not null));
    }

    /// <summary>How many properties count against <see cref="MaxProperties"/>: all but those of the image service and of this product.</summary>
    public static int CountOf(IEnumerable<string> keys) =>
        keys.Count(k => !k.StartsWith(GlancePrefix, StringComparison.Ordinal) && !k.StartsWith(OwnPrefix, StringComparison.Ordinal));

    private static string? KeyProblem(string key) => key switch
    {
        _ when key.Length is 0 or > MaxLength || key.AsSpan().ContainsAnyExcept(KeyCharacters) =>
            $"Invalid input for field/attribute metadata. Additional properties are not allowed ('{key}' was unexpected): "
            + $"a key has 1 to {MaxLength} letters, digits, spaces or any of - _ : .",
        _ when IsReserved(key) => $"Attribute '{key}' is reserved: an image says it itself, metadata cannot.",
        _ => null,
    };

    private static string? TextProblem(string key, string value, int maxLength) => value switch
    {
        _ when HasUnstorable(value) => $"{key} can't contain 4 byte unicode characters, nor the character U+0000.",
        _ when value.Length > maxLength => $"Invalid input for field/attribute {key}. Value: {value}. '{value}' is too long",
        _ => null,
    };

    // MySQL's utf8, which the image service is built on, has no characters of four bytes; PostgreSQL's text has no U+0000.
    private static bool HasUnstorable(string text) => text.Any(c => char.IsSurrogate(c) || c == '\0');

    private static void Refuse(string? problem)
    {
        if (problem is not null)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, problem);
        }
    }
}
