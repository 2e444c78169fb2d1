using System.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Context.Propagation;
using Temporalio.Api.Common.V1;
using Temporalio.Converters;

namespace SnapshotFlow.Telemetry;

/// <summary>
/// The trace context in a Temporal header: key <c>_tracer-data</c>, a JSON object of W3C headers (<c>traceparent</c>, <c>tracestate</c>, <c>baggage</c>), as
/// Temporal's own OpenTelemetry extensions write and read it. Of the baggage only <see cref="RequestFields"/> travel: what a tenant sends along stays out
/// of the histories.
/// </summary>
internal static class TracerData
{
    /// <summary>The header's key. Source: Temporal SDKs, tracing interceptor.</summary>
    public const string Key = "_tracer-data";

    private static readonly CompositeTextMapPropagator Propagator = new([new TraceContextPropagator(), new BaggagePropagator()]);

    /// <summary>The headers with the context of <paramref name="parent"/> and the request's fields; the same headers when there is nothing to carry.</summary>
    public static IDictionary<string, Payload>? Into(IDictionary<string, Payload>? headers, ActivityContext parent, Baggage baggage)
    {
        var carrier = new Dictionary<string, string>(StringComparer.Ordinal);
        Propagator.Inject(new(parent, RequestFields.Of(baggage)), carrier, static (c, key, value) => c[key] = value);
        return carrier.Count == 0
            ? headers
            : new Dictionary<string, Payload>(headers ?? new Dictionary<string, Payload>(), StringComparer.Ordinal) { [Key] = DataConverter.Default.PayloadConverter.ToPayload(carrier) };
    }

    /// <summary>What the headers carry; nothing when they carry nothing that can be read, because a broken header must not stop a workflow.</summary>
    public static PropagationContext From(IReadOnlyDictionary<string, Payload>? headers)
    {
        if (headers is null || !headers.TryGetValue(Key, out var payload))
        {
            return default;
        }

        Dictionary<string, string>? carrier;
        try
        {
            carrier = DataConverter.Default.PayloadConverter.ToValue<Dictionary<string, string>>(payload);
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or ArgumentException or NotSupportedException or InvalidOperationException)
        {
            return default;
        }

        return carrier is null
            ? default
            : Propagator.Extract(default, carrier, static (c, key) => c.TryGetValue(key, out var value) ? [value] : []);
    }
}
