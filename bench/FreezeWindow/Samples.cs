using System.Diagnostics;
using System.Globalization;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>Times of one operation.</summary>
internal sealed class Samples
{
    private readonly List<double> milliseconds = [];

    /// <summary>Adds one time.</summary>
    public void Add(double time) => milliseconds.Add(time);

    /// <summary>Runs and times an operation.</summary>
    public async Task<T> TimeAsync<T>(Func<Task<T>> operation)
    {
        var since = Stopwatch.GetTimestamp();
        var result = await operation();
        Add(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
        return result;
    }

    /// <summary>Runs and times an operation.</summary>
    public Task TimeAsync(Func<Task> operation) => TimeAsync(async () =>
    {
        await operation();
        return true;
    });

    /// <summary>The time below which so many of the operations were.</summary>
    public double Percentile(double part) => milliseconds.Order().ElementAt((int)Math.Min(milliseconds.Count - 1, Math.Ceiling(part * milliseconds.Count) - 1));

    /// <summary>Median and 99th percentile.</summary>
    public override string ToString() => milliseconds.Count == 0 ? "–" : string.Create(CultureInfo.InvariantCulture, $"{Percentile(0.5):0.0} / {Percentile(0.99):0.0}");
}
