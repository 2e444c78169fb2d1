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

/// <summary>The actions of a snapshot: <c>os-reset_status</c>, <c>os-force_delete</c>, <c>os-update_snapshot_status</c>. Source: Cinder API v3.</summary>
internal static class SnapshotActions
{
    private const string ResetStatus = "os-reset_status";
    private const string ForceDelete = "os-force_delete";
    private const string UpdateStatus = "os-update_snapshot_status";

    public static async Task<Accepted> ActAsync(
        string id, HttpContext context, SnapshotStore store, VolumeStore volumes, NotificationStore notifications, Database database, TimeProvider time, ResourceRuns runs, CancellationToken ct)
    {
        var body = await JsonBody.ReadAsync(context.Request, ct);
        if (body.ValueKind is not JsonValueKind.Object || body.EnumerateObject().Take(2).ToList() is not [var action])
        {
            throw Fault.BadRequest("Malformed request body");
        }

        var field = new JsonField(action.Name, action.Value);
        Func<Snapshot, Task> act = action.Name switch
        {
            ResetStatus => Reset(field),
            ForceDelete => field.IsNull || (field.Value.ValueKind is JsonValueKind.Object && field.Members().Count == 0)
                ? snapshot => runs.DeleteSnapshotAsync(new(snapshot.Id, Force: true, context.Caller(), context.TraceIdentifier), ct)
                : throw field.Invalid("It must be null or {}"),
            UpdateStatus => Update(field),
            _ => throw Fault.BadRequest($"There is no such action: {action.Name}"),
        };
        var rule = action.Name switch { ResetStatus => Policies.ResetSnapshotStatus, ForceDelete => Policies.ForceDeleteSnapshot, _ => Policies.UpdateSnapshotStatus };
        var found = await store.RequireAsync(id, context.Caller(), ct);
        context.Demand(rule, PolicyTarget.Of(found.ProjectId, found.UserId));
        await act(found);
        return TypedResults.Accepted((string?)null);

        Task ChangeAsync(Snapshot snapshot, string happened, Func<Session, DateTimeOffset, Task<bool>> change) =>
            SnapshotChanges.ChangeAsync(snapshot, happened, store, volumes, notifications, database, time, change, ct);

        Func<Snapshot, Task> Reset(JsonField asked)
        {
            var status = Status(asked.Object(required: ["status"], optional: [])["status"]);
            if (status is SnapshotStatus.Deleted)
            {
                // Cinder writes it and keeps the row among the living.
                throw Fault.BadRequest($"Invalid input received: A snapshot becomes deleted by being deleted: use {ForceDelete}.");
            }

            return snapshot => ChangeAsync(snapshot, "reset_status", (session, now) => store.MoveAsync(session, snapshot.Id, status, now, Enum.GetValues<SnapshotStatus>()));
        }

        Func<Snapshot, Task> Update(JsonField asked)
        {
            var members = asked.Object(required: ["status"], optional: ["progress"]);
            var status = Status(members["status"]);
            int? progress = members.TryGetValue("progress", out var given) ? Progress(given) : null;
            SnapshotStatus? from = status switch
            {
                SnapshotStatus.Creating or SnapshotStatus.Available or SnapshotStatus.Error => SnapshotStatus.Creating,
                SnapshotStatus.Deleting or SnapshotStatus.ErrorDeleting => SnapshotStatus.Deleting,
                _ => null,
            };
            return snapshot => from is not { } expected || snapshot.Status != expected
                ? throw Fault.BadRequest($"Snapshot status {snapshot.Status.ToText()} not allowed for update_snapshot_status to {status.ToText()}")
                : ChangeAsync(snapshot, "update", async (session, now) =>
                {
                    if (!await store.MoveAsync(session, snapshot.Id, status, now, expected))
                    {
                        throw Fault.BadRequest($"Snapshot {snapshot.Id} is not {expected.ToText()} any more.");
                    }

                    if (progress is { } percent)
                    {
                        await store.SetProgressAsync(session, snapshot.Id, percent, now);
                    }

                    return true;
                });
        }
    }

    private static SnapshotStatus Status(JsonField field) => EnumText.TryParse<SnapshotStatus>(field.Text().ToLowerInvariant(), out var status)
        ? status
        : throw field.Invalid($"{JsonField.Represented(field.Value)} is not one of [{string.Join(", ", Enum.GetValues<SnapshotStatus>().Select(s => JsonField.Quoted(s.ToText())))}]");

    private static int Progress(JsonField field) =>
        field.Text() is [.. { Length: > 0 and <= 3 } digits, '%'] && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var percent) && percent <= 100
            ? percent
            : throw field.Invalid("It must be a percentage from 0% to 100%");
}
