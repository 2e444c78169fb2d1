using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack.Demo;

/// <summary>What the guest's own numbers say about a set of volumes.</summary>
/// <param name="Consistent">Whether one moment explains all of them.</param>
/// <param name="Sequences">The last number on each volume, in the order in which the guest writes.</param>
/// <param name="Reason">Why not; null when consistent.</param>
internal sealed record WitnessVerdict(bool Consistent, IReadOnlyList<long> Sequences, string? Reason)
{
    public override string ToString() => $"{string.Join(" · ", Sequences)} — {(Consistent ? "consistent" : $"inconsistent: {Reason}")}";
}

/// <summary>Makes new volumes from the snapshots of a run and lets the guest's program read them.</summary>
internal sealed class Witness(DevelopmentStack stack)
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public async Task<WitnessVerdict> RestoreAsync(RunView run, IReadOnlyList<VolumeId> volumes, CancellationToken ct)
    {
        var snapshots = await stack.Storage.SnapshotsAsync(ct);
        List<(VolumeId Id, string File)> restored = [];
        foreach (var volume in volumes)
        {
            var cut = run.Evidence?.Cuts.FirstOrDefault(c => c.VolumeId == volume.ToString()) ?? throw new StackException($"run {run.ImageId} shows no cut of volume {volume}");
            var snapshot = snapshots.FirstOrDefault(s => s.Snapshot.ToString() == cut.SnapshotId && s.Volume == volume)
                ?? throw new StackException($"snapshot {cut.SnapshotId} of volume {volume} is not in the back end");
            var copy = VolumeId.New();
            await stack.Storage.Driver.CreateVolumeFromSnapshotAsync(copy, volume, snapshot.Snapshot, snapshot.SizeBytes, null, ct);
            restored.Add((copy, stack.Storage.VolumeFile(copy)));
        }

        var check = await Command.RunAsync([stack.Programs.DemoGuest, "--check", .. restored.Select(r => r.File)], ct);
        foreach (var (id, _) in restored)
        {
            await stack.Storage.Driver.DeleteVolumeAsync(id, ct);
        }
        // 0 consistent, 1 not; anything else is no verdict.
        return check.ExitCode is 0 or 1 && JsonSerializer.Deserialize<WitnessVerdict>(check.Output, Format) is { } verdict
            ? verdict
            : throw new StackException($"the witness gave no verdict: {check.Output}");
    }
}
