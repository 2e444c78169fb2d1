namespace SnapshotFlow.Stack.Processes;

/// <summary>Where the programs of the product are: one directory when published, one per project in the build output.</summary>
/// <param name="Directory">The directory given by <c>--bin</c>; null to look beside this program.</param>
public sealed record PublishedPrograms(string? Directory)
{
    /// <summary>The HTTP surface.</summary>
    public string Api => Find("SnapshotFlow.Api", "snapshotflow-api");

    /// <summary>Workers of every role.</summary>
    public string Workers => Find("SnapshotFlow.Workers", "snapshotflow-workers");

    /// <summary>The embedded Temporal.</summary>
    public string TemporalDev => Find("SnapshotFlow.TemporalDev", "temporal-dev");

    /// <summary>The running server of the demo.</summary>
    public string DemoGuest => Find("SnapshotFlow.DemoGuest", "snapshotflow-demo-guest");

    private string Find(string project, string name)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        string[] candidates = Directory is { } given
            ? [Path.Combine(Path.GetFullPath(given), name)]
            :
            [
                Path.Combine(own.FullName, name),
                // artifacts/bin/<project>/<configuration>/<program>: the neighbour of this program, in the same configuration.
                Path.Combine(own.Parent?.Parent?.FullName ?? "/", project, own.Name, name),
            ];
        return candidates.FirstOrDefault(File.Exists)
            ?? throw new StackException($"program {name} is not in {string.Join(" or ", candidates.Select(Path.GetDirectoryName))}; run ./snapshotflow publish DIR and give --bin DIR, or build the solution");
    }
}
