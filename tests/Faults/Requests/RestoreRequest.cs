using System.Net.Http.Json;
using System.Text.Json;
using SnapshotFlow.DemoGuest;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>New volumes from an image that was made before.</summary>
public sealed class RestoreRequest(FaultStack world, FaultServer server, string key) : Request(world, server)
{
    // A key is for one request: that for the image has its own.
    private readonly ImageRequest made = new(world, server, $"{key}-image");
    private readonly OperationId operation = DeterministicId.Operation(server.Project, key);

    /// <inheritdoc/>
    public override string Workflow => Names.RestoreImageWorkflow(operation);

    /// <inheritdoc/>
    public override IReadOnlyList<string> OwnPaths => [$"/operations/{operation}", $"/image/v2/images/{made.Image}"];

    /// <inheritdoc/>
    public override Task PrepareAsync(CancellationToken ct) => MakeAsync(made, ct);

    /// <inheritdoc/>
    public override async Task<ApiAnswer> AskAsync(CancellationToken ct)
    {
        using var body = JsonContent.Create(new { name = "restored" });
        return await Server.Owner.SendAsync(HttpMethod.Post, $"/runs/{made.Image}/restore", body, ct, ("Idempotency-Key", key));
    }

    /// <inheritdoc/>
    public override async Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct)
    {
        var row = (await World.QueryAsync<OperationRow>(
            """SELECT status, project_id AS "ProjectId", leftovers::text AS "Leftovers" FROM operations WHERE id = @Id""", new { Id = operation.Value }, ct)).SingleOrDefault();
        var mine = SnapshotsOf(made.Image);
        var volumes = await World.QueryAsync<VolumeRow>(
            """SELECT id, status, project_id AS "ProjectId", snapshot_id AS "SnapshotId", deleted_at IS NULL AS "Live" FROM volumes WHERE snapshot_id = ANY(@Mine)""",
            new { Mine = mine.Select(m => m.Value).ToArray() }, ct);
        var live = volumes.Where(v => v.Live).ToList();
        var directory = Path.GetDirectoryName(World.Stack.Storage.VolumeFile(Server.Guest.Volumes[0]))!;
        var files = Directory.EnumerateFiles(directory).Select(f => Path.GetFileName(f)!).Where(f => volumes.Any(v => f.Contains($"{v.Id}", StringComparison.Ordinal))).ToHashSet();

        findings.Check(row is null || row.Status != "running", "ended: the record of the restore still says running");
        findings.Check((row is null || row.ProjectId == Server.Project) && volumes.All(v => v.ProjectId == Server.Project), "isolated: a record has another project");
        if (row?.Status == "completed")
        {
            findings.Check(live.Count == mine.Count && live.All(v => v.Status == "available"), $"complete: volumes {string.Join(", ", live.Select(v => v.Status))}");
            findings.Check(live.Select(v => v.SnapshotId).ToHashSet().SetEquals(mine.Select(m => m.Value)), "complete: not one volume per snapshot");
            var paths = mine.Select(m => live.FirstOrDefault(v => v.SnapshotId == m.Value)).OfType<VolumeRow>().Select(v => World.Stack.Storage.VolumeFile(new(v.Id))).ToList();
            findings.Check(paths.Count == mine.Count && paths.All(File.Exists) && files.Count == 2 * mine.Count, $"complete: files {string.Join(", ", files)}");
            var report = paths.Count > 0 && paths.All(File.Exists) ? Witness.Read(paths) : null;
            findings.Check(report is { Consistent: true }, $"complete: the guest's numbers on the volumes say {report?.Reason}");
            return row.Status;
        }

        var leftovers = row is null ? [] : JsonSerializer.Deserialize<List<Leftover>>(row.Leftovers)!;
        findings.Check(files.All(f => leftovers.Any(l => f.Contains(l.Subject, StringComparison.Ordinal))), $"nothing left: files {string.Join(", ", files)}");
        findings.Check(live.All(v => leftovers.Any(l => l.Subject.Contains($"{v.Id}", StringComparison.Ordinal))), $"nothing left: {live.Count} volumes {string.Join(", ", live.Select(v => v.Status))}, {leftovers.Count} listed");
        findings.Check((leftovers.Count > 0) == (row?.Status == "compensation_failed"), $"nothing left: {leftovers.Count} leftovers of a restore that is {row?.Status}");
        return row?.Status ?? "nothing";
    }

    private sealed record VolumeRow
    {
        public Guid Id { get; init; }

        public string Status { get; init; } = "";

        public string ProjectId { get; init; } = "";

        public Guid SnapshotId { get; init; }

        public bool Live { get; init; }
    }
}
