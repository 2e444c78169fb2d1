using System.Text.Json;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Runs;

/// <summary>The body of <c>POST /runs/{image_id}/restore</c>.</summary>
/// <param name="Name"><c>name</c>: what the volumes are called, followed by the device they were; null for the image's name.</param>
internal sealed record RestoreRequest(string? Name)
{
    public static RestoreRequest Parse(JsonElement body)
    {
        var members = new JsonField("body", body).Object(required: [], optional: ["name"]);
        return new(members.TryGetValue("name", out var name) ? name.OptionalText(255) : null);
    }
}

/// <summary>A volume that a restore makes.</summary>
internal sealed record RestoredVolumeView(VolumeId VolumeId, SnapshotId SnapshotId, string? DeviceName, int? BootIndex, int SizeGib)
{
    public static RestoredVolumeView Of(RestoredVolume v) => new(v.Volume, v.Snapshot, v.DeviceName, v.BootIndex, v.SizeGib);
}
