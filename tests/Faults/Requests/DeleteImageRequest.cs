using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>Deletes an image that was made before, with its snapshots.</summary>
public sealed class DeleteImageRequest(FaultStack world, FaultServer server, string key) : Request(world, server)
{
    // A key is for one request: that for the image has its own.
    private readonly ImageRequest made = new(world, server, $"{key}-image");

    /// <inheritdoc/>
    public override string Workflow => Names.DeleteImageWorkflow(made.Image);

    /// <inheritdoc/>
    public override IReadOnlyList<string> OwnPaths => [$"/image/v2/images/{made.Image}"];

    /// <inheritdoc/>
    public override Task PrepareAsync(CancellationToken ct) => MakeAsync(made, ct);

    /// <inheritdoc/>
    public override Task<ApiAnswer> AskAsync(CancellationToken ct) => Server.Owner.SendAsync(HttpMethod.Delete, $"/image/v2/images/{made.Image}", null, ct);

    /// <inheritdoc/>
    public override bool Agrees(HttpStatusCode first, HttpStatusCode again) =>
        // Whoever asks again after a lost answer finds nothing to delete.
        // After a deletion that failed, asking again is another one.
        first is HttpStatusCode.NoContent or HttpStatusCode.NotFound ? again is HttpStatusCode.NotFound : again is HttpStatusCode.NoContent || base.Agrees(first, again);

    /// <inheritdoc/>
    public override async Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct)
    {
        var operation = (await World.QueryAsync<OperationRow>(
            """SELECT status, project_id AS "ProjectId", leftovers::text AS "Leftovers" FROM operations WHERE image_id = @Id ORDER BY started_at DESC LIMIT 1""",
            new { Id = made.Image.Value }, ct)).SingleOrDefault();
        var images = await World.QueryAsync<string>("SELECT status FROM images WHERE id = @Id AND deleted_at IS NULL", new { Id = made.Image.Value }, ct);
        var rows = await World.QueryAsync<string>("SELECT status FROM snapshots WHERE image_id = @Id AND deleted_at IS NULL", new { Id = made.Image.Value }, ct);
        var mine = SnapshotsOf(made.Image);
        var files = FilesAbout(mine);

        findings.Check(operation is null || operation.Status != "running", "ended: the record of the deletion still says running");
        findings.Check(operation is null || operation.ProjectId == Server.Project, "isolated: the deletion's record has another project");
        if (images.Count > 0)
        {
            // All or nothing: what was not deleted is whole.
            findings.Check(images is ["active"] && rows.Count == mine.Count && rows.All(r => r == "available") && files.Count == 2 * mine.Count,
                $"nothing left: the image is {images[0]} with rows {string.Join(", ", rows)} and {files.Count} files");
            findings.Check(operation?.Status != "completed", "complete: the deletion completed and the image is there");
            return operation?.Status ?? "nothing";
        }

        var leftovers = operation is null ? [] : JsonSerializer.Deserialize<List<Leftover>>(operation.Leftovers)!;
        findings.Check(operation is not null, "told: the image is gone, and no record says who deleted it");
        findings.Check(files.All(f => leftovers.Any(l => f.Contains(l.Subject, StringComparison.Ordinal))), $"nothing left: files {string.Join(", ", files)}");
        findings.Check(rows.Count == leftovers.Count, $"nothing left: {rows.Count} rows {string.Join(", ", rows)}, {leftovers.Count} listed");
        return operation?.Status ?? "nothing";
    }
}

internal sealed record OperationRow
{
    public string Status { get; init; } = "";

    public string ProjectId { get; init; } = "";

    public string Leftovers { get; init; } = "[]";
}
