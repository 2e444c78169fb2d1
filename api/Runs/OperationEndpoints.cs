using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Runs;

/// <summary>What is done to images after they were made, and what became of it: deletions and restores.</summary>
internal static class OperationEndpoints
{
    private const int DefaultPage = 25;
    private const int MaxPage = 1000;

    public static void MapOperations(this IEndpointRouteBuilder routes)
    {
        var operations = routes.MapGroup("/operations").RequireAuthorization();
        operations.MapGet("", ListAsync);
        operations.MapGet("/{id}", ShowAsync);
        operations.MapPost("/{id}/cancel", CancelAsync);
    }

    private static async Task<Ok<OperationList>> ListAsync(HttpContext context, OperationStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ReadOperations);
        var query = new ListQuery(context);
        query.RequireKnown("image_id", "all_projects", "limit", "marker");
        ImageId? image = query.Text("image_id") is not { } text ? null
            : ImageId.TryParse(text, null, out var known) ? known
            : throw ListQuery.Invalid("image_id", text, "It is not a UUID");
        var page = new Page(
            query.Limit(DefaultPage, MaxPage), query.Marker(marker => Fault.BadRequest($"There is no operation with the id {marker} to continue the list after.")));
        var found = await store.ListAsync(query.Switch("all_projects") && caller.IsAdmin ? null : caller.ProjectId, image, page, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && found.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(found[^1].Id)))] : null;
        return TypedResults.Ok(new OperationList(found.Select(o => OperationView.Of(o, context)).ToList(), links));
    }

    private static async Task<Ok<OperationView>> ShowAsync(string id, HttpContext context, OperationStore store, CancellationToken ct)
    {
        var operation = await RequireAsync(store, id, context.Caller(), ct);
        context.Demand(Policies.ReadOperations, PolicyTarget.Of(operation.ProjectId, operation.UserId));
        return TypedResults.Ok(OperationView.Of(operation, context));
    }

    private static async Task<Accepted<OperationView>> CancelAsync(string id, HttpContext context, OperationStore store, ResourceRuns runs, CancellationToken ct)
    {
        var operation = await RequireAsync(store, id, context.Caller(), ct);
        context.Demand(Policies.CancelOperation, PolicyTarget.Of(operation.ProjectId, operation.UserId));
        if (operation.Kind is OperationKind.DeleteImage)
        {
            throw Fault.Conflict($"Operation {id} deletes an image: a deletion that has begun goes forward, it cannot be cancelled.");
        }

        return operation.Status is RunStatus.Running && await runs.CancelRestoreAsync(operation.Id, ct)
            ? TypedResults.Accepted($"/operations/{operation.Id}", OperationView.Of(operation, context))
            : throw Fault.Conflict($"Operation {id} is over, there is nothing to cancel.");
    }

    private static async Task<Operation> RequireAsync(OperationStore store, string id, Caller caller, CancellationToken ct) =>
        OperationId.TryParse(id, null, out var known) && await store.FindVisibleAsync(known, caller, ct) is { } found
            ? found
            : throw Fault.NotFound($"Operation {id} could not be found.");

    private sealed record OperationList(
        IReadOnlyList<OperationView> Operations, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? OperationsLinks);
}

/// <summary>A deletion or a restore.</summary>
internal sealed record OperationView(
    OperationId Id,
    OperationKind Kind,
    ImageId ImageId,
    string ProjectId,
    string UserId,
    string RequestId,
    RunStatus Status,
    ReasonView? Reason,
    IReadOnlyList<RestoredVolumeView> Volumes,
    IReadOnlyList<Leftover> Leftovers,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt,
    IReadOnlyList<Link> Links)
{
    public static OperationView Of(Operation o, HttpContext context) => new(
        o.Id, o.Kind, o.ImageId, o.ProjectId, o.UserId, o.RequestId, o.Status, o.Reason is { } reason ? new(reason.Kind, reason.Message) : null,
        o.Volumes.Select(RestoredVolumeView.Of).ToList(), o.Leftovers, o.StartedAt, o.EndedAt, [Link.Self(context.Url($"/operations/{o.Id}"))]);
}
