using System.Diagnostics;
using System.Text.Json;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using StatusCode = Grpc.Core.StatusCode;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>
/// One span for each call that carries the trace of whoever asked: starts, signals, updates, queries, and the end of a workflow task that asks for activities. Polls
/// and heartbeats belong to no trace and make none. By OTLP, as the standard <c>OTEL_*</c> variables say; without an endpoint nothing is made.
/// </summary>
internal static class Tracing
{
    /// <summary>Header with the W3C context as a JSON object. Source: Temporal SDKs, tracing interceptor.</summary>
    private const string HeaderKey = "_tracer-data";

    /// <summary>Member of that object, where there is one: who started the run that asks. A worker that is killed takes its own span along. Written like <c>traceparent</c>.</summary>
    private const string StarterKey = "starter-traceparent";

    private static readonly ActivitySource Source = new("SnapshotFlow.TemporalDev");

    /// <summary>Sends traces if the environment names an endpoint for them.</summary>
    public static void AddTracing(this WebApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        var endpoint = configuration["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? configuration["OTEL_EXPORTER_OTLP_ENDPOINT"];
        if (string.IsNullOrEmpty(endpoint) || configuration.GetValue("OTEL_SDK_DISABLED", false) || configuration["OTEL_TRACES_EXPORTER"] is not (null or "" or "otlp"))
        {
            return;
        }

        builder.Services.AddOpenTelemetry()
            .ConfigureResource(r => r.AddService("temporal-dev", "snapshotflow", typeof(Tracing).Assembly.GetName().Version?.ToString(3), serviceInstanceId: $"{Environment.MachineName}:{Environment.ProcessId}").AddEnvironmentVariableDetector())
            .WithTracing(t => t.AddSource(Source.Name).AddOtlpExporter(o => Configure(o, configuration)));
    }

    /// <summary>What is said for traces wins over what is said for all signals, which the exporter reads itself. Source: OpenTelemetry specification, OTLP exporter.</summary>
    private static void Configure(OtlpExporterOptions options, IConfiguration configuration)
    {
        if (configuration["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] is { Length: > 0 } protocol)
        {
            options.Protocol = protocol == "grpc" ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        }

        if (configuration["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] is { Length: > 0 } endpoint)
        {
            options.Endpoint = new(endpoint);
        }

        options.Headers = configuration["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] ?? options.Headers;
    }

    /// <summary>The same call, with a span around it when it carries a trace. Source of the attributes: OpenTelemetry semantic conventions, RPC.</summary>
    public static UnaryServerMethod<TRequest, TResponse> Traced<TRequest, TResponse>(string service, string name, UnaryServerMethod<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class => async (request, context) =>
    {
        if (!Source.HasListeners() || CallerOf(request) is not var (parent, links))
        {
            return await method(request, context);
        }

        using var span = Source.StartActivity($"{service}/{name}", ActivityKind.Server, parent, links: links);
        span?.SetTag("rpc.system", "grpc").SetTag("rpc.service", service).SetTag("rpc.method", name);
        try
        {
            var answer = await method(request, context);
            span?.SetTag("rpc.grpc.status_code", (int)StatusCode.OK);
            return answer;
        }
        catch (RpcException e)
        {
            span?.SetTag("rpc.grpc.status_code", (int)e.StatusCode).SetTag("error.type", e.StatusCode.ToString()).SetStatus(ActivityStatusCode.Error, e.Status.Detail);
            throw;
        }
    };

    /// <summary>The trace that a request carries; null when it carries none, or none that can be read.</summary>
    private static (ActivityContext Parent, ActivityLink[] Links)? CallerOf(object request) => HeadersOf(request).Select(Caller).FirstOrDefault(c => c is not null);

    private static IEnumerable<Header?> HeadersOf(object request) => request switch
    {
        StartWorkflowExecutionRequest start => [start.Header],
        SignalWorkflowExecutionRequest signal => [signal.Header],
        SignalWithStartWorkflowExecutionRequest signal => [signal.Header],
        UpdateWorkflowExecutionRequest update => [update.Request?.Input?.Header],
        QueryWorkflowRequest query => [query.Query?.Header],
        ExecuteMultiOperationRequest several => several.Operations.Select(o => o.StartWorkflow?.Header ?? o.UpdateWorkflow?.Request?.Input?.Header),
        RespondWorkflowTaskCompletedRequest completed => completed.Commands.Select(c =>
            c.ScheduleActivityTaskCommandAttributes?.Header ?? c.StartChildWorkflowExecutionCommandAttributes?.Header ?? c.ContinueAsNewWorkflowExecutionCommandAttributes?.Header),
        _ => [],
    };

    private static (ActivityContext Parent, ActivityLink[] Links)? Caller(Header? header)
    {
        if (header is null || !header.Fields.TryGetValue(HeaderKey, out var payload))
        {
            return null;
        }

        try
        {
            var carried = JsonSerializer.Deserialize<Dictionary<string, string>>(payload.Data.Span);
            return carried is not null && ActivityContext.TryParse(carried.GetValueOrDefault("traceparent"), carried.GetValueOrDefault("tracestate"), isRemote: true, out var parent)
                ? (parent, ActivityContext.TryParse(carried.GetValueOrDefault(StarterKey), null, isRemote: true, out var starter) ? [new(starter)] : [])
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
