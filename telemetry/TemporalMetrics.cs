using System.Diagnostics;
using System.Diagnostics.Metrics;
using Temporalio.Runtime;

namespace SnapshotFlow.Telemetry;

/// <summary>
/// Hands the metrics that the Temporal SDK keeps, and those that workflows make through <c>Workflow.MetricMeter</c>, to
/// <see cref="System.Diagnostics.Metrics"/>, so that they leave by the same way as all others. Workflow metrics are counted once, never on replay.
/// </summary>
internal sealed class TemporalMetrics(Meter meter) : ICustomMetricMeter
{
    /// <summary>Name of the meter of the SDK's own metrics and of those of workflows.</summary>
    public const string MeterName = "SnapshotFlow.Temporal";

    /// <inheritdoc/>
    public ICustomMetricCounter<T> CreateCounter<T>(string name, string? unit, string? description)
        where T : struct => new Counting<T>(meter.CreateCounter<T>(name, unit, description));

    /// <inheritdoc/>
    public ICustomMetricHistogram<T> CreateHistogram<T>(string name, string? unit, string? description)
        where T : struct => new Recording<T>(meter.CreateHistogram<T>(name, unit, description));

    /// <inheritdoc/>
    public ICustomMetricGauge<T> CreateGauge<T>(string name, string? unit, string? description)
        where T : struct => new Setting<T>(meter.CreateGauge<T>(name, unit, description));

    /// <inheritdoc/>
    public object CreateTags(object? appendFrom, IReadOnlyCollection<KeyValuePair<string, object>> tags)
    {
        var all = new TagList();
        if (appendFrom is TagList before)
        {
            foreach (var tag in before)
            {
                all.Add(tag);
            }
        }

        foreach (var (name, value) in tags)
        {
            all.Add(name, value);
        }

        return all;
    }

    private sealed class Counting<T>(Counter<T> counter) : ICustomMetricCounter<T>
        where T : struct
    {
        public void Add(T value, object tags) => counter.Add(value, (TagList)tags);
    }

    private sealed class Recording<T>(Histogram<T> histogram) : ICustomMetricHistogram<T>
        where T : struct
    {
        public void Record(T value, object tags) => histogram.Record(value, (TagList)tags);
    }

    private sealed class Setting<T>(Gauge<T> gauge) : ICustomMetricGauge<T>
        where T : struct
    {
        public void Set(T value, object tags) => gauge.Record(value, (TagList)tags);
    }
}
