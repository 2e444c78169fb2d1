using System.Net;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Faults.World;
using SnapshotFlow.Workflows;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>
/// What must hold after every case, whatever happened: asked of the guest's journal, the back end's directory, the database and Temporal's history, and compared with
/// what the API says. What must be there in the end is the request's to say: <see cref="Requests.Request.JudgeAsync"/>.
/// </summary>
public sealed class Invariants(FaultStack world)
{
    /// <summary>How far a freeze may go over its deadline.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    /// <summary>How soon after the fault a run must be over.</summary>
    public static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(150);

    private DevelopmentStack Stack => world.Stack;

    /// <summary>Everything that does not hold after a run.</summary>
    /// <param name="run">The case, over.</param>
    /// <param name="unguarded">When guard and compute worker were both out of action, how long: nobody can thaw then.</param>
    /// <param name="settled">From the end of the fault to the end of the run.</param>
    /// <param name="ct">Gives up.</param>
    public async Task<CaseResult> JudgeAsync(RunningCase run, TimeSpan unguarded, TimeSpan settled, CancellationToken ct)
    {
        var findings = new Findings();

        // Same request, same result: asked first, so that whatever this would start is found below.
        var again = await run.AskAgainAsync(ct);
        findings.Check(run.Request.Agrees(run.Answer.Status, again.Status), $"once: the same request was answered {(int)run.Answer.Status} and then {(int)again.Status} {again.Body}");

        // Frozen neither too long nor for good.
        var guest = run.Server.Guest;
        var freezes = world.Recorder.Since(guest.Journal, run.Since);
        var over = freezes.Count == 0 ? (double?)null : freezes.Max(f => (f.Length - RunningCase.FreezeDeadline).TotalMilliseconds);
        findings.Check(over is null || over <= (Grace + unguarded).TotalMilliseconds, $"bounded freeze: {over:0} ms over the deadline");
        findings.Check(freezes.All(f => f.To is not null) && !await guest.AgentSaysFrozenAsync(ct), "at rest: the guest is frozen");
        findings.Check(!File.Exists(Path.Combine(Stack.LeaseDirectory, "open", $"{guest.Id}.json")), "at rest: the freeze lease is open");

        findings.Check(settled <= EndsWithin, $"ended: only {settled.TotalSeconds:0} s after the fault");
        var outcome = await run.Request.JudgeAsync(findings, freezes, ct);

        var busyWith = (await world.QueryAsync<string?>("SELECT task_state FROM servers WHERE id = @Id", new { Id = guest.Id.Value }, ct)).Single();
        findings.Check(busyWith is null, $"at rest: the server's task state is {busyWith}");
        var open = await world.QueryAsync<string>(
            "SELECT e.event FROM instance_action_events e JOIN instance_actions a ON a.id = e.action_id WHERE a.server_id = @Id AND e.finished_at IS NULL", new { Id = guest.Id.Value }, ct);
        findings.Check(open.Count == 0, $"at rest: unfinished instance actions {string.Join(", ", open)}");

        foreach (var path in run.Request.OwnPaths)
        {
            findings.Check(await StatusAsync(run.Server.Stranger, path, ct) == HttpStatusCode.NotFound, $"isolated: another project sees {path}");
        }

        await CheckHistoryAsync(run, findings, ct);
        return new(run.Case.Name, outcome, findings.All, over, settled.TotalMilliseconds);
    }

    /// <summary>What does not hold for projects at rest: usage is what is there.</summary>
    public async Task<IReadOnlyList<string>> JudgeQuotaAsync(CancellationToken ct)
    {
        var findings = new Findings();
        foreach (var project in (string[])[Tokens.TenantProject, Tokens.OtherProject])
        {
            var there = (await world.QueryAsync<(long Snapshots, long Gigabytes)>(
                """
                SELECT (SELECT count(*) FROM snapshots WHERE project_id = @Project AND deleted_at IS NULL AND use_quota),
                       (SELECT coalesce(sum(volume_size_gib), 0) FROM snapshots WHERE project_id = @Project AND deleted_at IS NULL AND use_quota)
                     + (SELECT coalesce(sum(size_gib), 0) FROM volumes WHERE project_id = @Project AND deleted_at IS NULL)
                """,
                new { Project = project }, ct)).Single();
            var levels = await Wait.ForAsync($"the quota of {project}", TimeSpan.FromMinutes(1), token => LevelsAsync(project, token), ct);
            var (snapshots, gigabytes) = (levels.Single(l => l.Resource == Quota.Snapshots).InUse, levels.Single(l => l.Resource == Quota.Gigabytes).InUse);
            findings.Check(
                (snapshots, gigabytes) == there && levels.All(l => l.Reserved == 0),
                $"quota: {project} uses {snapshots} snapshots and {gigabytes} GiB and has {there}; reserved {string.Join(", ", levels.Select(l => $"{l.Resource} {l.Reserved}"))}");
        }

        return findings.All;
    }

    private async Task<IReadOnlyList<QuotaLevel>?> LevelsAsync(string project, CancellationToken ct)
    {
        try
        {
            return await new QuotaStore(Stack.Database).LevelsAsync(project, TimeProvider.System.GetUtcNow(), ct);
        }
        catch (SnapshotFlowException e) when (e.Kind is ErrorKind.BackendUnavailable)
        {
            // A pooled connection that PostgreSQL's end has ended.
            return null;
        }
    }

    private static async Task CheckHistoryAsync(RunningCase run, Findings findings, CancellationToken ct)
    {
        var history = await run.HistoryAsync(ct);
        try
        {
            // Without the two seconds after which a task counts as deadlocked: here that would only say that the machine is busy.
            await new WorkflowReplayer(AllWorkflows.Types.Aggregate(new WorkflowReplayerOptions { DebugMode = true }, (o, type) => o.AddWorkflow(type))).ReplayWorkflowAsync(history, true, ct);
        }
        catch (Exception e) when (e is WorkflowNondeterminismException or InvalidWorkflowOperationException)
        {
            findings.Check(false, $"replay: {e.Message}");
        }
    }

    private static async Task<HttpStatusCode> StatusAsync(TenantClient caller, string path, CancellationToken ct) =>
        (await Wait.ForAsync($"an answer to GET {path}", TimeSpan.FromMinutes(1), async token =>
        {
            try
            {
                return await caller.GetAsync(path, token) is { } answer && (int)answer.Status < 500 ? answer : null;
            }
            catch (StackException)
            {
                return null;
            }
        }, ct)).Status;
}
