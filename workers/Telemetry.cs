using System.Diagnostics;
using System.Diagnostics.Metrics;
using Temporalio.Runtime;

namespace SnapshotFlow.Workers;

/// <summary>
/// What this process measures, as metrics of System.Diagnostics.Metrics for any listener or exporter: what workflows count
/// (<see cref="Workflows.RunMetrics"/>), and the SDK's own, whose names begin with <c>temporal_</c>.
/// </summary>
/// <param name="meter">Where they appear.</param>
public sealed class Telemetry(Meter meter) : ICustomMetricMeter
{
    /// <summary>Name of the meter of the workers' process.</summary>
    public const string MeterName = "SnapshotFlow.Workflows";

    /// <summary>A runtime that measures on a meter. Both live as long as the process.</summary>
    public static TemporalRuntime CreateRuntime(Meter meter) => new(new() { Telemetry = new() { Metrics = new() { CustomMetricMeter = new Telemetry(meter) } } });

    /// <inheritdoc/>
    public ICustomMetricCounter<T> CreateCounter<T>(string name, string? unit, string? description) where T : struct =>
        new Counter<T>(meter.CreateCounter<T>(name, unit, description));

    /// <inheritdoc/>
    public ICustomMetricHistogram<T> CreateHistogram<T>(string name, string? unit, string? description) where T : struct =>
        new Histogram<T>(meter.CreateHistogram<T>(name, unit, description));

    /// <inheritdoc/>
    public ICustomMetricGauge<T> CreateGauge<T>(string name, string? unit, string? description) where T : struct =>
        new Gauge<T>(meter.CreateGauge<T>(name, unit, description));

    /// <inheritdoc/>
    public object CreateTags(object? appendFrom, IReadOnlyCollection<KeyValuePair<string, object>> tags)
    {
        var list = appendFrom is TagList before ? before : default;
        foreach (var (name, value) in tags)
        {
            list.Add(name, value);
        }

        return list;
    }

    private sealed record Counter<T>(System.Diagnostics.Metrics.Counter<T> Inner) : ICustomMetricCounter<T> where T : struct
    {
        public void Add(T value, object tags) => Inner.Add(value, (TagList)tags);
    }

    private sealed record Histogram<T>(System.Diagnostics.Metrics.Histogram<T> Inner) : ICustomMetricHistogram<T> where T : struct
    {
        public void Record(T value, object tags) => Inner.Record(value, (TagList)tags);
    }

    private sealed record Gauge<T>(System.Diagnostics.Metrics.Gauge<T> Inner) : ICustomMetricGauge<T> where T : struct
    {
        public void Set(T value, object tags) => Inner.Record(value, (TagList)tags);
    }
}
