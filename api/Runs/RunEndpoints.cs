using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Servers;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Runs;

/// <summary>Our own way to ask for an image, and the only one to watch it being made and to stop it. A run has the id of its image.</summary>
internal static class RunEndpoints
{
    private const int DefaultPage = 25;
    private const int MaxPage = 1000;

    public static void MapRuns(this IEndpointRouteBuilder routes)
    {
        var runs = routes.MapGroup("/runs").RequireAuthorization();
        runs.MapPost("", CreateAsync).RepeatableByKey(Policies.CreateImage);
        runs.MapGet("", ListAsync);
        runs.MapGet("/{id}", ShowAsync);
        runs.MapPost("/{id}/cancel", CancelAsync);
        runs.MapPost("/{id}/restore", RestoreAsync).RepeatableByKey(Policies.RestoreRun);
    }

    private static async Task<Results<Accepted<StartedRun>, Ok<PlanView>>> CreateAsync(
        HttpContext context, ServerStore servers, ImageRuns runs, CancellationToken ct)
    {
        var request = CreateRunRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        if (request.DryRun)
        {
            return TypedResults.Ok(PlanView.Of(await runs.PlanAsync(await InputAsync(request, null, context, servers, ct), ct)));
        }

        var image = await StartAsync(request, key, context, servers, runs, ct);
        return TypedResults.Accepted($"/runs/{image}", StartedRun.Of(image, context));
    }

    /// <summary>Starts a run for the caller, and returns when it has accepted.</summary>
    public static async Task<ImageId> StartAsync(CreateRunRequest request, string? key, HttpContext context, ServerStore servers, ImageRuns runs, CancellationToken ct)
    {
        var input = await InputAsync(request, key, context, servers, ct);
        await runs.StartAsync(input, repeatable: key is not null, ct);
        return input.Image;
    }

    private static async Task<CreateImageInput> InputAsync(CreateRunRequest request, string? key, HttpContext context, ServerStore servers, CancellationToken ct)
    {
        var caller = context.Caller();
        var server = await servers.RequireAsync(request.Server.ToString(), caller, ct);
        context.Demand(Policies.CreateImage, PolicyTarget.Of(server.ProjectId, server.UserId));
        context.Demand(Policies.CreateVolumeBackedImage, PolicyTarget.Of(server.ProjectId, server.UserId));
        return new(
            IdempotencyKey.Image(key, caller), server.Id, request.Name, request.Metadata, caller, context.TraceIdentifier,
            request.Quiesce, request.FreezeDeadline, request.OnExpiry) { GlobalRequestId = RequestId.GlobalId(context.Request) };
    }

    private static async Task<Ok<RunList>> ListAsync(HttpContext context, RunStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(Policies.ReadRuns);
        var query = new ListQuery(context);
        query.RequireKnown("status", "all_projects", "limit", "marker");
        var everywhere = query.Switch("all_projects");
        if (everywhere && !context.May(Policies.ReadRunsOfAll, PolicyTarget.Of(caller.ProjectId)))
        {
            throw Fault.Forbidden("Policy doesn't allow all_projects to be used: it is for administrators.");
        }

        RunStatus? status = query.Text("status") is not { } text ? null
            : EnumText.TryParse<RunStatus>(text, out var known) ? known
            : throw ListQuery.Invalid("status", text, $"Known are {string.Join(", ", Enum.GetValues<RunStatus>().Select(s => s.ToText()))}");
        var page = new Page(
            query.Limit(DefaultPage, MaxPage), query.Marker(marker => Fault.BadRequest($"There is no run with the id {marker} to continue the list after.")));
        var runs = await store.ListAsync(everywhere ? null : caller.ProjectId, new(Status: status), page, ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && runs.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(runs[^1].ImageId)))] : null;
        return TypedResults.Ok(new RunList(runs.Select(r => RunView.Of(r, null, context)).ToList(), links));
    }

    private static async Task<Ok<RunView>> ShowAsync(string id, HttpContext context, RunStore store, ImageRuns runs, CancellationToken ct)
    {
        var run = await RequireAsync(store, id, context.Caller(), ct);
        context.Demand(Policies.ReadRuns, PolicyTarget.Of(run.ProjectId, run.UserId));
        var live = run.Status is RunStatus.Running ? await runs.ProgressAsync(run.ImageId, ct) : null;
        return TypedResults.Ok(RunView.Of(run, live, context));
    }

    private static async Task<Accepted<StartedRun>> CancelAsync(string id, HttpContext context, RunStore store, ImageRuns runs, CancellationToken ct)
    {
        var run = await RequireAsync(store, id, context.Caller(), ct);
        context.Demand(Policies.CancelRun, PolicyTarget.Of(run.ProjectId, run.UserId));
        return run.Status is RunStatus.Running && await runs.CancelAsync(run.ImageId, ct)
            ? TypedResults.Accepted($"/runs/{run.ImageId}", StartedRun.Of(run.ImageId, context))
            : throw Fault.Conflict($"Run {run.ImageId} is over, there is nothing to cancel: see GET /runs/{run.ImageId}.");
    }

    /// <summary>A set of new volumes from the image: all of them, or none.</summary>
    private static async Task<Accepted<StartedRestore>> RestoreAsync(string id, HttpContext context, ImageStore images, ResourceRuns runs, CancellationToken ct)
    {
        var caller = context.Caller();
        var request = RestoreRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        var image = ImageId.TryParse(id, null, out var known) ? await images.FindVisibleAsync(known, caller, ct) : null;
        if (image is null)
        {
            throw Fault.NotFound($"No image found with ID {id}");
        }

        context.Demand(Policies.RestoreRun);
        var operation = key is null ? OperationId.New() : DeterministicId.Operation(caller.ProjectId, key);
        var acceptance = await runs.RestoreAsync(new(operation, image.Id, request.Name, caller, context.TraceIdentifier), ct);
        return TypedResults.Accepted(
            $"/operations/{operation}",
            new StartedRestore(operation, acceptance.Volumes.Select(RestoredVolumeView.Of).ToList(), [Link.Self(context.Url($"/operations/{operation}"))]));
    }

    private static async Task<RunRecord> RequireAsync(RunStore store, string id, Caller caller, CancellationToken ct) =>
        ImageId.TryParse(id, null, out var image) && await store.FindVisibleAsync(image, caller, ct) is { } run
            ? run
            : throw Fault.NotFound($"Run {id} could not be found.");

    private sealed record StartedRun(ImageId ImageId, IReadOnlyList<Link> Links)
    {
        public static StartedRun Of(ImageId image, HttpContext context) => new(image, RunView.LinksOf(image, context));
    }

    private sealed record StartedRestore(OperationId OperationId, IReadOnlyList<RestoredVolumeView> Volumes, IReadOnlyList<Link> Links);

    private sealed record RunList(
        IReadOnlyList<RunView> Runs, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? RunsLinks);
}
