using System.Net.ServerSentEvents;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Dashboard.Live;
using SnapshotFlow.Api.Dashboard.Pages;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Identity.Sessions;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>The pages for people: what runs now and what became of the rest. They show what the API tells, under the API's rules.</summary>
internal static class DashboardEndpoints
{
    private const int PageLength = 50;
    private const int MostServers = 500;

    public static IServiceCollection AddDashboard(this IServiceCollection services) =>
        services.AddSingleton<RunAttempts>().AddSingleton<BoardReader>().AddSingleton<RunReader>().AddSingleton<LiveStream>();

    public static void MapDashboard(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Asset.Path, Asset.Serve).ExcludeFromDescription();
        var pages = routes.MapGroup("/dashboard").WithMetadata(new DashboardPage(), new BySession(SignInEndpoints.Path)).ExcludeFromDescription();
        pages.MapSignIn();
        var signedIn = pages.MapGroup("").RequireAuthorization();
        signedIn.MapGet("", NowAsync);
        signedIn.MapGet("/events", FollowNow);
        signedIn.MapGet("/runs", RunsAsync);
        signedIn.MapGet("/runs/{id}", RunAsync);
        signedIn.MapGet("/runs/{id}/events", FollowRunAsync);
        signedIn.MapPost("/runs/{id}/cancel", CancelAsync);
        signedIn.MapGet("/new", NewImageAsync);
        signedIn.MapPost("/new", CreateAsync);
    }

    private static async Task<ContentHttpResult> NowAsync(HttpContext context, BoardReader reader, CancellationToken ct) =>
        await context.PageAsync<NowPage>(new NowPage.Content(context.Viewer(), await reader.ReadAsync(context.Sight(), ct)));

    private static ServerSentEventsResult<string> FollowNow(HttpContext context, BoardReader reader, LiveStream stream, CancellationToken ct)
    {
        var sight = context.Sight();
        return Stream(context, stream.FollowAsync(async token =>
        {
            var board = await reader.ReadAsync(sight, token);
            List<Region> regions =
            [
                new("tallies", await context.RenderAsync<TalliesPart>(board)), new("frozen", await context.RenderAsync<FrozenPart>(board)),
                new("running", await context.RenderAsync<RunningPart>(board)), new("recent", await context.RenderAsync<RecentPart>(board)),
                new("other", await context.RenderAsync<OtherPart>(board)),
            ];
            if (sight.Findings)
            {
                regions.Add(new("findings", await context.RenderAsync<FindingsPart>(board)));
            }

            if (sight.Quota)
            {
                regions.Add(new("quota", await context.RenderAsync<QuotaPart>(board)));
            }

            return new Frame(regions);
        }, ct));
    }

    private static async Task<ContentHttpResult> RunsAsync(HttpContext context, RunStore store, BoardReader reader, TimeProvider time, CancellationToken ct)
    {
        var sight = context.Sight();
        var query = new ListQuery(context);
        query.RequireKnown("status", "marker");
        RunStatus? status = query.Text("status") is not { } text ? null
            : EnumText.TryParse<RunStatus>(text, out var known) ? known
            : throw ListQuery.Invalid("status", text, $"Known are {string.Join(", ", Enum.GetValues<RunStatus>().Select(s => s.ToText()))}");
        var marker = query.Marker(m => Fault.BadRequest($"There is no run with the id {m} to continue the list after."));
        var runs = await store.ListAsync(sight.Project, new(Status: status), new(PageLength, marker), ct);
        var next = runs.Count == PageLength ? query.NextPage(runs[^1].ImageId) : null;
        return await context.PageAsync<AllRunsPage>(new AllRunsPage.Content(context.Viewer(), time.GetUtcNow(), await reader.NowAsync(runs, ct), status, next));
    }

    private static async Task<ContentHttpResult> RunAsync(string id, HttpContext context, RunStore store, RunReader reader, CancellationToken ct)
    {
        var run = await context.RunAsync(id, store, ct);
        return await context.PageAsync<RunPage>(
            new RunPage.Content(context.Viewer(), await reader.ReadAsync(run.ImageId, ct), context.May(Policies.CancelRun, PolicyTarget.Of(run.ProjectId, run.UserId))));
    }

    private static async Task<ServerSentEventsResult<string>> FollowRunAsync(string id, HttpContext context, RunStore store, RunReader reader, LiveStream stream, CancellationToken ct)
    {
        var run = await context.RunAsync(id, store, ct);
        return Stream(context, stream.FollowAsync(async token =>
        {
            var detail = await reader.ReadAsync(run.ImageId, token);
            return new Frame(
                [
                    new("summary", await context.RenderAsync<RunSummary>(detail)), new("timeline", await context.RenderAsync<TimelinePart>(detail)),
                    new("evidence", await context.RenderAsync<EvidencePart>(detail)), new("left", await context.RenderAsync<LeftoversPart>(detail)),
                    new("retries", await context.RenderAsync<RetriesPart>(detail)),
                ],
                Last: detail.Run.Record.EndedAt is not null);
        }, ct));
    }

    private static async Task<RedirectHttpResult> CancelAsync(string id, HttpContext context, RunStore store, ImageRuns runs, CancellationToken ct)
    {
        await SameOrigin.FormAsync(context, ct);
        var run = await context.RunAsync(id, store, ct);
        context.Demand(Policies.CancelRun, PolicyTarget.Of(run.ProjectId, run.UserId));
        return run.Status is RunStatus.Running && await runs.CancelAsync(run.ImageId, ct)
            ? TypedResults.LocalRedirect($"~/dashboard/runs/{run.ImageId}")
            : throw Fault.Conflict($"The run for “{run.Name}” is over, there is nothing to cancel.");
    }

    private static async Task<ContentHttpResult> NewImageAsync(HttpContext context, ServerStore servers, CancellationToken ct)
    {
        context.Demand(Policies.CreateImage);
        return await FormAsync(context, servers, null, null, QuiesceMode.Try.ToText(), null, StatusCodes.Status200OK, ct);
    }

    /// <summary>The same as <c>POST /runs</c>, from a form.</summary>
    private static async Task<Results<RedirectHttpResult, ContentHttpResult>> CreateAsync(HttpContext context, ServerStore servers, ImageRuns runs, CancellationToken ct)
    {
        var form = await SameOrigin.FormAsync(context, ct);
        var asked = new { server_id = form["server_id"].ToString(), name = form["name"].ToString(), quiesce = form["quiesce"] is [{ Length: > 0 } said] ? said : QuiesceMode.Try.ToText() };
        context.Demand(Policies.CreateImage);
        try
        {
            return TypedResults.LocalRedirect($"~/dashboard/runs/{await RunEndpoints.StartAsync(CreateRunRequest.Parse(JsonSerializer.SerializeToElement(asked)), null, context, servers, runs, ct)}");
        }
        catch (Exception e) when (e is Fault { Status: < 500 } or SnapshotFlowException { Kind: ErrorKind.InvalidRequest })
        {
            return await FormAsync(context, servers, asked.server_id, asked.name, asked.quiesce, e.Message, e is Fault fault ? fault.Status : StatusCodes.Status400BadRequest, ct);
        }
    }

    private static async Task<ContentHttpResult> FormAsync(
        HttpContext context, ServerStore servers, string? server, string? name, string quiesce, string? error, int status, CancellationToken ct) =>
        await context.PageAsync<NewImagePage>(
            new NewImagePage.Form(context.Viewer(), await servers.ListAsync(context.Caller().ProjectId, new Page(MostServers), ct), server, name, quiesce, error), status);

    private static ServerSentEventsResult<string> Stream(HttpContext context, IAsyncEnumerable<SseItem<string>> events)
    {
        // Proxies must pass each event on at once. Source: nginx, X-Accel-Buffering.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        return TypedResults.ServerSentEvents(events);
    }
}
