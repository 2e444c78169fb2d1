using System.Globalization;
using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Snapshots;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Volumes;

/// <summary>
/// The body <c>{"volume": {"snapshot_id": "…", …}}</c>. Volumes are made here from snapshots, and from images whose root is one; empty volumes, copies of volumes and
/// backups are the block storage's own. Source: Cinder, schema of volume creation.
/// </summary>
internal sealed record CreateVolumeRequest(
    SnapshotId? Snapshot, ImageId? Image, int? SizeGib, string? Name, string? Description, string? VolumeType, string? AvailabilityZone, IReadOnlyDictionary<string, string> Metadata)
{
    private static readonly string[] Understood =
        ["snapshot_id", "imageRef", "image_id", "size", "name", "display_name", "description", "display_description", "volume_type", "availability_zone", "metadata"];

    /// <summary>What Cinder can do and this product does not: must be null, or say nothing.</summary>
    private static readonly string[] NotServed =
        ["source_volid", "source_replica", "consistencygroup_id", "group_id", "backup_id", "cgsnapshot_id", "multiattach", "shareable"];

    public static CreateVolumeRequest Parse(JsonElement body)
    {
        var volume = new JsonField("body", body).Object(required: ["volume"], optional: ["OS-SCH-HNT:scheduler_hints"])["volume"];
        var members = volume.Object(required: [], optional: [.. Understood, .. NotServed]);
        if (NotServed.FirstOrDefault(n => members.TryGetValue(n, out var field) && field.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False)) is { } odd)
        {
            throw Fault.BadRequest($"Invalid input received: {odd} is not supported here. Volumes are made from snapshots: give snapshot_id.");
        }

        JsonField? Field(params string[] names) => names.Where(members.ContainsKey).Select(n => (JsonField?)members[n]).FirstOrDefault(f => f is { IsNull: false });
        string? Text(params string[] names) => Field(names)?.Text(SnapshotFields.MaxLength);
        var request = new CreateVolumeRequest(
            Field("snapshot_id")?.Id<SnapshotId>(),
            Field("imageRef", "image_id")?.Id<ImageId>(),
            Field("size") is { } size ? Size(size) : null,
            Text("name", "display_name")?.Trim(),
            Text("description", "display_description"),
            Text("volume_type"),
            Text("availability_zone"),
            Field("metadata") is { } metadata ? SnapshotFields.Metadata(metadata) : new Dictionary<string, string>());
        return request.Snapshot is null && request.Image is null
            ? throw Fault.BadRequest("Invalid input received: Volumes are made from snapshots here: give snapshot_id, or imageRef of an image that was made of a server.")
            : request.Snapshot is not null && request.Image is not null
                ? throw Fault.BadRequest("Invalid input received: snapshot_id and imageRef cannot be given together.")
                : request;
    }

    /// <summary>A whole number of GiB, as a number or as text.</summary>
    private static int Size(JsonField field)
    {
        var text = field.Value.ValueKind is JsonValueKind.String ? field.Text() : field.Value.GetRawText();
        return field.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size > 0
                ? size
                : throw field.Invalid($"{JsonField.Represented(field.Value)} is not a whole number of GiB above 0");
    }
}
