using System.Diagnostics;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Layers;

/// <summary>A span and a duration for every call to the back end: what the driver took, without the wait for a place (<see cref="ConcurrencyLayer"/>).</summary>
/// <param name="inner">The driver, or the next layer.</param>
/// <param name="backend">Name of the back end, <c>host@backend</c>.</param>
/// <param name="kind">The driver, as configured.</param>
/// <param name="time">Measures.</param>
public sealed class TelemetryLayer(IVolumeDriver inner, string backend, string kind, TimeProvider time) : VolumeDriverLayer(inner)
{
    /// <inheritdoc/>
    protected override async Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct)
    {
        var operation = DriverTelemetry.Word(call.Operation);
        using var span = DriverTelemetry.Source.StartActivity($"{operation} {kind}", ActivityKind.Client);
        span?.SetTag("snapshotflow.backend", backend);
        span?.SetTag("snapshotflow.volume.id", call.Volume?.ToString());
        span?.SetTag("snapshotflow.snapshot.id", call.Snapshot?.ToString());
        var began = time.GetTimestamp();
        try
        {
            var result = await next().ConfigureAwait(false);
            DriverTelemetry.Record(backend, call.Operation, time.GetElapsedTime(began), null);
            return result;
        }
        catch (Exception e)
        {
            var type = e is SnapshotFlowException known ? known.Kind.ToString() : e.GetType().Name;
            span.Fail(e, type);
            DriverTelemetry.Record(backend, call.Operation, time.GetElapsedTime(began), type);
            throw;
        }
    }
}
