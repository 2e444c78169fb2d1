using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>A volume in the list. Source: Cinder API v3.</summary>
internal sealed record VolumeSummary(string Id, string? Name, IReadOnlyList<Link> Links)
{
    public static VolumeSummary Of(Volume volume, HttpContext context) => new(volume.Id.ToString(), volume.Name, VolumeView.LinksOf(volume, context));
}

/// <summary>A volume with what there is to say about it. What a microversion does not know yet is not there. Source: Cinder API v3.</summary>
internal sealed record VolumeView(string Id, string? Name, string? Description, string Status, int Size, string UserId, string CreatedAt, string? UpdatedAt, IReadOnlyList<Link> Links)
{
    private static readonly JsonElement Nothing = JsonSerializer.SerializeToElement<object?>(null);

    public required string? AvailabilityZone { get; init; }

    public required string? VolumeType { get; init; }

    public required string? SnapshotId { get; init; }

    public string? SourceVolid { get; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    public required IReadOnlyList<AttachmentView> Attachments { get; init; }

    /// <summary>A text, as Cinder has it.</summary>
    public required string Bootable { get; init; }

    public required bool Encrypted { get; init; }

    public required bool Multiattach { get; init; }

    public string? ConsistencygroupId { get; }

    public string? ReplicationStatus { get; }

    /// <summary>Administrators only.</summary>
    public required string? MigrationStatus { get; init; }

    [JsonPropertyName("os-vol-tenant-attr:tenant_id")]
    public required string TenantId { get; init; }

    [JsonPropertyName("os-vol-host-attr:host")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Host { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? VolumeImageMetadata { get; init; }

    /// <summary>From 3.13; null, as no volume of ours belongs to a group.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? GroupId { get; init; }

    /// <summary>From 3.65.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ConsumesQuota { get; init; }

    /// <summary>Volumes with what they are attached to and the image metadata of those that one can start from.</summary>
    public static async Task<IEnumerable<VolumeView>> OfAsync(IReadOnlyList<Volume> page, HttpContext context, VolumeStore store, CancellationToken ct)
    {
        var attachments = await store.AttachmentsAsync(page.Select(v => v.Id).ToList(), ct);
        var views = new List<VolumeView>();
        foreach (var volume in page)
        {
            views.Add(Of(volume, attachments[volume.Id], volume.Bootable ? await store.GlanceMetadataAsync(volume.Id, ct) : new Dictionary<string, string>(), context));
        }

        return views;
    }

    public static VolumeView Of(Volume v, IEnumerable<VolumeAttachment> attachments, IReadOnlyDictionary<string, string> imageMetadata, HttpContext context)
    {
        var (admin, version) = (context.Caller().IsAdmin, context.Microversion());
        return new(
            v.Id.ToString(), v.Name, v.Description, v.Status, v.SizeGib, v.UserId, v.CreatedAt.Microseconds(), v.UpdatedAt?.Microseconds(), LinksOf(v, context))
        {
            AvailabilityZone = v.AvailabilityZone,
            VolumeType = v.VolumeType,
            SnapshotId = v.SnapshotId?.ToString(),
            Metadata = v.Metadata,
            Attachments = attachments.Select(a => AttachmentView.Of(a, admin)).ToList(),
            Bootable = v.Bootable ? "true" : "false",
            Encrypted = v.Encrypted,
            Multiattach = v.Multiattach,
            MigrationStatus = admin ? v.MigrationStatus : null,
            TenantId = v.ProjectId,
            Host = admin ? v.Backend : null,
            VolumeImageMetadata = imageMetadata.Count > 0 ? imageMetadata : null,
            GroupId = version >= new Microversion(3, 13) ? Nothing : null,
            ConsumesQuota = version >= new Microversion(3, 65) ? true : null,
        };
    }

    public static IReadOnlyList<Link> LinksOf(Volume volume, HttpContext context) =>
        [Link.Self(context.Url($"/volume/v3/{context.Caller().ProjectId}/volumes/{volume.Id}")), new("bookmark", context.Url($"/volume/{context.Caller().ProjectId}/volumes/{volume.Id}"))];
}

/// <summary>A volume at a server.</summary>
internal sealed record AttachmentView(string Id, string VolumeId, string ServerId, string? Device, string? HostName)
{
    public static AttachmentView Of(VolumeAttachment a, bool admin) => new(a.Volume.ToString(), a.Volume.ToString(), a.Server.ToString(), a.DeviceName, admin ? a.Host : null);
}
