using System.Globalization;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>What was measured of the images of one server: how long its guest stood still, and what for.</summary>
/// <param name="Volumes">How many the server has.</param>
internal sealed record Window(int Volumes, ServerId Server)
{
    private readonly Samples frozen = new();
    private readonly Samples slowest = new();
    private readonly Samples rest = new();
    private readonly Samples heard = new();
    private readonly Samples around = new();
    private readonly Samples thaw = new();

    /// <summary>Adds one image.</summary>
    /// <param name="goesOn">When the run knew of the freeze.</param>
    /// <param name="asksForThaw">When the run had all cuts.</param>
    public void Add(RunEvidence evidence, DateTimeOffset goesOn, DateTimeOffset asksForThaw)
    {
        var driver = evidence.Cuts.Max(c => c.DurationMs);
        frozen.Add(evidence.FreezeMs!.Value);
        slowest.Add(driver);
        rest.Add(evidence.FreezeMs.Value - driver);
        heard.Add((goesOn - evidence.FrozenAt!.Value).TotalMilliseconds);
        around.Add((asksForThaw - goesOn).TotalMilliseconds - driver);
        thaw.Add((evidence.ThawedAt!.Value - asksForThaw).TotalMilliseconds);
    }

    /// <summary>The cells of a row, from the number of volumes on.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Volumes} | {frozen} | {slowest} | {rest} | {heard} | {around} | {thaw} |");
}
