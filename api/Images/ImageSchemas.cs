using System.Text.Json;

namespace SnapshotFlow.Api.Images;

/// <summary>What an image, a member, and lists of them look like, for clients that ask. Source: Glance API v2, schemas.</summary>
internal static class ImageSchemas
{
    // JSON Schema spells its words so; the rest of the api writes snake case.
    private static readonly JsonSerializerOptions Spelling = new(JsonSerializerDefaults.Web);

    private static readonly string[] Statuses =
        ["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"];

    public static void MapImageSchemas(this IEndpointRouteBuilder routes)
    {
        var schemas = routes.MapGroup("/image/v2/schemas").RequireAuthorization();
        schemas.MapGet("/image", () => Schema("image", ImageProperties(), new { type = "string" }));
        schemas.MapGet("/images", () => List("images", Document("image", ImageProperties(), new { type = "string" })));
        schemas.MapGet("/member", () => Schema("member", MemberProperties(), additional: null));
        schemas.MapGet("/members", () => List("members", Document("member", MemberProperties(), additional: null)));
    }

    private static IResult Schema(string name, Dictionary<string, object> properties, object? additional) => Results.Json(Document(name, properties, additional), Spelling);

    private static Dictionary<string, object> Document(string name, Dictionary<string, object> properties, object? additional)
    {
        var document = new Dictionary<string, object> { ["name"] = name, ["properties"] = properties };
        if (additional is not null)
        {
            // Custom properties stand beside the attributes, and are texts.
            document["additionalProperties"] = additional;
            document["links"] = new[] { new { rel = "self", href = "{self}" }, new { rel = "enclosure", href = "{file}" }, new { rel = "describedby", href = "{schema}" } };
        }

        return document;
    }

    private static IResult List(string name, Dictionary<string, object> item) => Results.Json(new Dictionary<string, object>
    {
        ["name"] = name,
        ["properties"] = new Dictionary<string, object>
        {
            [name] = new { type = "array", items = item }, ["schema"] = new { type = "string" }, ["first"] = new { type = "string" }, ["next"] = new { type = "string" },
        },
        ["links"] = new[] { new { rel = "first", href = "{first}" }, new { rel = "next", href = "{next}" }, new { rel = "describedby", href = "{schema}" } },
    }, Spelling);

    private static Dictionary<string, object> ImageProperties() => new()
    {
        ["id"] = Text("Its id", readOnly: true),
        ["name"] = new { type = Nullable("string"), description = "Descriptive name", maxLength = 255 },
        ["status"] = new { type = "string", description = "Where it stands", @enum = Statuses, readOnly = true },
        ["visibility"] = new { type = "string", description = "Who may see it", @enum = new[] { "community", "public", "private", "shared" } },
        ["protected"] = new { type = "boolean", description = "Whether it may not be deleted" },
        ["os_hidden"] = new { type = "boolean", description = "Whether lists leave it out" },
        ["owner"] = new { type = Nullable("string"), description = "The project it belongs to", maxLength = 255 },
        ["checksum"] = new { type = Nullable("string"), description = "MD5 of its contents", maxLength = 32, readOnly = true },
        ["os_hash_algo"] = new { type = Nullable("string"), description = "Algorithm of os_hash_value", maxLength = 64, readOnly = true },
        ["os_hash_value"] = new { type = Nullable("string"), description = "Hash of its contents", maxLength = 128, readOnly = true },
        ["size"] = new { type = Nullable("integer"), description = "Bytes", readOnly = true },
        ["virtual_size"] = new { type = Nullable("integer"), description = "Bytes of the disk in it", readOnly = true },
        ["disk_format"] = new { type = Nullable("string"), description = "Format of the disk", @enum = new[] { null, "raw" } },
        ["container_format"] = new { type = Nullable("string"), description = "Format of the container", @enum = new[] { null, "bare" } },
        ["min_disk"] = new { type = "integer", description = "GiB that a root disk needs", minimum = 0, maximum = int.MaxValue },
        ["min_ram"] = new { type = "integer", description = "MiB that a server needs", minimum = 0, maximum = int.MaxValue },
        ["tags"] = new { type = "array", items = new { type = "string", maxLength = 255 }, description = "Tags" },
        ["created_at"] = Text("When it was made", readOnly: true),
        ["updated_at"] = Text("When it last changed", readOnly: true),
        ["self"] = Text("Its path", readOnly: true),
        ["file"] = Text("Path of its contents", readOnly: true),
        ["schema"] = Text("Path of this document", readOnly: true),
    };

    private static Dictionary<string, object> MemberProperties() => new()
    {
        ["member_id"] = Text("The project", readOnly: false),
        ["image_id"] = Text("The image", readOnly: false),
        ["status"] = new { type = "string", description = "What the project says to it", @enum = new[] { "pending", "accepted", "rejected" } },
        ["created_at"] = Text("When it was shared", readOnly: false),
        ["updated_at"] = Text("When its status last changed", readOnly: false),
        ["schema"] = Text("Path of this document", readOnly: true),
    };

    private static object Text(string description, bool readOnly) => readOnly ? new { type = "string", description, readOnly = true } : new { type = "string", description };

    private static string[] Nullable(string type) => ["null", type];
}
