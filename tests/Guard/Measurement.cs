using System.Globalization;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Guard.Processes;

namespace SnapshotFlow.Tests.Guard;

/// <summary>
/// Measures how long after its deadline a guest is thawed by a guard process. One guest at a time is a demo guest, a process that writes, judged by its own
/// journal; several at once are agents in this process, so that the measure is of the guard and not of twenty guests that start to write.
/// </summary>
internal static class Measurement
{
    public const string Command = "measure";

    /// <summary>
    /// Arguments: expiries altogether (100), guests that expire at once (1). Or <c>restart</c> and how often (10): thaw minus the start of a new guard, when the
    /// deadline passed while there was none.
    /// </summary>
    public static async Task<int> RunAsync(string[] args)
    {
        await using var host = new TestHost();
        if (args is ["restart", ..])
        {
            Print("restarts; thaw minus start of the guard", await RestartsAsync(host, Number(args, 1, 10)));
            return 0;
        }

        var (total, atOnce) = (Number(args, 0, 100), Number(args, 1, 1));
        await host.LiveGuardAsync(CancellationToken.None);
        var late = new List<long>();
        var measure = atOnce == 1 ? await AloneAsync(host) : TogetherAsync(host, atOnce);
        for (var round = 0; late.Count < total; round++)
        {
            late.AddRange(await measure($"run {round}"));
        }

        Print($"expiries, {atOnce} at once; thaw minus deadline", late);
        return late.Max() > FreezeGuard.Promise.TotalMilliseconds ? 1 : 0;
    }

    private static void Print(string what, List<long> milliseconds)
    {
        milliseconds.Sort();
        Console.WriteLine($"{milliseconds.Count} {what} in ms: min {milliseconds[0]}, p50 {At(0.5)}, p90 {At(0.9)}, p99 {At(0.99)}, max {milliseconds[^1]}");

        long At(double share) => milliseconds[(int)Math.Ceiling(share * milliseconds.Count) - 1];
    }

    private static async Task<List<long>> RestartsAsync(TestHost host, int count)
    {
        var guest = await host.GuestAsync(CancellationToken.None);
        var late = new List<long>();
        while (late.Count < count)
        {
            var guard = await host.LiveGuardAsync(CancellationToken.None);
            await host.QuiesceAsync(guest, FreezeDeadline.Minimum, $"run {late.Count}");
            var deadline = host.Open(guest).Deadline;
            await guard.KillAsync();
            await Eventually.PassedAsync(deadline, host.Clock, CancellationToken.None);
            var started = host.Clock.Now;
            guard = host.Guard();
            await guest.ThawedAsync(CancellationToken.None);
            late.Add(guest.Freezes[^1].Until!.Value - started.Milliseconds);
            await host.EndedAsync(guest.Server, CancellationToken.None, $"run {late.Count - 1}");
            await guard.KillAsync();
        }

        return late;
    }

    private static async Task<Func<string, Task<long[]>>> AloneAsync(TestHost host)
    {
        var guest = await host.GuestAsync(CancellationToken.None);
        return async token =>
        {
            await host.QuiesceAsync(guest, FreezeDeadline.Minimum, token);
            var lease = await host.EndedAsync(guest.Server, CancellationToken.None, token);
            return [guest.Freezes[^1].Until!.Value - lease.Deadline.Milliseconds];
        };
    }

    private static Func<string, Task<long[]>> TogetherAsync(TestHost host, int count)
    {
        var guests = Enumerable.Range(0, count).Select(_ => new ScriptedGuest(host.Directory, host.Clock)).ToList();
        return async token =>
        {
            await Task.WhenAll(guests.Select(g => host.QuiesceAsync(g.Server, g.Address, 5 * FreezeDeadline.Minimum, token)));
            var leases = await Task.WhenAll(guests.Select(g => host.EndedAsync(g.Server, CancellationToken.None, token)));
            return [.. guests.Zip(leases, (g, l) => g.ThawedAt!.Value.Milliseconds - l.Deadline.Milliseconds)];
        };
    }

    private static int Number(string[] args, int index, int otherwise) =>
        args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
}
