using System.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Context.Propagation;
using Temporalio.Api.Common.V1;
using Temporalio.Converters;

namespace SnapshotFlow.Telemetry;

/// <summary>
/// The trace context in a Temporal header: key <c>_tracer-data</c>, a JSON object of W3C headers (<c>traceparent</c>, <c>tracestate</c>, <c>baggage</c>), as
/// Temporal's own OpenTelemetry extensions write and read it. Of the baggage only <see cref="RequestFields"/> travel: what a tenant sends along stays out
/// of the histories. One member is our own, and passed over by those extensions: <c>starter-traceparent</c>, written like <c>traceparent</c>.
/// </summary>
/// <param name="Parent">The span that made the call.</param>
/// <param name="Starter">
/// The span that started the run which made the call. It ended in the process of whoever asked for the run, and so is there also when the worker
/// was killed before it had sent <paramref name="Parent"/>; nobody can tell by then whether it had. Default when that is <paramref name="Parent"/>.
/// </param>
/// <param name="Baggage">The request's fields.</param>
internal readonly record struct TracerData(ActivityContext Parent, ActivityContext Starter, Baggage Baggage)
{
    /// <summary>The header's key. Source: Temporal SDKs, tracing interceptor.</summary>
    public const string Key = "_tracer-data";

    private const string StarterKey = "starter-traceparent";

    private static readonly CompositeTextMapPropagator Propagator = new([new TraceContextPropagator(), new BaggagePropagator()]);

    /// <summary>What a span made from this has beside its parent: the way to who started the run, should the parent never arrive.</summary>
    public IEnumerable<ActivityLink> Links => Starter == default ? [] : [new(Starter)];

    /// <summary>The headers with all this; the same headers when there is nothing to carry.</summary>
    public IDictionary<string, Payload>? Into(IDictionary<string, Payload>? headers)
    {
        var carrier = new Dictionary<string, string>(StringComparer.Ordinal);
        Propagator.Inject(new(Parent, RequestFields.Of(Baggage)), carrier, static (c, key, value) => c[key] = value);
        if (Starter != default && Starter != Parent)
        {
            carrier[StarterKey] = $"00-{Starter.TraceId}-{Starter.SpanId}-{(int)Starter.TraceFlags:x2}";
        }

        return carrier.Count == 0
            ? headers
            : new Dictionary<string, Payload>(headers ?? new Dictionary<string, Payload>(), StringComparer.Ordinal) { [Key] = DataConverter.Default.PayloadConverter.ToPayload(carrier) };
    }

    /// <summary>What the headers carry; nothing when they carry nothing that can be read, because a broken header must not stop a workflow.</summary>
    public static TracerData From(IReadOnlyDictionary<string, Payload>? headers)
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

        if (carrier is null)
        {
            return default;
        }

        var carried = Propagator.Extract(default, carrier, static (c, key) => c.TryGetValue(key, out var value) ? [value] : []);
        _ = ActivityContext.TryParse(carrier.GetValueOrDefault(StarterKey), null, isRemote: true, out var starter);
        return new(carried.ActivityContext, starter, carried.Baggage);
    }
}
