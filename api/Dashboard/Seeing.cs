using SnapshotFlow.Api.Dashboard.Live;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Identity.Sessions;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>Who sees what: the API's own rules, no others.</summary>
internal static class Seeing
{
    /// <summary>Who looks.</summary>
    public static Viewer Viewer(this HttpContext context)
    {
        var token = context.Token();
        return new(
            token.UserName ?? token.UserId, token.ProjectName ?? token.ProjectId ?? "no project", context.SeesAll(), context.May(Policies.CreateImage, Own(context)),
            SessionCookie.ProofOf(SessionCookie.TokenOf(context)!));
    }

    /// <summary>What is there to be seen; 403 for who may not see runs at all.</summary>
    public static Sight Sight(this HttpContext context)
    {
        context.Demand(Policies.ReadRuns);
        return new(
            context.SeesAll() ? null : context.Caller().ProjectId,
            context.May(Policies.ShowVolumeQuota, Own(context)),
            context.May(Policies.ListFindings, Own(context)),
            new(
                context.SeesAll() && context.Caller().IsAdmin ? null : context.Caller().ProjectId,
                context.May(Policies.ReadOperations, Own(context)), context.May(Policies.ListSnapshots, Own(context))));
    }

    /// <summary>The run of this id; 404 when there is none, or it is another project's.</summary>
    public static async Task<RunRecord> RunAsync(this HttpContext context, string id, RunStore store, CancellationToken ct)
    {
        var run = ImageId.TryParse(id, null, out var image) ? await store.FindVisibleAsync(image, context.Caller(), ct) : null;
        if (run is null)
        {
            throw Fault.NotFound($"Run {id} could not be found.");
        }

        context.Demand(Policies.ReadRuns, PolicyTarget.Of(run.ProjectId, run.UserId));
        return run;
    }

    private static bool SeesAll(this HttpContext context) => context.May(Policies.ReadRunsOfAll, Own(context));

    private static PolicyTarget Own(HttpContext context) => PolicyTarget.Of(context.Token().ProjectId ?? "", context.Token().UserId);
}
