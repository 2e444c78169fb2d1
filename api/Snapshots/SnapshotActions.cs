using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>
/// The actions of a snapshot: <c>os-reset_status</c>, <c>os-force_delete</c>, <c>os-update_snapshot_status</c>, <c>os-unmanage</c>. Source: Cinder API v3.
/// </summary>
internal sealed class SnapshotActions(SnapshotChanges changes, SnapshotStore snapshots, VolumeStore volumes, ImageStore images, ResourceRuns runs)
{
    public async Task<Accepted> ActAsync(string id, HttpContext context, CancellationToken ct)
    {
        var body = await JsonBody.ReadAsync(context.Request, ct);
        if (body.ValueKind is not JsonValueKind.Object || body.EnumerateObject().Take(2).ToList() is not [var action])
        {
            throw Fault.BadRequest("Malformed request body");
        }

        var field = new JsonField(action.Name, action.Value);
        (string Rule, Func<Snapshot, Task> Act) asked = action.Name switch
        {
            "os-reset_status" => (Policies.ResetSnapshotStatus, Reset(field, ct)),
            "os-update_snapshot_status" => (Policies.UpdateSnapshotStatus, Report(field, ct)),
            "os-force_delete" => (Policies.ForceDeleteSnapshot, Plain(field, s => runs.DeleteSnapshotAsync(new(s.Id, Force: true, context.Caller(), context.TraceIdentifier), ct))),
            "os-unmanage" => (Policies.UnmanageSnapshot, Plain(field, s => changes.ApplyAsync(s.Id, "delete", UnmanageAsync, ct))),
            _ => throw Fault.BadRequest($"There is no such action: {action.Name}"),
        };
        var found = await snapshots.RequireAsync(id, context.Caller(), ct);
        context.Demand(asked.Rule, PolicyTarget.Of(found.ProjectId, found.UserId));
        await asked.Act(found);
        return TypedResults.Accepted((string?)null);
    }

    private static Func<Snapshot, Task> Plain(JsonField field, Func<Snapshot, Task> act)
    {
        field.RequireNothing();
        return act;
    }

    /// <summary>Any status but deleted, whatever it was: neither back end nor quota hear of it.</summary>
    private Func<Snapshot, Task> Reset(JsonField field, CancellationToken ct)
    {
        var status = Status(field.Object(required: ["status"], optional: [])["status"]);
        // Cinder writes deleted and keeps the row among the living.
        return status is SnapshotStatus.Deleted
            ? throw Fault.BadRequest("Invalid input received: A snapshot becomes deleted by being deleted: use os-force_delete.")
            : snapshot => changes.ApplyAsync(
                snapshot.Id, "reset_status", (session, _, now) => snapshots.MoveAsync(session, snapshot.Id, status, now, Enum.GetValues<SnapshotStatus>()), ct);
    }

    /// <summary>What whoever makes or deletes it says of its progress.</summary>
    private Func<Snapshot, Task> Report(JsonField field, CancellationToken ct)
    {
        var members = field.Object(required: ["status"], optional: ["progress"]);
        var status = Status(members["status"]);
        int? progress = members.TryGetValue("progress", out var given) ? Progress(given) : null;
        SnapshotStatus? from = status switch
        {
            SnapshotStatus.Creating or SnapshotStatus.Available or SnapshotStatus.Error => SnapshotStatus.Creating,
            SnapshotStatus.Deleting or SnapshotStatus.ErrorDeleting => SnapshotStatus.Deleting,
            _ => null,
        };
        return snapshot => changes.ApplyAsync(
            snapshot.Id, "update",
            async (session, before, now) =>
            {
                if (before.Status != from)
                {
                    throw Fault.BadRequest($"Snapshot status {before.Status.ToText()} not allowed for update_snapshot_status to {status.ToText()}");
                }

                if (progress is { } percent)
                {
                    await snapshots.SetProgressAsync(session, snapshot.Id, percent, now);
                }

                return await snapshots.MoveAsync(session, snapshot.Id, status, now, before.Status);
            },
            ct);
    }

    /// <summary>Forgets a snapshot, and its back end keeps it. What an image is made of is not given up.</summary>
    private async Task<bool> UnmanageAsync(Session session, Snapshot before, DateTimeOffset now)
    {
        if ((await volumes.FindAsync(session, [before.VolumeId])).Any(v => v.Frozen))
        {
            throw Fault.BadRequest(VolumeSnapshotRules.Frozen);
        }

        if (before.Status is not (SnapshotStatus.Available or SnapshotStatus.Error))
        {
            throw Fault.BadRequest("Invalid snapshot: Snapshot status must be available or error and must not be part of a group.");
        }

        if (before.ImageId is { } id && await images.FindAsync(session, id) is not null)
        {
            throw Fault.Conflict($"Invalid snapshot: Snapshot {before.Id} is part of an image: delete the image first, with keep_snapshots.");
        }

        return await snapshots.UnmanageAsync(session, before.Id, now);
    }

    private static SnapshotStatus Status(JsonField field) => EnumText.TryParse<SnapshotStatus>(field.Text().ToLowerInvariant(), out var status)
        ? status
        : throw field.Invalid($"{JsonField.Represented(field.Value)} is not one of [{string.Join(", ", Enum.GetValues<SnapshotStatus>().Select(s => JsonField.Quoted(s.ToText())))}]");

    private static int Progress(JsonField field) =>
        field.Text() is [.. { Length: > 0 and <= 3 } digits, '%'] && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var percent) && percent <= 100
            ? percent
            : throw field.Invalid("It must be a percentage from 0% to 100%");
}
