using OpenTelemetry;

namespace SnapshotFlow.Telemetry;

/// <summary>Fields that every line within a scope has, named as in the product's logs.</summary>
public static class LogFields
{
    /// <summary>The trace, as in W3C trace context.</summary>
    internal const string TraceId = "trace_id";

    /// <summary>The fields of the request that is being served here.</summary>
    public static IReadOnlyList<KeyValuePair<string, object>> OfRequest() => Of(Baggage.Current);

    /// <summary>The trace that a call comes from, also where nothing is traced; null when it says none.</summary>
    internal static string? TraceOf(TracerData caller) => caller.Parent == default ? null : caller.Parent.TraceId.ToHexString();

    /// <summary>The request's fields of a baggage and those given; null values are left out.</summary>
    internal static IReadOnlyList<KeyValuePair<string, object>> Of(Baggage baggage, params ReadOnlySpan<(string Name, object? Value)> fields)
    {
        var all = new List<KeyValuePair<string, object>>();
        foreach (var (name, value) in RequestFields.Of(baggage))
        {
            all.Add(new(name, value));
        }

        foreach (var (name, value) in fields)
        {
            if (value is not null)
            {
                all.Add(new(name, value));
            }
        }

        return all;
    }
}
