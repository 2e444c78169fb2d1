using System.Net;
using System.Net.Http.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>A snapshot of the server's root volume, on its own.</summary>
public sealed class SnapshotRequest(FaultStack world, FaultServer server, string key) : Request(world, server)
{
    /// <summary>The snapshot.</summary>
    public SnapshotId Snapshot { get; } = DeterministicId.Snapshot(server.Project, key);

    /// <inheritdoc/>
    public override string Workflow => Names.CreateSnapshotWorkflow(Snapshot);

    /// <inheritdoc/>
    public override IReadOnlyList<string> OwnPaths => [PathOf(Stranger)];

    private string Stranger => Server.Project == Tokens.TenantProject ? Tokens.OtherProject : Tokens.TenantProject;

    /// <summary>Where a project would find the snapshot.</summary>
    public string PathOf(string project) => $"/volume/v3/{project}/snapshots/{Snapshot}";

    /// <inheritdoc/>
    public override async Task<ApiAnswer> AskAsync(CancellationToken ct)
    {
        using var body = JsonContent.Create(new { snapshot = new { volume_id = Server.Guest.Volumes[0].ToString(), name = "matrix", force = true } });
        return await Server.Owner.SendAsync(HttpMethod.Post, $"/volume/v3/{Server.Project}/snapshots", body, ct, ("Idempotency-Key", key));
    }

    /// <inheritdoc/>
    public override async Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct)
    {
        var row = await RowAsync(ct);
        var files = FilesAbout([Snapshot]);
        findings.Check(freezes.Count == 0, "bounded freeze: a guest was frozen for a single snapshot");
        findings.Check(row is null || row.ProjectId == Server.Project, "isolated: the snapshot has another project");
        switch (row?.Status)
        {
            case "available":
                var stored = (await World.Stack.Storage.SnapshotsAsync(ct)).Where(s => s.Snapshot == Snapshot).ToList();
                findings.Check(stored is [var only] && only.Volume == Server.Guest.Volumes[0] && files.Count == 2, $"complete: {stored.Count} snapshots in the back end, files {string.Join(", ", files)}");
                break;
            case "error":
                findings.Check(files.Count == 0, $"nothing left: files {string.Join(", ", files)}");
                findings.Check((await MessagesAsync(ct)).Count == 1, "told: the user has not been told once that it failed");
                break;
            case null:
                findings.Check(files.Count == 0, $"nothing left: files {string.Join(", ", files)}");
                break;
            case var other:
                findings.Check(false, $"ended: the snapshot is {other}");
                break;
        }

        return row?.Status ?? "nothing";
    }

    /// <summary>Its live row; null when there is none.</summary>
    public async Task<SnapshotRow?> RowAsync(CancellationToken ct) => (await World.QueryAsync<SnapshotRow>(
        """SELECT status, project_id AS "ProjectId" FROM snapshots WHERE id = @Id AND deleted_at IS NULL""", new { Id = Snapshot.Value }, ct)).SingleOrDefault();

    /// <summary>What its user was told went wrong.</summary>
    public Task<IReadOnlyList<string>> MessagesAsync(CancellationToken ct) =>
        World.QueryAsync<string>("SELECT event_id FROM user_messages WHERE resource_id = @Id", new { Id = Snapshot.Value }, ct);

    /// <summary>Files in the back end about it, halves included.</summary>
    public IReadOnlySet<string> Files() => FilesAbout([Snapshot]);
}

/// <summary>The row of a snapshot.</summary>
public sealed record SnapshotRow
{
    /// <summary>Its status.</summary>
    public string Status { get; init; } = "";

    /// <summary>Whose it is.</summary>
    public string ProjectId { get; init; } = "";
}
