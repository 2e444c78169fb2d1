using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using SnapshotFlow.Api.Images;

namespace SnapshotFlow.Api.OpenApi;

/// <summary>
/// What requests may say. Handlers read bodies and queries by hand, because their refusals have upstream's words, so their shape is written down here once more,
/// for the description only; a test asks that no endpoint that reads a body is without one.
/// </summary>
internal static class RequestBodies
{
    private const string Text = """{"type": "string"}""";
    private const string TextOrNull = """{"type": ["string", "null"], "maxLength": 255}""";
    private const string Uuid = """{"type": "string", "format": "uuid"}""";
    private const string Texts = """{"type": "object", "additionalProperties": {"type": "string"}}""";
    private const string Flag = """{"type": "boolean"}""";
    private const string Number = """{"type": "integer"}""";

    private static readonly Dictionary<string, (string Schema, string Example)> Bodies = new(StringComparer.Ordinal)
    {
        ["POST /identity/v3/auth/tokens"] = (
            Wrap("auth", Object(["identity"], ("identity", Object(["methods"], ("methods", """{"type": "array", "items": {"enum": ["password", "token"]}}"""), ("password", """{"type": "object"}"""), ("token", """{"type": "object"}"""))), ("scope", """{"type": ["object", "string"]}"""))),
            """{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"name": "Default"}, "password": "…"}}}, "scope": {"project": {"name": "demo", "domain": {"name": "Default"}}}}}"""),
        ["POST /compute/v2.1/servers/{id}/action"] = (
            Wrap("createImage", Object(["name"], ("name", """{"type": "string", "minLength": 1, "maxLength": 242}"""), ("metadata", Texts))),
            """{"createImage": {"name": "before-upgrade", "metadata": {"purpose": "backup"}}}"""),
        ["PUT /compute/v2.1/os-quota-sets/{id}"] = (Wrap("quota_set", """{"type": "object"}"""), """{"quota_set": {}}"""),
        ["PUT /volume/v3/{project_id}/os-quota-sets/{id}"] = (
            Wrap("quota_set", """{"type": "object", "additionalProperties": {"type": ["integer", "string"], "minimum": -1}}"""), """{"quota_set": {"snapshots": 100, "gigabytes": -1}}"""),
        ["POST /volume/v3/{project_id}/snapshots"] = (
            Wrap("snapshot", Object(["volume_id"], ("volume_id", Uuid), ("name", Text), ("description", Text), ("force", """{"type": ["boolean", "string"]}"""), ("metadata", Texts))),
            """{"snapshot": {"volume_id": "11111111-2222-3333-4444-555555555555", "name": "first", "force": true}}"""),
        ["PUT /volume/v3/{project_id}/snapshots/{id}"] = (
            Wrap("snapshot", Object([], ("name", TextOrNull), ("description", TextOrNull), ("display_name", TextOrNull), ("display_description", TextOrNull))), """{"snapshot": {"name": "second"}}"""),
        ["POST /volume/v3/{project_id}/snapshots/{id}/metadata"] = (Wrap("metadata", Texts), """{"metadata": {"purpose": "backup"}}"""),
        ["PUT /volume/v3/{project_id}/snapshots/{id}/metadata"] = (Wrap("metadata", Texts), """{"metadata": {"purpose": "backup"}}"""),
        ["PUT /volume/v3/{project_id}/snapshots/{id}/metadata/{key}"] = (Wrap("meta", Texts), """{"meta": {"purpose": "backup"}}"""),
        ["POST /volume/v3/{project_id}/snapshots/{id}/action"] = (
            Object([], ("os-reset_status", Wrap("status", Text)), ("os-force_delete", """{"type": ["object", "null"]}"""), ("os-unmanage", """{"type": ["object", "null"]}"""),
                ("os-update_snapshot_status", Object(["status"], ("status", Text), ("progress", """{"type": "string", "description": "0% to 100%"}""")))),
            """{"os-reset_status": {"status": "available"}}"""),
        ["PUT /volume/v3/{project_id}/os-services/freeze"] = (Wrap("host", Text), """{"host": "node-1@file"}"""),
        ["PUT /volume/v3/{project_id}/os-services/thaw"] = (Wrap("host", Text), """{"host": "node-1@file"}"""),
        ["POST /volume/v3/{project_id}/volumes"] = (
            Wrap("volume", Object([], ("snapshot_id", Uuid), ("size", Number), ("name", Text), ("description", Text), ("volume_type", Text), ("metadata", Texts))),
            """{"volume": {"snapshot_id": "11111111-2222-3333-4444-555555555555", "name": "again"}}"""),
        ["PUT /volume/v3/{project_id}/volumes/{id}"] = (
            Wrap("volume", Object([], ("name", TextOrNull), ("description", TextOrNull), ("display_name", TextOrNull), ("display_description", TextOrNull), ("metadata", Texts))), """{"volume": {"name": "second"}}"""),
        ["POST /volume/v3/{project_id}/volumes/{id}/metadata"] = (Wrap("metadata", Texts), """{"metadata": {"purpose": "backup"}}"""),
        ["PUT /volume/v3/{project_id}/volumes/{id}/metadata"] = (Wrap("metadata", Texts), """{"metadata": {"purpose": "backup"}}"""),
        ["PUT /volume/v3/{project_id}/volumes/{id}/metadata/{key}"] = (Wrap("meta", Texts), """{"meta": {"purpose": "backup"}}"""),
        ["POST /volume/v3/{project_id}/volumes/{id}/action"] = (
            Object([], ("os-reset_status", Object([], ("status", Text), ("migration_status", TextOrNull))), ("os-force_delete", """{"type": ["object", "null"]}"""),
                ("os-set_bootable", Wrap("bootable", """{"type": ["boolean", "string"]}"""))),
            """{"os-reset_status": {"status": "available"}}"""),
        ["PATCH /image/v2/images/{id}"] = (
            List(Object(["op", "path"], ("op", """{"enum": ["add", "replace", "remove"]}"""), ("path", Text), ("value", "{}"))),
            """[{"op": "replace", "path": "/name", "value": "before-upgrade"}, {"op": "add", "path": "/purpose", "value": "backup"}]"""),
        ["POST /image/v2/images/{id}/members"] = (Wrap("member", Text), """{"member": "…"}"""),
        ["PUT /image/v2/images/{id}/members/{member}"] = (Wrap("status", """{"enum": ["pending", "accepted", "rejected"]}"""), """{"status": "accepted"}"""),
        ["POST /runs"] = (
            Object(["server_id", "name"], ("server_id", Uuid), ("name", Text), ("metadata", Texts), ("quiesce", """{"enum": ["auto", "always", "never"]}"""),
                ("freeze_deadline", """{"type": "number", "minimum": 1, "maximum": 60}"""), ("on_expiry", """{"enum": ["fail", "downgrade"]}"""), ("dry_run", Flag)),
            """{"server_id": "11111111-2222-3333-4444-555555555555", "name": "before-upgrade"}"""),
        ["POST /runs/{id}/restore"] = (Object([], ("name", Text)), """{"name": "again"}"""),
        ["POST /admin/servers"] = (Wrap("server", Server), """{"server": {"id": "0d3c5b7a-91e2-4f64-8a8b-5c7d9e1f3a42", "project_id": "…", "name": "web", "host": "node-1", "block_devices": []}}"""),
        ["POST /admin/volumes"] = (Wrap("volume", Volume), """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "…", "size": 20, "backend": "node-1@file"}}"""),
        ["POST /admin/volume-types"] = (Wrap("volume_type", VolumeType), """{"volume_type": {"name": "fast"}}"""),
        ["POST /admin/quotas"] = (Wrap("quota", QuotaOf), """{"quota": {"project_id": "…", "limits": {"snapshots": 100}}}"""),
        ["POST /admin/inventory"] = (
            Object([], ("volume_types", List(VolumeType)), ("volumes", List(Volume)), ("servers", List(Server)), ("quotas", List(QuotaOf))), """{"volume_types": [], "volumes": [], "servers": [], "quotas": []}"""),
    };

    private static string VolumeType => Object(["name"], ("id", Uuid), ("name", Text), ("description", Text), ("is_public", Flag), ("extra_specs", Texts));

    private static string Volume => Object(
        ["id", "project_id", "size", "backend"], ("id", Uuid), ("project_id", Text), ("size", Number), ("backend", Text), ("user_id", Text), ("name", Text), ("description", Text), ("status", Text),
        ("volume_type", Text), ("bootable", Flag), ("encrypted", Flag), ("encryption_key_id", Text), ("multiattach", Flag), ("availability_zone", Text), ("volume_image_metadata", Texts));

    private static string Server => Object(
        ["id", "project_id", "name", "block_devices"], ("id", Uuid), ("project_id", Text), ("name", Text), ("block_devices", List("""{"type": "object"}""")), ("user_id", Text), ("host", Text), ("vm_state", Text),
        ("root_device_name", Text), ("image_ref", Text), ("system_metadata", Texts), ("locked", Flag), ("launched_at", """{"type": "string", "format": "date-time"}"""), ("guest_agent_address", Text),
        ("server_group", """{"type": ["string", "null"], "minLength": 1, "maxLength": 64}"""));

    private static string QuotaOf => Object(["project_id", "limits"], ("project_id", Text), ("limits", """{"type": "object", "additionalProperties": {"type": "integer", "minimum": -1}}"""));

    /// <summary>The body of a request; null when it has none.</summary>
    public static (string Schema, string Example)? Of(string method, string path) => Bodies.TryGetValue($"{method} {path}", out var body) ? body : null;

    /// <summary>What the body is sent as.</summary>
    public static string TypeOf(string method, string path) => (method, path) is ("PATCH", "/image/v2/images/{id}") ? ImagePatch.ContentType : "application/json";

    /// <summary>The parameters of a query.</summary>
    public static IEnumerable<(string Name, JsonSchemaType Type, string Description)> Queries(string method, string path)
    {
        if (method != "GET")
        {
            yield break;
        }

        if (path.EndsWith("/servers", StringComparison.Ordinal) || path.EndsWith("/detail", StringComparison.Ordinal) && !path.Contains("quota", StringComparison.Ordinal)
            || path.EndsWith("/snapshots", StringComparison.Ordinal) || path.EndsWith("/volumes", StringComparison.Ordinal) || path.EndsWith("/messages", StringComparison.Ordinal) || path is "/image/v2/images" or "/runs" or "/operations")
        {
            yield return ("limit", JsonSchemaType.Integer, "Most items of the page.");
            yield return ("marker", JsonSchemaType.String, "Id of the last item of the page before.");
        }

        if (path == "/image/v2/images")
        {
            yield return ("name", JsonSchemaType.String, "Only with this name. Any other parameter asks for images with that property.");
            yield return ("status", JsonSchemaType.String, "Only in this status.");
            yield return ("visibility", JsonSchemaType.String, "private, shared, public, community or all.");
            yield return ("member_status", JsonSchemaType.String, "Of shared ones: pending, accepted, rejected or all; accepted unless said otherwise.");
            yield return ("tag", JsonSchemaType.String, "Only with this tag.");
            yield return ("sort", JsonSchemaType.String, "Such as name:asc,created_at:desc; newest first unless said otherwise.");
        }

        var (snapshots, volumes) = (IsListOf("snapshots", path), IsListOf("volumes", path));
        if (snapshots || volumes)
        {
            yield return ("name", JsonSchemaType.String, "Only with this name.");
            yield return ("status", JsonSchemaType.String, "Only in this status.");
            if (snapshots)
            {
                yield return ("volume_id", JsonSchemaType.String, "Only of this volume.");
            }
            else
            {
                yield return ("bootable", JsonSchemaType.Boolean, "Only bootable ones, or only others.");
                yield return ("size", JsonSchemaType.Integer, "Only of so many GiB.");
                yield return ("availability_zone", JsonSchemaType.String, "Only in this zone.");
                yield return ("created_at", JsonSchemaType.String, "Such as gt:2026-08-01T00:00:00Z,lt:2026-09-01T00:00:00Z; from 3.60.");
            }

            yield return ("metadata", JsonSchemaType.String, "Only with this metadata, such as {'purpose': 'backup'}; of snapshots from 3.22.");
            yield return ("all_tenants", JsonSchemaType.Boolean, "Of every project, or of that which project_id says; for administrators.");
            yield return ("host", JsonSchemaType.String, "Only on this back end, host@backend, or on any of this host; for administrators.");
            yield return ("sort", JsonSchemaType.String, "Such as status:asc,created_at:desc; newest first unless said otherwise.");
            yield return ("offset", JsonSchemaType.Integer, "Items to leave out at the beginning of the page.");
            yield return ("with_count", JsonSchemaType.Boolean, "Say how many there are on all pages; from 3.45.");
        }

        if (path.EndsWith("/volumes/summary", StringComparison.Ordinal))
        {
            yield return ("all_tenants", JsonSchemaType.Boolean, "Of every project; for administrators.");
        }

        if (path.Contains("/os-quota-sets/{id}", StringComparison.Ordinal) && path.StartsWith("/volume", StringComparison.Ordinal))
        {
            yield return ("usage", JsonSchemaType.Boolean, "Show limit, in_use and reserved of each.");
        }

        if (path == "/runs")
        {
            yield return ("status", JsonSchemaType.String, "Only in this status.");
            yield return ("all_projects", JsonSchemaType.Boolean, "Of every project; for administrators.");
        }
    }

    private static bool IsListOf(string nouns, string path) => path.EndsWith($"/{nouns}", StringComparison.Ordinal) || path.EndsWith($"/{nouns}/detail", StringComparison.Ordinal);

    /// <summary>A schema from its JSON text.</summary>
    public static OpenApiSchema Schema(string json) => Of(JsonNode.Parse(json)!.AsObject());

    private static OpenApiSchema Of(JsonObject node)
    {
        var schema = new OpenApiSchema
        {
            Type = node["type"] switch
            {
                JsonArray several => several.Select(t => JsonType((string)t!)).Aggregate((a, b) => a | b),
                JsonValue one => JsonType((string)one!),
                _ => null,
            },
            Description = (string?)node["description"],
            Format = (string?)node["format"],
            Minimum = node["minimum"]?.ToJsonString(),
            Maximum = node["maximum"]?.ToJsonString(),
            MinLength = (int?)node["minLength"],
            MaxLength = (int?)node["maxLength"],
        };
        if (node["properties"] is JsonObject properties)
        {
            schema.Properties = properties.ToDictionary(p => p.Key, IOpenApiSchema (p) => Of(p.Value!.AsObject()));
        }

        if (node["required"] is JsonArray required)
        {
            schema.Required = required.Select(r => (string)r!).ToHashSet();
        }

        if (node["additionalProperties"] is JsonObject additional)
        {
            schema.AdditionalProperties = Of(additional);
        }

        schema.AdditionalPropertiesAllowed = node["additionalProperties"] is not JsonValue;
        if (node["items"] is JsonObject items)
        {
            schema.Items = Of(items);
        }

        if (node["enum"] is JsonArray words)
        {
            schema.Enum = [.. words.Select(w => w!.DeepClone())];
        }

        return schema;
    }

    private static JsonSchemaType JsonType(string name) => name switch
    {
        "object" => JsonSchemaType.Object,
        "array" => JsonSchemaType.Array,
        "string" => JsonSchemaType.String,
        "integer" => JsonSchemaType.Integer,
        "number" => JsonSchemaType.Number,
        "boolean" => JsonSchemaType.Boolean,
        "null" => JsonSchemaType.Null,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no JSON Schema type"),
    };

    private static string Wrap(string member, string schema) => Object([member], (member, schema));

    private static string List(string items) => $$"""{"type": "array", "items": {{items}}}""";

    private static string Object(string[] required, params (string Name, string Schema)[] properties) =>
        $$"""{"type": "object", "additionalProperties": false, "required": [{{string.Join(", ", required.Select(r => $"\"{r}\""))}}], "properties": { {{string.Join(", ", properties.Select(p => $"\"{p.Name}\": {p.Schema}"))}} } }""";
}
