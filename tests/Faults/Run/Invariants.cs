using System.Net;
using System.Text.Json;
using SnapshotFlow.DemoGuest;
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
/// what the API says.
/// </summary>
public sealed class Invariants(FaultStack world)
{
    /// <summary>How far a freeze may go over its deadline.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    /// <summary>How soon after the fault a run must be over.</summary>
    public static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(150);

    private DevelopmentStack Stack => world.Stack;

    private string SnapshotDirectory => Path.Combine(Stack.VolumeRoot, "snapshots");

    /// <summary>Everything that does not hold after a run, one sentence each.</summary>
    /// <param name="run">The case, over.</param>
    /// <param name="unguarded">When guard and compute worker were both out of action, how long: nobody can thaw then.</param>
    /// <param name="settled">From the end of the fault to the end of the run.</param>
    /// <param name="ct">Gives up.</param>
    public async Task<(string Outcome, IReadOnlyList<string> Violations, double? OverDeadlineMs)> JudgeAsync(RunningCase run, TimeSpan unguarded, TimeSpan settled, CancellationToken ct)
    {
        var violations = new List<string>();
        void Check(bool holds, string otherwise)
        {
            if (!holds)
            {
                violations.Add(otherwise);
            }
        }

        // Same key, same result: asked first, so that whatever this would start is found below.
        var again = await run.AskAgainAsync(ct);
        Check(again.Status == run.Answer.Status, $"once: the same key was answered {(int)run.Answer.Status} and then {(int)again.Status} {again.Body}");
        var row = (await world.QueryAsync<RunRow>(
            """SELECT status, project_id AS "ProjectId", evidence::text AS "Evidence", leftovers::text AS "Leftovers", reason_message AS "Reason" FROM runs WHERE image_id = @Id""",
            new { Id = run.Image.Value }, ct)).SingleOrDefault();

        // Frozen neither too long nor for good.
        var freezes = world.Recorder.Since(run.Server.Guest.Journal, run.Since);
        var over = freezes.Count == 0 ? (double?)null : freezes.Max(f => (f.Length - RunningCase.FreezeDeadline).TotalMilliseconds);
        Check(over is null || over <= (Grace + unguarded).TotalMilliseconds, $"bounded freeze: {over:0} ms over the deadline");
        Check(freezes.All(f => f.To is not null) && !await run.Server.Guest.AgentSaysFrozenAsync(ct), "at rest: the guest is frozen");
        Check(!File.Exists(Path.Combine(Stack.LeaseDirectory, "open", $"{run.Server.Guest.Id}.json")), "at rest: the freeze lease is open");

        // All or nothing.
        Check(row is null || row.Status != "running", "ended: the record of the run still says running");
        Check(settled <= EndsWithin, $"ended: only {settled.TotalSeconds:0} s after the fault");
        var images = await world.QueryAsync<ImageRow>(
            """SELECT status, owner, (SELECT value FROM image_properties WHERE image_id = id AND name = 'block_device_mapping') AS "Mapping" FROM images WHERE id = @Id AND deleted_at IS NULL""",
            new { Id = run.Image.Value }, ct);
        var rows = await world.QueryAsync<SnapshotRow>(
            """SELECT id, volume_id AS "VolumeId", status, project_id AS "ProjectId" FROM snapshots WHERE image_id = @Id AND deleted_at IS NULL""", new { Id = run.Image.Value }, ct);
        var mine = run.Server.Guest.Volumes.Select(v => DeterministicId.Snapshot(run.Image, v)).ToList();
        var files = Stack.Storage.SnapshotFiles().Where(f => mine.Any(m => f.Contains(m.ToString(), StringComparison.Ordinal))).ToHashSet();
        var stored = (await Stack.Storage.SnapshotsAsync(ct)).Where(s => mine.Contains(s.Snapshot)).ToList();
        if (row?.Status == "completed")
        {
            Check(images is [{ Status: "active" }], $"complete: there are {images.Count} images, status {images.FirstOrDefault()?.Status}");
            Check(rows.Count == mine.Count && rows.All(r => r.Status == "available"), $"complete: rows {string.Join(", ", rows.Select(r => r.Status))}");
            Check(stored.Select(s => s.Volume).ToHashSet().SetEquals(run.Server.Guest.Volumes) && stored.Count == mine.Count, $"complete: {stored.Count} snapshots in the back end");
            Check(files.Count == 2 * mine.Count, $"complete: files {string.Join(", ", files)}");
            var named = images is [{ Mapping: { } mapping }]
                ? JsonSerializer.Deserialize<JsonElement>(mapping).EnumerateArray().Select(e => e.GetProperty("snapshot_id").GetString()).ToHashSet() : [];
            Check(named.SetEquals(mine.Select(m => m.ToString())), "complete: the image does not name exactly its snapshots");
            CheckEvidence(EvidenceOf(row), freezes, stored, run, Check);
        }
        else
        {
            var leftovers = row is null ? [] : JsonSerializer.Deserialize<List<Leftover>>(row.Leftovers)!;
            var listed = leftovers.Where(l => l.Kind == "DeleteVolumeSnapshot").Select(l => l.Subject).ToHashSet();
            Check(stored.Select(s => Names.Snapshot(s.Snapshot)).ToHashSet().SetEquals(listed), $"nothing left: {stored.Count} snapshots in the back end, {listed.Count} listed");
            Check(files.All(f => listed.Any(l => f.Contains(l, StringComparison.Ordinal))), $"nothing left: files {string.Join(", ", files)}");
            Check(rows.Count == listed.Count || leftovers.Any(l => l.Kind == "RemoveRecords"), $"nothing left: {rows.Count} rows {string.Join(", ", rows.Select(r => r.Status))}, {listed.Count} listed");
            Check(images.Count == 0 || leftovers.Any(l => l.Kind == "RemoveRecords"), $"nothing left: an image that is {images.FirstOrDefault()?.Status}");
            Check((leftovers.Count > 0) == (row?.Status == "compensation_failed"), $"nothing left: {leftovers.Count} leftovers of a run that is {row?.Status}");
        }

        var server = (await world.QueryAsync<string?>("SELECT task_state FROM servers WHERE id = @Id", new { Id = run.Server.Guest.Id.Value }, ct)).Single();
        Check(server is null, $"at rest: the server's task state is {server}");
        Check(!(await world.QueryAsync<long>("SELECT delta FROM quota_reservations WHERE image_id = @Id", new { Id = run.Image.Value }, ct)).Any(), "quota: a reservation is open");
        var open = await world.QueryAsync<string>(
            "SELECT e.event FROM instance_action_events e JOIN instance_actions a ON a.id = e.action_id WHERE a.server_id = @Id AND e.finished_at IS NULL", new { Id = run.Server.Guest.Id.Value }, ct);
        Check(open.Count == 0, $"at rest: unfinished instance actions {string.Join(", ", open)}");

        // Isolated.
        Check(row is null || row.ProjectId == run.Server.Project, "isolated: the run's record has another project");
        Check(rows.All(r => r.ProjectId == run.Server.Project) && images.All(i => i.Owner == run.Server.Project), "isolated: a record has another project");
        foreach (var path in (string[])[$"/runs/{run.Image}", $"/image/v2/images/{run.Image}"])
        {
            Check((await GetAsync(run.Server.Stranger, path, ct)).Status == HttpStatusCode.NotFound, $"isolated: another project sees {path}");
        }

        // The API says the same as the record.
        var shown = await GetAsync(run.Server.Owner, $"/runs/{run.Image}", ct);
        Check(row is null ? shown.Status == HttpStatusCode.NotFound : shown.Status == HttpStatusCode.OK && shown.Body.GetProperty("status").GetString() == row.Status, $"told: GET /runs says {(int)shown.Status} {shown.Body}");

        await CheckHistoryAsync(run, Check, ct);
        var outcome = row is null ? "nothing" : row.Status == "completed" ? EvidenceOf(row).Consistency.ToString().ToLowerInvariant() : row.Status;
        return (outcome, violations, over);
    }

    /// <summary>What does not hold for a project at rest: usage is what is there.</summary>
    public async Task<IReadOnlyList<string>> JudgeQuotaAsync(CancellationToken ct)
    {
        List<string> violations = [];
        foreach (var project in (string[])[Tokens.TenantProject, Tokens.OtherProject])
        {
            var there = (await world.QueryAsync<long>(
                "SELECT count(*) FROM snapshots WHERE project_id = @Project AND deleted_at IS NULL AND use_quota", new { Project = project }, ct)).Single();
            var levels = await Wait.ForAsync($"the quota of {project}", TimeSpan.FromMinutes(1), token => LevelsAsync(project, token), ct);
            var snapshots = levels.Single(l => l.Resource == Quota.Snapshots);
            if (snapshots.InUse != there || levels.Any(l => l.Reserved != 0))
            {
                violations.Add($"quota: {project} uses {snapshots.InUse} snapshots and has {there}; reserved {string.Join(", ", levels.Select(l => $"{l.Resource} {l.Reserved}"))}");
            }
        }

        return violations;
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

    /// <summary>A claim of application consistency must be true by the guest's journal and by the guest's own numbers on the copies.</summary>
    private void CheckEvidence(Evidence evidence, IReadOnlyList<Freeze> freezes, List<Drivers.CreatedSnapshot> stored, RunningCase run, Action<bool, string> check)
    {
        if (evidence.Consistency != Consistency.Application)
        {
            return;
        }

        check(evidence is { FrozenAt: not null, ThawedAt: not null, LeaseExpired: false }, "evidence: application without freeze, thaw, or in time");
        check(evidence.Cuts.All(c => freezes.Any(f => f.FrozenAt <= c.CutAt && c.CutAt <= f.ThawedAt)) && freezes.Count(f => evidence.Cuts.Any(c => f.FrozenAt <= c.CutAt && c.CutAt <= f.ThawedAt)) == 1,
            "evidence: application, and not every cut lies in one freeze of the guest's journal");
        var copies = run.Server.Guest.Volumes.Select(v => stored.FirstOrDefault(s => s.Volume == v)).OfType<Drivers.CreatedSnapshot>()
            .Select(s => Path.Combine(SnapshotDirectory, Names.Snapshot(s.Snapshot))).ToList();
        var report = Witness.Read(copies);
        check(report.Consistent, $"evidence: application, and the guest's numbers say {report.Reason}");
    }

    private static async Task CheckHistoryAsync(RunningCase run, Action<bool, string> check, CancellationToken ct)
    {
        var history = await run.HistoryAsync(ct);
        try
        {
            await new WorkflowReplayer(new WorkflowReplayerOptions().AddWorkflow<CreateImageWorkflow>()).ReplayWorkflowAsync(history, true, ct);
        }
        catch (Exception e) when (e is WorkflowNondeterminismException or InvalidWorkflowOperationException)
        {
            check(false, $"replay: {e.Message}");
        }
    }

    private static async Task<ApiAnswer> GetAsync(TenantClient caller, string path, CancellationToken ct) =>
        await Wait.ForAsync($"an answer to GET {path}", TimeSpan.FromMinutes(1), async token =>
        {
            try
            {
                return await caller.GetAsync(path, token) is { } answer && (int)answer.Status < 500 ? answer : null;
            }
            catch (StackException)
            {
                return null;
            }
        }, ct);

    private static Evidence EvidenceOf(RunRow row) => JsonSerializer.Deserialize<Evidence>(row.Evidence!)!;

    private sealed record RunRow
    {
        public string Status { get; init; } = "";

        public string ProjectId { get; init; } = "";

        public string? Evidence { get; init; }

        public string Leftovers { get; init; } = "[]";

        public string? Reason { get; init; }
    }

    private sealed record ImageRow
    {
        public string Status { get; init; } = "";

        public string Owner { get; init; } = "";

        public string? Mapping { get; init; }
    }

    private sealed record SnapshotRow
    {
        public Guid Id { get; init; }

        public Guid VolumeId { get; init; }

        public string Status { get; init; } = "";

        public string ProjectId { get; init; } = "";
    }
}
