using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>The actions of a volume that are about its record: <c>os-reset_status</c>, <c>os-force_delete</c>, <c>os-set_bootable</c>. Source: Cinder API v3.</summary>
internal sealed class VolumeActions(VolumeChanges changes, VolumeStore volumes, ResourceRuns runs)
{
    private static readonly string[] Booleans = ["True", "true", "TRUE", "1", "on", "yes", "False", "false", "FALSE", "0", "off", "no"];

    public async Task<IResult> ActAsync(string id, HttpContext context, CancellationToken ct)
    {
        var body = await JsonBody.ReadAsync(context.Request, ct);
        if (body.ValueKind is not JsonValueKind.Object || body.EnumerateObject().Take(2).ToList() is not [var action])
        {
            throw Fault.BadRequest("Malformed request body");
        }

        var field = new JsonField(action.Name, action.Value);
        (string Rule, int Status, Func<Volume, Task> Act) asked = action.Name switch
        {
            "os-reset_status" => (Policies.ResetVolumeStatus, StatusCodes.Status202Accepted, Reset(field, ct)),
            "os-force_delete" => (Policies.ForceDeleteVolume, StatusCodes.Status202Accepted, ForceDelete(field, context, ct)),
            "os-set_bootable" => (Policies.SetBootable, StatusCodes.Status200OK, Bootable(field, ct)),
            _ => throw Fault.BadRequest($"There is no such action: {action.Name}"),
        };
        var volume = await volumes.RequireAsync(id, context, asked.Rule, ct);
        await asked.Act(volume);
        return TypedResults.StatusCode(asked.Status);
    }

    private Func<Volume, Task> ForceDelete(JsonField field, HttpContext context, CancellationToken ct)
    {
        field.RequireNothing();
        return volume => runs.DeleteVolumeAsync(new(volume.Id, Force: true, context.Caller(), context.TraceIdentifier), ct);
    }

    /// <summary>Any status but deleted, whatever it was: neither back end nor quota hear of it.</summary>
    private Func<Volume, Task> Reset(JsonField field, CancellationToken ct)
    {
        var members = field.Object(required: [], optional: ["status", "attach_status", "migration_status"]);
        if (members.TryGetValue("attach_status", out var attached) && !attached.IsNull)
        {
            throw attached.Invalid("What a volume is attached to is registered with its server, by an administrator");
        }

        var status = members.TryGetValue("status", out var given) && !given.IsNull ? Status(given) : null;
        Changed<string?>? migration = members.TryGetValue("migration_status", out var progress)
            ? new(progress.IsNull || progress.Text() == "none" ? null : progress.OneOf(["migrating", "error", "success", "completing", "starting"]))
            : null;
        return status is null && migration is null
            ? throw Fault.BadRequest("Must specify 'status' or 'migration_status' for update.")
            : volume => changes.ApplyAsync(volume.Id, (session, before, now) => volumes.ResetAsync(session, before.Id, status, migration, null, now), ct);
    }

    private Func<Volume, Task> Bootable(JsonField field, CancellationToken ct)
    {
        var given = field.Object(required: ["bootable"], optional: [])["bootable"];
        var bootable = given.Value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? given.Boolean()
            : given.OneOf(Booleans.ToDictionary(w => w, w => w.ToLowerInvariant() is "true" or "1" or "on" or "yes"));
        return volume => changes.ApplyAsync(
            volume.Id,
            (session, before, now) => before.Status == VolumeStatus.Maintenance
                ? throw Fault.BadRequest("Invalid volume: The volume cannot be updated during maintenance.")
                : volumes.ResetAsync(session, before.Id, null, null, bootable, now),
            ct);
    }

    private static string Status(JsonField field)
    {
        var text = field.Text().ToLowerInvariant();
        return VolumeStatus.All.Contains(text)
            ? text
            : throw field.Invalid($"{JsonField.Represented(field.Value)} is not one of [{string.Join(", ", VolumeStatus.All.Select(JsonField.Quoted))}]");
    }
}
