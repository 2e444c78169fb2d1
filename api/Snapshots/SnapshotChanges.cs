using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>Name and description of a snapshot, and what is told of a change.</summary>
internal sealed class SnapshotChanges(SnapshotStore snapshots, VolumeStore volumes, NotificationStore notifications, Database database, TimeProvider time)
{
    /// <summary>At least one of name and description, and nothing else. Source: Cinder, schema of snapshot update.</summary>
    public async Task<Ok<SnapshotEndpoints.OneSnapshot>> UpdateAsync(string id, HttpContext context, CancellationToken ct)
    {
        var field = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object(required: ["snapshot"], optional: [])["snapshot"];
        var members = field.Object(required: [], optional: ["name", "description", "display_name", "display_description"]);
        if (members.Count == 0)
        {
            throw field.Invalid("{} does not have enough properties");
        }

        var (name, description) = (SnapshotFields.Text(members, "name", "display_name"), SnapshotFields.Text(members, "description", "display_description"));
        var snapshot = await snapshots.RequireAsync(id, context.Caller(), ct);
        context.Demand(Policies.UpdateSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        var updated = await ApplyAsync(snapshot.Id, "update", (session, _, now) => snapshots.DescribeAsync(session, snapshot.Id, name, description, now), ct);
        return TypedResults.Ok(new SnapshotEndpoints.OneSnapshot(SnapshotView.Changed(updated, context.Microversion())));
    }

    /// <summary>Changes a snapshot and tells of it, in one transaction: <c>snapshot.&lt;happened&gt;.start</c> as it was, <c>.end</c> as it is.</summary>
    /// <param name="id">The snapshot.</param>
    /// <param name="happened">The event.</param>
    /// <param name="change">Gets the snapshot as it is, which nobody else changes meanwhile; false when it is gone.</param>
    /// <param name="ct">Gives up.</param>
    public async Task<Snapshot> ApplyAsync(SnapshotId id, string happened, Func<Session, Snapshot, DateTimeOffset, Task<bool>> change, CancellationToken ct) => await database.WriteAsync(
        async session =>
        {
            var now = time.GetUtcNow();
            var before = await snapshots.LockAsync(session, id);
            if (before is null || !await change(session, before, now))
            {
                throw Fault.NotFound($"Snapshot {id} could not be found.");
            }

            var after = await snapshots.LockAsync(session, id) ?? before with { Status = SnapshotStatus.Deleted };
            if ((await volumes.FindAsync(session, [before.VolumeId])).SingleOrDefault() is { } volume)
            {
                await notifications.AddAsync(session, [Notification.OfSnapshot($"{happened}.start", before, volume, now), Notification.OfSnapshot($"{happened}.end", after, volume, now)]);
            }

            return after;
        },
        ct);
}
