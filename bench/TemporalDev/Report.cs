using System.Globalization;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>Writes each figure as soon as it is known.</summary>
internal sealed class Report
{
    private readonly Dictionary<(string Store, int OpenRuns, int Activities, int Callers), Measurement> rows = [];

    public void Fact(string store, string what, string value) => Console.WriteLine($"\n{store}: {what}: {value}");

    public void Row(string store, int openRuns, int activities, int callers, Measurement measured)
    {
        if (rows.Keys.All(k => k.OpenRuns != openRuns))
        {
            Console.WriteLine("\n| store | open runs | activities | callers | workflows/s | p50 | p99 | server CPU | database CPU | worker CPU | client CPU |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        }

        rows.Add((store, openRuns, activities, callers), measured);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {store} | {openRuns} | {activities} | {callers} | {measured.PerSecond:0} | {measured.Median.TotalMilliseconds:0.0} ms | {measured.Percentile99.TotalMilliseconds:0.0} ms | {Milliseconds(measured.Processors.Server)} | {Milliseconds(measured.Processors.Database)} | {Milliseconds(measured.Processors.Worker)} | {Milliseconds(measured.Processors.Client)} |"));
    }

    private static string Milliseconds(TimeSpan? time) => time is { } known ? string.Create(CultureInfo.InvariantCulture, $"{known.TotalMilliseconds:0.00} ms") : "–";

    /// <summary>What durability costs.</summary>
    public void Compare()
    {
        var pairs = rows.Where(r => r.Key.Store == "durable" && rows.ContainsKey(r.Key with { Store = "memory" })).ToList();
        if (pairs.Count == 0)
        {
            return;
        }

        Console.WriteLine("\n| open runs | activities | callers | throughput of durable against memory |");
        Console.WriteLine("|---|---|---|---|");
        foreach (var (key, durable) in pairs)
        {
            var share = durable.PerSecond / rows[key with { Store = "memory" }].PerSecond;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {key.OpenRuns} | {key.Activities} | {key.Callers} | {share:P0} |"));
        }
    }
}
