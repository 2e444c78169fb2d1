using System.Net;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults.Requests;

/// <summary>What a case asks the API for, on one server: how to ask, which run it starts, and what must be there in the end.</summary>
/// <param name="world">The stack.</param>
/// <param name="server">The server.</param>
public abstract class Request(FaultStack world, FaultServer server)
{
    /// <summary>The workflow id of the run that it starts.</summary>
    public abstract string Workflow { get; }

    /// <summary>What the owner finds at these paths, and another project must not.</summary>
    public abstract IReadOnlyList<string> OwnPaths { get; }

    /// <summary>The stack.</summary>
    protected FaultStack World => world;

    /// <summary>The server.</summary>
    protected FaultServer Server => server;

    /// <summary>The request of a scenario.</summary>
    public static Request For(Scenario scenario, FaultStack world, FaultServer server, string key) => scenario.Name switch
    {
        "create" or "undo" => new ImageRequest(world, server, key),
        "delete" => new DeleteImageRequest(world, server, key),
        "snapshot" or "snapshot-undo" => new SnapshotRequest(world, server, key),
        "delete-snapshot" => new DeleteSnapshotRequest(world, server, key),
        "restore" or "restore-undo" => new RestoreRequest(world, server, key),
        var other => throw new ArgumentException($"nobody knows what to ask for in scenario '{other}'", nameof(scenario)),
    };

    /// <summary>Makes what must be there before.</summary>
    public virtual Task PrepareAsync(CancellationToken ct) => Task.CompletedTask;

    /// <summary>Asks once; the same every time.</summary>
    public abstract Task<ApiAnswer> AskAsync(CancellationToken ct);

    /// <summary>Whether a second answer agrees with the first one.</summary>
    public virtual bool Agrees(HttpStatusCode first, HttpStatusCode again) => first == again;

    /// <summary>Compares what there is with what the run says of itself; how it ended, in a word.</summary>
    /// <param name="findings">Is told what does not hold.</param>
    /// <param name="freezes">What the guest wrote down meanwhile.</param>
    /// <param name="ct">Gives up.</param>
    public abstract Task<string> JudgeAsync(Findings findings, IReadOnlyList<Freeze> freezes, CancellationToken ct);

    /// <summary>Makes an image without any fault, for requests about one that is there.</summary>
    protected async Task MakeAsync(ImageRequest image, CancellationToken ct)
    {
        (await image.AskAsync(ct)).Expect(HttpStatusCode.Accepted);
        var run = await server.Owner.WaitForEndAsync($"{image.Image}", TimeSpan.FromMinutes(2), ct);
        if (run.Status != "completed")
        {
            throw new StackException($"the image that the case is about ended as {run.Status}: {run.Reason?.Message}");
        }
    }

    /// <summary>The snapshots that the run for an image makes of the server.</summary>
    protected IReadOnlyList<SnapshotId> SnapshotsOf(ImageId image) => [.. server.Guest.Volumes.Select(v => DeterministicId.Snapshot(image, v))];

    /// <summary>Files in the back end about these snapshots, halves included.</summary>
    protected IReadOnlySet<string> FilesAbout(IReadOnlyCollection<SnapshotId> snapshots) =>
        world.Stack.Storage.SnapshotFiles().Where(f => snapshots.Any(s => f.Contains(s.ToString(), StringComparison.Ordinal))).ToHashSet();
}
