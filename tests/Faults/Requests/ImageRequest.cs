using System.Net.Http.Json;
using System.Text.Json;
using SnapshotFlow.DemoGuest;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>An image of a running server.</summary>
public sealed class ImageRequest : Request
{
    private readonly string key;

    /// <summary>A new image.</summary>
    public ImageRequest(FaultStack world, FaultServer server, string key) : base(world, server)
    {
        this.key = key;
        Image = DeterministicId.Image(server.Project, key);
    }

    /// <summary>The image.</summary>
    public ImageId Image { get; }

    /// <inheritdoc/>
    public override string Workflow => Names.CreateImageWorkflow(Image);

    /// <inheritdoc/>
    public override IReadOnlyList<string> OwnPaths => [$"/runs/{Image}", $"/image/v2/images/{Image}"];

    /// <inheritdoc/>
    public override async Task<ApiAnswer> AskAsync(CancellationToken ct)
    {
        using var body = JsonContent.Create(new { server_id = Server.Guest.Id.ToString(), name = "matrix", freeze_deadline = RunningCase.FreezeDeadline.TotalSeconds });
        return await Server.Owner.SendAsync(HttpMethod.Post, "/runs", body, ct, ("Idempotency-Key", key));
    }

    /// <inheritdoc/>
    public override async Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct)
    {
        var row = (await World.QueryAsync<RunRow>(
            """SELECT status, project_id AS "ProjectId", evidence::text AS "Evidence", leftovers::text AS "Leftovers" FROM runs WHERE image_id = @Id""", new { Id = Image.Value }, ct)).SingleOrDefault();
        var images = await World.QueryAsync<ImageRow>(
            """SELECT status, owner, (SELECT value FROM image_properties WHERE image_id = id AND name = 'block_device_mapping') AS "Mapping" FROM images WHERE id = @Id AND deleted_at IS NULL""",
            new { Id = Image.Value }, ct);
        var rows = await World.QueryAsync<SnapshotRow>(
            """SELECT status, project_id AS "ProjectId" FROM snapshots WHERE image_id = @Id AND deleted_at IS NULL""", new { Id = Image.Value }, ct);
        var mine = SnapshotsOf(Image);
        var files = FilesAbout(mine);
        var stored = (await World.Stack.Storage.SnapshotsAsync(ct)).Where(s => mine.Contains(s.Snapshot)).ToList();

        findings.Check(row is null || row.Status != "running", "ended: the record of the run still says running");
        findings.Check(row is null || row.ProjectId == Server.Project, "isolated: the run's record has another project");
        findings.Check(rows.All(r => r.ProjectId == Server.Project) && images.All(i => i.Owner == Server.Project), "isolated: a record has another project");
        findings.Check(
            !(await World.QueryAsync<long>("SELECT delta FROM quota_reservations WHERE image_id = @Id", new { Id = Image.Value }, ct)).Any(), "quota: a reservation is open");
        if (row?.Status == "completed")
        {
            var evidence = JsonSerializer.Deserialize<Evidence>(row.Evidence!)!;
            findings.Check(images is [{ Status: "active" }], $"complete: there are {images.Count} images, status {images.FirstOrDefault()?.Status}");
            findings.Check(rows.Count == mine.Count && rows.All(r => r.Status == "available"), $"complete: rows {string.Join(", ", rows.Select(r => r.Status))}");
            findings.Check(
                stored.Count == mine.Count && stored.Select(s => s.Volume).ToHashSet().SetEquals(Server.Guest.Volumes), $"complete: {stored.Count} snapshots in the back end");
            findings.Check(files.Count == 2 * mine.Count, $"complete: files {string.Join(", ", files)}");
            var named = images is [{ Mapping: { } mapping }]
                ? JsonSerializer.Deserialize<JsonElement>(mapping).EnumerateArray().Select(e => e.GetProperty("snapshot_id").GetString()).ToHashSet() : [];
            findings.Check(named.SetEquals(mine.Select(m => m.ToString())), "complete: the image does not name exactly its snapshots");
            CheckEvidence(findings, evidence, freezes, stored);
            return evidence.Consistency.ToString().ToLowerInvariant();
        }

        var leftovers = row is null ? [] : JsonSerializer.Deserialize<List<Leftover>>(row.Leftovers)!;
        var listed = leftovers.Where(l => l.Kind == "DeleteVolumeSnapshot").Select(l => l.Subject).ToHashSet();
        var recordsListed = leftovers.Any(l => l.Kind == "RemoveRecords");
        // Whoever had no answer from a back end for minutes cannot know what is there, and lists what may be.
        var unheard = leftovers.Where(l => l.Error.Contains("had no answer in time", StringComparison.Ordinal)).Select(l => l.Subject).ToHashSet();
        var there = stored.Select(s => Names.Snapshot(s.Snapshot)).ToHashSet();
        findings.Check(there.IsSubsetOf(listed) && listed.Except(there).All(unheard.Contains), $"nothing left: {there.Count} snapshots in the back end, {listed.Count} listed");
        findings.Check(files.All(f => listed.Any(l => f.Contains(l, StringComparison.Ordinal))), $"nothing left: files {string.Join(", ", files)}");
        findings.Check(rows.Count == listed.Count || recordsListed, $"nothing left: {rows.Count} rows {string.Join(", ", rows.Select(r => r.Status))}, {listed.Count} listed");
        findings.Check(images.Count == 0 || recordsListed, $"nothing left: an image that is {images.FirstOrDefault()?.Status}");
        findings.Check((leftovers.Count > 0) == (row?.Status == "compensation_failed"), $"nothing left: {leftovers.Count} leftovers of a run that is {row?.Status}");
        return row?.Status ?? "nothing";
    }

    /// <summary>A claim of application consistency must be true by the guest's journal and by the guest's own numbers on the copies.</summary>
    private void CheckEvidence(Findings findings, Evidence evidence, IReadOnlyList<Freeze> freezes, List<CreatedSnapshot> stored)
    {
        if (evidence.Consistency != Consistency.Application)
        {
            return;
        }

        findings.Check(evidence is { FrozenAt: not null, ThawedAt: not null, LeaseExpired: false }, "evidence: application without freeze, thaw, or in time");
        findings.Check(
            freezes.Any(f => evidence.Cuts.All(c => f.FrozenAt <= c.CutAt && c.CutAt <= f.ThawedAt)), "evidence: application, and not every cut lies in one freeze of the guest's journal");
        var copies = Server.Guest.Volumes.Select(v => stored.FirstOrDefault(s => s.Volume == v)).OfType<CreatedSnapshot>()
            .Select(s => Path.Combine(World.Stack.VolumeRoot, "snapshots", Names.Snapshot(s.Snapshot))).ToList();
        var report = Witness.Read(copies);
        findings.Check(report.Consistent, $"evidence: application, and the guest's numbers say {report.Reason}");
    }

    private sealed record RunRow
    {
        public string Status { get; init; } = "";

        public string ProjectId { get; init; } = "";

        public string? Evidence { get; init; }

        public string Leftovers { get; init; } = "[]";
    }

    private sealed record ImageRow
    {
        public string Status { get; init; } = "";

        public string Owner { get; init; } = "";

        public string? Mapping { get; init; }
    }

    private sealed record SnapshotRow
    {
        public string Status { get; init; } = "";

        public string ProjectId { get; init; } = "";
    }
}
