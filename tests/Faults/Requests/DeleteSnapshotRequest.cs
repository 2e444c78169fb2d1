using System.Net;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>Deletes a snapshot that was made on its own before.</summary>
public sealed class DeleteSnapshotRequest(FaultStack world, FaultServer server, string key) : Request(world, server)
{
    private readonly SnapshotRequest made = new(world, server, $"{key}-snapshot");

    /// <inheritdoc/>
    public override string Workflow => Names.DeleteSnapshotWorkflow(made.Snapshot);

    /// <inheritdoc/>
    public override IReadOnlyList<string> OwnPaths => made.OwnPaths;

    /// <inheritdoc/>
    public override async Task PrepareAsync(CancellationToken ct)
    {
        (await made.AskAsync(ct)).Expect(HttpStatusCode.Accepted);
        await Wait.UntilAsync("the snapshot that the case is about", TimeSpan.FromMinutes(2), async token => (await made.RowAsync(token))?.Status == "available", ct);
    }

    /// <inheritdoc/>
    public override Task<ApiAnswer> AskAsync(CancellationToken ct) => Server.Owner.SendAsync(HttpMethod.Delete, made.PathOf(Server.Project), null, ct);

    /// <inheritdoc/>
    public override bool Agrees(HttpStatusCode first, HttpStatusCode again) =>
        // Whoever asks again finds nothing to delete, or what cannot be deleted. After a deletion that did not begin, asking again is another one.
        first is HttpStatusCode.Accepted or HttpStatusCode.NotFound ? again is HttpStatusCode.NotFound or HttpStatusCode.BadRequest : again is HttpStatusCode.Accepted || base.Agrees(first, again);

    /// <inheritdoc/>
    public override async Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct)
    {
        var row = await made.RowAsync(ct);
        var files = made.Files();
        switch (row?.Status)
        {
            case null:
                findings.Check(files.Count == 0, $"nothing left: files {string.Join(", ", files)}");
                break;
            case "available":
                findings.Check(files.Count == 2, $"nothing left: the snapshot is available and has files {string.Join(", ", files)}");
                break;
            case "error_deleting":
                findings.Check((await made.MessagesAsync(ct)).Count == 1, "told: the user has not been told once that it failed");
                break;
            case var other:
                findings.Check(false, $"ended: the snapshot is {other}");
                break;
        }

        return row?.Status ?? "deleted";
    }
}
