using System.Globalization;
using SnapshotFlow.Tests.Guard.Processes;

namespace SnapshotFlow.Tests.Guard;

/// <summary>Measures how long after its deadline a guest is thawed by the guard: real guard, real guests, each judged by its own journal.</summary>
internal static class Measurement
{
    public const string Command = "measure";

    /// <summary>Arguments: expiries altogether (100), guests that expire at once (1).</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        var (total, atOnce) = (Number(args, 0, 100), Number(args, 1, 1));
        await using var host = new TestHost();
        await host.LiveGuardAsync(CancellationToken.None);
        var guests = await host.GuestsAsync(atOnce, CancellationToken.None);
        var late = new List<long>();
        for (var round = 0; late.Count < total; round++)
        {
            var token = $"run {round}";
            await Task.WhenAll(guests.Select(g => host.QuiesceAsync(g, TimeSpan.FromSeconds(1), token)));
            var leases = await Task.WhenAll(guests.Select(g => host.EndedAsync(g.Server, CancellationToken.None, token)));
            late.AddRange(guests.Zip(leases, (g, l) => g.Freezes[^1].Until!.Value - l.Deadline.Milliseconds));
        }

        late.Sort();
        Console.WriteLine($"{late.Count} expiries, {atOnce} at once; thaw minus deadline in ms: p50 {At(0.5)}, p90 {At(0.9)}, p99 {At(0.99)}, max {late[^1]}, min {late[0]}");
        return 0;

        long At(double share) => late[(int)Math.Ceiling(share * late.Count) - 1];
    }

    private static int Number(string[] args, int index, int otherwise) =>
        args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
}
