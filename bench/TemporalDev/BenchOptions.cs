using System.Globalization;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>What is measured, and for how long.</summary>
internal sealed record BenchOptions
{
    public const string Help = """
        Measures the embedded Temporal server: its own process, one worker process, one client process, all on this machine.

          --seconds N          length of each measurement (default 5)
          --warm-up N          workflows that run before anything is measured, while .NET compiles what is hot (default 1500)
          --callers LIST       clients that start a workflow and wait for its result at the same time (default 1,16,64)
          --activities LIST    how many activities each workflow runs at the same time (default 1,8)
          --pollers N          polls that the worker has under way, for workflow and for activity tasks each (default 20; the SDK's own default is 5)
          --open-runs LIST     how many other runs are open meanwhile (default 10,10000)
          --store LIST         memory, durable or both (default memory,durable)
          --db-connection S    PostgreSQL for the durable server; without it a private cluster is started for the time of the run
          --help               this text

        The report is Markdown. Throughput is in workflows per second; latencies are from start to result.
        """;

    /// <summary>Length of each measurement.</summary>
    public TimeSpan Length { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Workflows that run before the first measurement.</summary>
    public int WarmUp { get; init; } = 1500;

    public IReadOnlyList<int> Callers { get; init; } = [1, 16, 64];

    public IReadOnlyList<int> Activities { get; init; } = [1, 8];

    /// <summary>
    /// The worker's polls, for workflow and for activity tasks each. Of the SDK's default of 5 for workflow tasks a single one asks for workflows that begin, so that
    /// no more of them begin in a second than it has round trips, and the benchmark would measure one poll.
    /// </summary>
    public int Pollers { get; init; } = 20;

    public IReadOnlyList<int> OpenRuns { get; init; } = [10, 10_000];

    public IReadOnlyList<string> Stores { get; init; } = ["memory", "durable"];

    /// <summary>Null starts a private cluster.</summary>
    public string? Database { get; init; }

    /// <exception cref="FormatException">The message says which argument is wrong.</exception>
    public static BenchOptions Parse(IReadOnlyList<string> args)
    {
        var options = new BenchOptions();
        for (var i = 0; i < args.Count; i += 2)
        {
            var value = i + 1 < args.Count ? args[i + 1] : throw new FormatException($"{args[i]} needs a value");
            options = args[i] switch
            {
                "--seconds" => options with { Length = TimeSpan.FromSeconds(Numbers(args[i], value)[0]) },
                "--warm-up" => options with { WarmUp = Numbers(args[i], value)[0] },
                "--callers" => options with { Callers = Numbers(args[i], value) },
                "--activities" => options with { Activities = Numbers(args[i], value) },
                "--pollers" => options with { Pollers = Numbers(args[i], value)[0] },
                "--open-runs" => options with { OpenRuns = Numbers(args[i], value) },
                "--store" => options with { Stores = StoreNames(value) },
                "--db-connection" => options with { Database = value },
                _ => throw new FormatException($"unknown argument {args[i]}; try --help"),
            };
        }

        return options;
    }

    private static int[] Numbers(string name, string value)
    {
        var numbers = value.Split(',').Select(v => int.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0).ToArray();
        return numbers.All(n => n > 0) ? numbers : throw new FormatException($"{name} {value}: write whole numbers above zero, separated by commas");
    }

    private static string[] StoreNames(string value)
    {
        var stores = value.Split(',');
        return stores.All(s => s is "memory" or "durable") ? stores : throw new FormatException($"--store {value}: write memory, durable or memory,durable");
    }
}
