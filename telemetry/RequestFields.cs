using OpenTelemetry;

namespace SnapshotFlow.Telemetry;

/// <summary>
/// What every line of log about a request has in common, from the call that began it to the last step of its run. The fields travel as baggage: within a
/// process with the flow of execution, between processes in the header of <see cref="TracerData"/>.
/// </summary>
public static class RequestFields
{
    /// <summary>The api's id of the request, <c>req-&lt;uuid&gt;</c>.</summary>
    public const string RequestId = "request_id";

    /// <summary>The caller's own id of the request, as it came in <c>X-OpenStack-Request-ID</c>.</summary>
    public const string GlobalRequestId = "global_request_id";

    /// <summary>The project on whose behalf it is done.</summary>
    public const string ProjectId = "project_id";

    private static readonly string[] All = [RequestId, GlobalRequestId, ProjectId];

    /// <summary>Begins a request: nothing that came with it from outside counts as a field.</summary>
    public static void Begin(string requestId, string? globalRequestId)
    {
        Baggage.ClearBaggage();
        Set(RequestId, requestId);
        Set(GlobalRequestId, globalRequestId);
    }

    /// <summary>Sets a field for all that follows in this flow of execution; null leaves it as it is.</summary>
    public static void Set(string field, string? value)
    {
        if (value is not null)
        {
            Baggage.SetBaggage(field, value);
        }
    }

    /// <summary>The fields of a baggage, and nothing else of it.</summary>
    internal static Baggage Of(Baggage baggage) =>
        Baggage.Create(All.Where(f => baggage.GetBaggage(f) is not null).ToDictionary(f => f, f => baggage.GetBaggage(f)!));
}
