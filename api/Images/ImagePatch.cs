using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Images;

/// <summary>
/// A change of an image, one operation after the other: <c>[{"op": "replace", "path": "/name", "value": "x"}]</c>, or in the older form
/// <c>[{"replace": "/name", "value": "x"}]</c>. Source: Glance API v2, <c>PATCH /images/{id}</c>.
/// </summary>
internal sealed record ImagePatch(IReadOnlyList<ImagePatch.Operation> Operations)
{
    /// <summary>What clients send today.</summary>
    public const string ContentType = "application/openstack-images-v2.1-json-patch";

    private const string Older = "application/openstack-images-v2.0-json-patch";
    private const int MaxLength = 255;
    private const int MaxTags = 128;

    private static readonly string[] Verbs = ["add", "replace", "remove"];

    private static readonly HashSet<string> ReadOnly =
    [
        "id", "status", "created_at", "updated_at", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "direct_url", "self", "file", "schema", "stores",
    ];

    private static readonly HashSet<string> Reserved = ["location", "deleted", "deleted_at"];

    /// <summary>The attributes that a caller may change.</summary>
    private static readonly HashSet<string> Base = ["name", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "tags", "owner", "disk_format", "container_format"];

    /// <summary>Reads it; 415 for any other content type.</summary>
    public static async Task<ImagePatch> ReadAsync(HttpRequest request, CancellationToken ct)
    {
        var type = request.ContentType?.Split(';')[0].Trim();
        if (type is not (ContentType or Older))
        {
            throw new Fault(StatusCodes.Status415UnsupportedMediaType, $"Unsupported Content-Type: write {ContentType}");
        }

        var body = await JsonBody.ReadAnyTypeAsync(request, ct);
        return body.ValueKind is JsonValueKind.Array
            ? new([.. body.EnumerateArray().Select(e => Read(new JsonField("operation", e), older: type == Older))])
            : throw Fault.BadRequest("Request body must be a JSON array of operation objects.");
    }

    /// <summary>The image as it will be. The faults are Glance's; nothing is changed by any of them.</summary>
    public Image Apply(Image image, Action<string> mayBecomeVisible, bool isAdmin)
    {
        var before = ImageMetadataRules.CountOf(image.Properties.Keys);
        var changed = Operations.Aggregate(image, (current, operation) => operation.Apply(current, isAdmin));
        if (changed.Visibility != image.Visibility)
        {
            mayBecomeVisible(changed.Visibility);
        }

        var count = ImageMetadataRules.CountOf(changed.Properties.Keys);
        return count > before && count > ImageMetadataRules.MaxProperties
            ? throw new Fault(
                StatusCodes.Status413PayloadTooLarge,
                $"The limit has been exceeded on the number of allowed image properties. Attempted: {count}, Maximum: {ImageMetadataRules.MaxProperties}", TimeSpan.Zero)
            : changed;
    }

    private static Operation Read(JsonField field, bool older)
    {
        var members = field.Members();
        var verb = older ? Verbs.Where(members.ContainsKey).ToList() is [var only] ? only : null : members.TryGetValue("op", out var op) ? op.Text() : null;
        if (verb is null || !Verbs.Contains(verb))
        {
            throw Fault.BadRequest($"Operations must have exactly one of the methods {string.Join(", ", Verbs)}.");
        }

        var pointer = members.TryGetValue(older ? verb : "path", out var path) ? path.Text() : throw Fault.BadRequest("Operation is missing its path.");
        if (pointer is not ['/', _, ..] || pointer.AsSpan(1).Contains('/'))
        {
            throw Fault.BadRequest($"Invalid JSON pointer for this resource: '{pointer}'");
        }

        var name = pointer[1..].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
        JsonField? value = verb == "remove" ? null
            : members.TryGetValue("value", out var given) ? given with { Name = name }
            : throw Fault.BadRequest("Operation is missing a value.");
        return new(verb, name, value);
    }

    /// <summary>One operation on one attribute or property.</summary>
    internal sealed record Operation(string Verb, string Name, JsonField? Value)
    {
        public Image Apply(Image image, bool isAdmin)
        {
            // What this product observed is no caller's to rewrite.
            if (ReadOnly.Contains(Name) || Name.StartsWith(ImageMetadataRules.OwnPrefix, StringComparison.Ordinal))
            {
                throw Fault.Forbidden($"Attribute '{Name}' is read-only.");
            }

            if (Reserved.Contains(Name) || Name.StartsWith("os_glance", StringComparison.Ordinal))
            {
                throw Fault.Forbidden($"Attribute '{Name}' is reserved.");
            }

            return Base.Contains(Name) ? Attribute(image, isAdmin) : Property(image);
        }

        private Image Attribute(Image image, bool isAdmin) => Value is not { } value ? throw Fault.Forbidden($"Property {Name} may not be removed.") : Name switch
        {
            "name" => image with { Name = Storable(value.OptionalText(MaxLength)) },
            "visibility" => image with { Visibility = value.OneOf(ImageEndpoints.Visibilities) },
            "protected" => image with { Protected = value.Boolean() },
            "os_hidden" => image with { Hidden = value.Boolean() },
            "min_disk" => image with { MinDisk = Whole(value) },
            "min_ram" => image with { MinRam = Whole(value) },
            // Added or replaced, it is the whole list. Source: Glance, whose clients add the tags of an image that they saw without any.
            "tags" => image with { Tags = Tags(value) },
            "owner" => isAdmin
                ? image with { OwnerProjectId = value.Text(MaxLength) is { Length: > 0 } owner ? owner : throw value.Invalid("It must not be empty") }
                : throw Fault.Forbidden("You are not permitted to modify 'owner' on this image."),
            _ => image.Status is ImageStatus.Queued
                ? throw Fault.Conflict($"Image {image.Id} is being made: its formats are set by its run.")
                : throw Fault.Forbidden($"Attribute {Name} can be only replaced for a queued image."),
        };

        private Image Property(Image image)
        {
            if (Verb is not "add" && !image.Properties.ContainsKey(Name))
            {
                throw Fault.Conflict($"Property {Name} does not exist.");
            }

            var properties = image.Properties.ToDictionary(p => p.Key, p => p.Value);
            if (Value is not { } value)
            {
                properties.Remove(Name);
                return image with { Properties = properties };
            }

            if (Name.EnumerateRunes().Count() > MaxLength)
            {
                throw Fault.BadRequest($"Property name '{Name[..32]}…' is longer than {MaxLength} characters.");
            }

            if (Name.Any(char.IsSurrogate) || Name.Contains('\0', StringComparison.Ordinal))
            {
                throw Fault.BadRequest("Property names can't contain 4 byte unicode.");
            }

            properties[Name] = Storable(value.Text(BlockDeviceMapping.MaxBytes))!;
            return image with { Properties = properties };
        }

        private static string[] Tags(JsonField value)
        {
            var tags = value.Value.ValueKind is JsonValueKind.Array
                ? value.Value.EnumerateArray().Select(e => Storable(new JsonField("tags", e).Text(MaxLength), "tags")!).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray()
                : throw value.Invalid("It must be a list of texts");
            return tags.Length <= MaxTags ? tags
                : throw new Fault(
                    StatusCodes.Status413PayloadTooLarge, $"The limit has been exceeded on the number of allowed image tags. Attempted: {tags.Length}, Maximum: {MaxTags}", TimeSpan.Zero);
        }

        private static int Whole(JsonField value) => value.Value.ValueKind is JsonValueKind.Number && value.Value.TryGetInt32(out var number) && number >= 0
            ? number
            : throw value.Invalid($"{JsonField.Represented(value.Value)} is not a whole number of 0 or more");

        // MySQL's utf8, which the image service is built on, has no characters of four bytes.
        private string? Storable(string? text) => Storable(text, Name);

        private static string? Storable(string? text, string name) =>
            text is not null && text.Any(char.IsSurrogate) ? throw Fault.BadRequest($"{name} can't contain 4 byte unicode characters.") : text;
    }
}
