using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace SnapshotFlow.Drivers.Layers;

/// <summary>Where the drivers' spans and metrics come from. Without a listener neither costs anything.</summary>
public static class DriverTelemetry
{
    /// <summary>Name of the source and of the meter.</summary>
    public const string Name = "SnapshotFlow.Drivers";

    /// <summary>Histogram, in seconds, of calls to a back end; labels <c>backend</c>, <c>operation</c>, <c>error_type</c> (empty when it worked).</summary>
    public const string OperationDuration = "snapshotflow.volume.operation.duration";

    internal static readonly ActivitySource Source = new(Name);

    private static readonly Meter Meter = new(Name);
    private static readonly Histogram<double> Durations = Meter.CreateHistogram<double>(OperationDuration, "s", "Time a storage back end took for one call");

    internal static void Record(string backend, VolumeOperation operation, TimeSpan took, string? error) => Durations.Record(
        took.TotalSeconds, new("backend", backend), new("operation", Word(operation)), new("error_type", error ?? ""));

    internal static string Word(VolumeOperation operation) => operation switch
    {
        VolumeOperation.Check => "check",
        VolumeOperation.CreateVolume => "create_volume",
        VolumeOperation.CreateSnapshot => "create_snapshot",
        VolumeOperation.DeleteSnapshot => "delete_snapshot",
        VolumeOperation.FindSnapshot => "find_snapshot",
        VolumeOperation.ListSnapshots => "list_snapshots",
        VolumeOperation.CreateVolumeFromSnapshot => "create_volume_from_snapshot",
        VolumeOperation.DeleteVolume => "delete_volume",
        _ => operation.ToString(),
    };

    /// <summary>Marks a span as failed. Source of the attribute: OpenTelemetry semantic conventions, <c>error.type</c>.</summary>
    internal static void Fail(this Activity? span, Exception e, string type)
    {
        span?.SetTag("error.type", type);
        span?.SetStatus(ActivityStatusCode.Error, e.Message);
    }
}
