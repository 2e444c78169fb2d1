using System.Globalization;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>What was measured of the images of one server: how long its guest stood still, and what for.</summary>
/// <param name="Volumes">How many the server has.</param>
/// <param name="Agent">The guest's agent.</param>
internal sealed record Window(int Volumes, ServerId Server, IGuestAgent Agent)
{
    /// <summary>Names of the columns.</summary>
    public const string Heading = """
        | Back end | Volumes | frozen | slowest driver call | the rest | of it: until the run goes on | around the calls | until the thaw | the agent by itself | overhead |
        |---|---|---|---|---|---|---|---|---|---|
        """;

    private readonly Samples frozen = new();
    private readonly Samples slowest = new();
    private readonly Samples rest = new();
    private readonly Samples heard = new();
    private readonly Samples around = new();
    private readonly Samples thaw = new();
    private readonly Samples agent = new();

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

    /// <summary>Freezes and thaws with nothing in between: what of a freeze is the agent's own, from the instant at which it had frozen.</summary>
    public async Task AskAgentAsync(bool counts, CancellationToken ct)
    {
        var frozenAt = (await Agent.FreezeAsync(ct)).At;
        var thawedAt = (await Agent.ThawAsync(ct)).At;
        if (counts)
        {
            agent.Add((thawedAt - frozenAt).TotalMilliseconds);
        }
    }

    /// <summary>The cells of a row, from the number of volumes on.</summary>
    public override string ToString()
    {
        var own = agent.Percentile(0.5);
        return string.Create(CultureInfo.InvariantCulture, $"{Volumes} | {frozen} | {slowest} | {rest} | {heard} | {around} | {thaw} | {agent} | {rest.Percentile(0.5) - own:0.0} / {rest.Percentile(0.99) - own:0.0} |");
    }
}
