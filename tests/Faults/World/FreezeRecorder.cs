using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace SnapshotFlow.Tests.Faults.World;

/// <summary>A time during which a guest stood still, by the guest's own clock reading.</summary>
/// <param name="From">CLOCK_MONOTONIC of the freeze.</param>
/// <param name="To">CLOCK_MONOTONIC of the thaw; null while it lasts.</param>
/// <param name="FrozenAt">UTC of the freeze.</param>
/// <param name="ThawedAt">UTC of the thaw.</param>
public sealed record Freeze(TimeSpan From, TimeSpan? To, DateTimeOffset FrozenAt, DateTimeOffset? ThawedAt)
{
    /// <summary>How long it lasted, or has lasted.</summary>
    public TimeSpan Length => (To ?? FreezeRecorder.Now) - From;
}

/// <summary>
/// Watches guests from outside, through nothing that the product could influence: every 20 ms it looks whether a guest's own journal has grown. The guest writes a line
/// with its monotonic clock in the moment of each freeze and thaw, so no time is lost to the look.
/// </summary>
public sealed class FreezeRecorder : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, Watched> guests = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource ending = new();
    private readonly Task watching;

    /// <summary>Begins to watch.</summary>
    public FreezeRecorder() => watching = WatchAsync();

    /// <summary>Now, on the clock of <see cref="Freeze.From"/>.</summary>
    public static TimeSpan Now => TimeSpan.FromSeconds(Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency);

    /// <summary>Watches one more guest.</summary>
    public void Watch(string journal) => guests.TryAdd(journal, new(journal));

    /// <summary>The freezes of a guest that began since a time, oldest first.</summary>
    public IReadOnlyList<Freeze> Since(string journal, TimeSpan from)
    {
        var guest = guests[journal];
        guest.Look();
        lock (guest.Freezes)
        {
            return [.. guest.Freezes.Where(f => f.From >= from)];
        }
    }

    /// <summary>Whether a guest stands still right now.</summary>
    public bool IsFrozen(string journal) => Since(journal, TimeSpan.Zero) is [.., { To: null }];

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        await watching;
        ending.Dispose();
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(ending.Token))
            {
                foreach (var guest in guests.Values)
                {
                    guest.Look();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private sealed class Watched(string journal)
    {
        private long read;

        public List<Freeze> Freezes { get; } = [];

        public void Look()
        {
            lock (Freezes)
            {
                if (!File.Exists(journal))
                {
                    return;
                }

                using var file = new FileStream(journal, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                if (file.Length == read)
                {
                    return;
                }

                file.Position = read;
                using var reader = new StreamReader(file);
                var text = reader.ReadToEnd();
                // A line that is still being written is read the next time.
                var whole = text[..(text.LastIndexOf('\n') + 1)];
                read += System.Text.Encoding.UTF8.GetByteCount(whole);
                foreach (var line in whole.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    Add(JsonSerializer.Deserialize<JsonElement>(line));
                }
            }
        }

        private void Add(JsonElement line)
        {
            var at = TimeSpan.FromSeconds(line.GetProperty("monotonic_ns").GetInt64() / 1e9);
            var utc = line.GetProperty("at").GetDateTimeOffset();
            if (line.GetProperty("event").GetString() == "frozen")
            {
                Freezes.Add(new(at, null, utc, null));
            }
            else if (Freezes is [.., { To: null }])
            {
                Freezes[^1] = Freezes[^1] with { To = at, ThawedAt = utc };
            }
        }
    }
}
