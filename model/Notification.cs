using System.Text.Json;

namespace SnapshotFlow.Model;

/// <summary>Something that happened, to be told to whoever listens: at least once, and in order for each resource.</summary>
/// <param name="EventType">For example <c>snapshot.create.start</c>.</param>
/// <param name="PublisherId">For example <c>snapshot.host@backend</c>.</param>
/// <param name="ResourceId">What it is about; order is kept among notifications of the same.</param>
/// <param name="Payload">A JSON object.</param>
/// <param name="CreatedAt">When it happened.</param>
public sealed record Notification(string EventType, string PublisherId, string ResourceId, string Payload, DateTimeOffset CreatedAt)
{
    /// <summary>What happened to a snapshot. Source: Cinder, <c>_usage_from_snapshot</c>: <c>deleted</c> and <c>metadata</c> as text that is empty for none.</summary>
    /// <param name="happened">What follows <c>snapshot.</c>: <c>create.start</c>, <c>create.end</c>, <c>delete.start</c>, <c>delete.end</c>.</param>
    /// <param name="snapshot">The snapshot as it is afterwards.</param>
    /// <param name="volume">Its volume.</param>
    /// <param name="now">When.</param>
    public static Notification OfSnapshot(string happened, Snapshot snapshot, Volume volume, DateTimeOffset now)
    {
        var payload = new Dictionary<string, object?>
        {
            ["tenant_id"] = snapshot.ProjectId,
            ["user_id"] = snapshot.UserId,
            ["availability_zone"] = volume.AvailabilityZone,
            ["volume_id"] = snapshot.VolumeId,
            ["volume_size"] = snapshot.SizeGib,
            ["snapshot_id"] = snapshot.Id,
            ["display_name"] = snapshot.Name,
            ["created_at"] = snapshot.CreatedAt.UtcDateTime,
            ["status"] = snapshot.Status,
            ["deleted"] = snapshot.Status == SnapshotStatus.Deleted ? "True" : "",
            ["metadata"] = snapshot.Metadata.Count == 0 ? "" : JsonSerializer.Serialize(snapshot.Metadata),
        };
        return new Notification($"snapshot.{happened}", $"snapshot.{volume.Backend}", snapshot.Id.ToString(), JsonSerializer.Serialize(payload), now);
    }

    /// <summary>What happened to an image. Source: Glance, image notifications.</summary>
    /// <param name="happened">What follows <c>image.</c>: <c>create</c>, <c>prepare</c>, <c>upload</c>, <c>activate</c>, <c>update</c>, <c>delete</c>.</param>
    /// <param name="image">The image as it is afterwards.</param>
    /// <param name="now">When.</param>
    public static Notification OfImage(string happened, Image image, DateTimeOffset now)
    {
        var payload = new Dictionary<string, object?>
        {
            ["id"] = image.Id,
            ["name"] = image.Name,
            ["status"] = image.Status,
            ["created_at"] = image.CreatedAt.UtcDateTime,
            ["updated_at"] = image.UpdatedAt.UtcDateTime,
            ["min_disk"] = image.MinDisk,
            ["min_ram"] = image.MinRam,
            ["protected"] = image.Protected,
            ["checksum"] = image.Checksum,
            ["owner"] = image.OwnerProjectId,
            ["disk_format"] = image.DiskFormat,
            ["container_format"] = image.ContainerFormat,
            ["size"] = image.SizeBytes,
            ["virtual_size"] = null,
            ["is_public"] = image.Visibility == "public",
            ["visibility"] = image.Visibility,
            ["hidden"] = image.Hidden,
            ["properties"] = image.Properties,
            ["tags"] = image.Tags,
            ["deleted"] = image.Status is ImageStatus.Deleted,
            ["deleted_at"] = image.Status is ImageStatus.Deleted ? now.UtcDateTime : null,
        };
        return new Notification($"image.{happened}", "image.snapshotflow", image.Id.ToString(), JsonSerializer.Serialize(payload), now);
    }

    /// <summary>What happened to the sharing of an image with a project. Source: Glance, image member notifications.</summary>
    /// <param name="happened">What follows <c>image.member.</c>: <c>create</c>, <c>update</c>, <c>delete</c>.</param>
    /// <param name="image">The image; order is kept with what is told of it.</param>
    /// <param name="member">The project.</param>
    /// <param name="status"><c>pending</c>, <c>accepted</c> or <c>rejected</c>.</param>
    /// <param name="createdAt">Since when it is shared.</param>
    /// <param name="now">When.</param>
    public static Notification OfImageMember(string happened, ImageId image, string member, string status, DateTimeOffset createdAt, DateTimeOffset now)
    {
        var payload = new Dictionary<string, object?>
        {
            ["image_id"] = image,
            ["member_id"] = member,
            ["status"] = status,
            ["created_at"] = createdAt.UtcDateTime,
            ["updated_at"] = now.UtcDateTime,
            ["deleted"] = happened == "delete",
            ["deleted_at"] = happened == "delete" ? now.UtcDateTime : null,
        };
        return new Notification($"image.member.{happened}", "image.snapshotflow", image.ToString(), JsonSerializer.Serialize(payload), now);
    }
}
