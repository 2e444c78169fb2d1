using System.Collections.Concurrent;

namespace SnapshotFlow.Api.Dashboard.Live;

/// <summary>What was read a moment ago, for all who ask meanwhile: a hundred people who watch the same cost as much as one.</summary>
/// <param name="freshFor">How long it is good.</param>
/// <param name="patience">The longest that reading may take.</param>
/// <param name="time">The clock.</param>
/// <param name="read">Reads anew.</param>
internal sealed class Remembered<TKey, T>(TimeSpan freshFor, TimeSpan patience, TimeProvider time, Func<TKey, CancellationToken, Task<T>> read) where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Reading> readings = new();

    /// <summary>What a reading says that is not older than it may be. It goes on for the others when the one who asks gives up.</summary>
    public Task<T> ReadAsync(TKey key, CancellationToken ct)
    {
        foreach (var (old, reading) in readings)
        {
            if (!IsFresh(reading))
            {
                readings.TryRemove(new(old, reading));
            }
        }

        return readings.GetOrAdd(key, k => new(time.GetTimestamp(), new(() => BeginAsync(k)))).Value.Value.WaitAsync(ct);
    }

    private bool IsFresh(Reading reading) => time.GetElapsedTime(reading.BeganAt) < freshFor || (reading.Value.IsValueCreated && !reading.Value.Value.IsCompleted);

    private async Task<T> BeginAsync(TKey key)
    {
        using var limit = new CancellationTokenSource(patience, time);
        return await read(key, limit.Token);
    }

    private sealed record Reading(long BeganAt, Lazy<Task<T>> Value);
}
