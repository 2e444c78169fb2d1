using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Snapshots;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>Name, description and metadata of a volume. Source: Cinder API v3.</summary>
internal sealed class VolumeChanges(VolumeStore volumes, Database database, TimeProvider time)
{
    /// <summary>At least one of name, description and metadata, and nothing else. Metadata is replaced. Source: Cinder, schema of volume update.</summary>
    public async Task<Ok<VolumeEndpoints.OneVolume>> UpdateAsync(string id, HttpContext context, CancellationToken ct)
    {
        var field = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["volume"], optional: [])["volume"];
        var members = field.Object(required: [], optional: ["name", "description", "display_name", "display_description", "metadata"]);
        if (members.Count == 0)
        {
            throw field.Invalid("{} does not have enough properties");
        }

        var (name, description) = (SnapshotFields.Text(members, "name", "display_name"), SnapshotFields.Text(members, "description", "display_description"));
        var metadata = members.TryGetValue("metadata", out var pairs) ? SnapshotFields.Metadata(pairs) : null;
        var volume = await volumes.RequireAsync(id, context, Policies.UpdateVolume, ct);
        var updated = await ApplyAsync(
            volume.Id,
            async (session, before, now) =>
            {
                if (before.Status == VolumeStatus.Maintenance)
                {
                    throw Fault.BadRequest("Invalid volume: The volume cannot be updated during maintenance.");
                }

                await volumes.DescribeAsync(session, before.Id, name, description, metadata, now);
            },
            ct);
        return TypedResults.Ok(new VolumeEndpoints.OneVolume((await VolumeView.OfAsync([updated], context, volumes, ct)).Single()));
    }

    /// <summary>Changes a volume while nobody else does; answers what it is afterwards.</summary>
    public Task<Volume> ApplyAsync(VolumeId id, Func<Session, Volume, DateTimeOffset, Task> change, CancellationToken ct) => database.WriteAsync(
        async session =>
        {
            var before = await volumes.LockAsync(session, id) ?? throw Fault.NotFound($"Volume {id} could not be found.");
            await change(session, before, time.GetUtcNow());
            return (await volumes.LockAsync(session, id))!;
        },
        ct);
}
