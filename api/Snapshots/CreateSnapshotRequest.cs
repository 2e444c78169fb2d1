using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>The body <c>{"snapshot": {"volume_id": "…", …}}</c>. Source: Cinder, schema of snapshot creation.</summary>
/// <param name="Volume">Null when the caller says null, which no volume is.</param>
/// <param name="Force">Null when it is not said.</param>
/// <param name="Name">Stripped; <c>display_name</c> will do.</param>
/// <param name="Description">Stripped; null for none.</param>
/// <param name="Metadata">None by default.</param>
internal sealed record CreateSnapshotRequest(VolumeId? Volume, bool? Force, string? Name, string? Description, IReadOnlyDictionary<string, string> Metadata)
{
    private static readonly Microversion ForceGone = new(3, 66);

    public static CreateSnapshotRequest Parse(JsonElement body)
    {
        var snapshot = new JsonField("body", body).Object(required: ["snapshot"], optional: [])["snapshot"];
        var members = snapshot.Object(required: ["volume_id"], optional: ["force", "name", "display_name", "description", "metadata"]);
        return new(
            members["volume_id"].OptionalId<VolumeId>(),
            members.TryGetValue("force", out var force) ? SnapshotFields.Force(force) : null,
            SnapshotFields.Text(members, "name", "display_name")?.To,
            members.TryGetValue("description", out var description) ? description.OptionalText(SnapshotFields.MaxLength)?.Trim() : null,
            members.TryGetValue("metadata", out var metadata) ? SnapshotFields.OptionalMetadata(metadata) : new Dictionary<string, string>());
    }

    /// <summary>Whether an attached volume will do. From 3.66 on it always does, and saying otherwise is a mistake; saying so is not. Source: Cinder.</summary>
    public bool AllowInUse(Microversion version) =>
        version < ForceGone ? Force ?? false
        : Force is false ? throw Fault.BadRequest("The force option is invalid since microversion 3.66: snapshots of attached volumes are made without it. Leave it out.")
        : true;
}
