using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>A volume snapshot in the summary list: nine members in every microversion. Source: Cinder API v3.</summary>
internal record SnapshotSummary(
    string Id,
    string? Name,
    string? Description,
    string VolumeId,
    string Status,
    int Size,
    IReadOnlyDictionary<string, string> Metadata,
    string CreatedAt,
    string? UpdatedAt)
{
    protected SnapshotSummary(Snapshot s) : this(
        s.Id.ToString(),
        s.Name,
        s.Description,
        s.VolumeId.ToString(),
        s.Status.ToText(),
        s.SizeGib,
        s.Metadata,
        s.CreatedAt.Microseconds(),
        s.UpdatedAt?.Microseconds())
    {
    }

    public static SnapshotSummary Of(Snapshot snapshot) => new(snapshot);
}

/// <summary>A volume snapshot in the detailed list, and on its own. What a microversion does not know yet is not there: clients refuse members they do not know.</summary>
internal sealed record SnapshotView : SnapshotSummary
{
    private static readonly JsonElement Nothing = JsonSerializer.SerializeToElement<object?>(null);

    private SnapshotView(Snapshot s, Microversion version, bool extended) : base(s)
    {
        Progress = extended ? $"{s.ProgressPercent}%" : null;
        ProjectId = extended ? s.ProjectId : null;
        GroupSnapshotId = version >= new Microversion(3, 14) ? Nothing : null;
        UserId = version >= new Microversion(3, 41) ? s.UserId : null;
        ConsumesQuota = version >= new Microversion(3, 65) ? s.ConsumesQuota : null;
    }

    [JsonPropertyName("os-extended-snapshot-attributes:progress")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Progress { get; }

    [JsonPropertyName("os-extended-snapshot-attributes:project_id")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ProjectId { get; }

    /// <summary>From 3.14; null, as no snapshot of ours belongs to a group.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? GroupSnapshotId { get; }

    /// <summary>From 3.41.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? UserId { get; }

    /// <summary>From 3.65.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ConsumesQuota { get; }

    /// <summary>As it is shown, and in the detailed list.</summary>
    public static SnapshotView Of(Snapshot snapshot, Microversion version) => new(snapshot, version, extended: true);

    /// <summary>As the answer to its creation or update: without the extended attributes.</summary>
    public static SnapshotView Changed(Snapshot snapshot, Microversion version) => new(snapshot, version, extended: false);
}
