using System.Diagnostics;
using System.Text.Json;
using SnapshotFlow.Drivers.Leases;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>One freeze of a guest as the guest itself saw it. Milliseconds of <see cref="HostInstant"/>; the end is null while it lasts.</summary>
internal readonly record struct ObservedFreeze(long From, long? Until);

/// <summary>Reads the journal of a demo guest: what happened to it, without a question to its agent.</summary>
internal static class Journal
{
    public static IReadOnlyList<ObservedFreeze> Read(string path, IHostClock clock)
    {
        // The guest counts CLOCK_MONOTONIC; the two clocks differ by the time that the host was asleep. Of several looks the one that was interrupted least.
        var asleep = Enumerable.Range(0, 10).Max(_ => clock.Now.Milliseconds - (long)(Stopwatch.GetTimestamp() * (1000.0 / Stopwatch.Frequency)));
        var freezes = new List<ObservedFreeze>();
        foreach (var line in File.Exists(path) ? File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [])
        {
            using var json = JsonDocument.Parse(line);
            var at = (json.RootElement.GetProperty("monotonic_ns").GetInt64() / 1_000_000) + asleep;
            if (json.RootElement.GetProperty("event").GetString() == "frozen")
            {
                freezes.Add(new(at, null));
            }
            else
            {
                freezes[^1] = freezes[^1] with { Until = at };
            }
        }

        return freezes;
    }
}
