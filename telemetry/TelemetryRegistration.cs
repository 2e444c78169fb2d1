using System.Diagnostics.Metrics;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Temporalio.Client;
using Temporalio.Runtime;

namespace SnapshotFlow.Telemetry;

/// <summary>What a process tells about itself, and where to.</summary>
public static class TelemetryRegistration
{
    private const string OneLinePerEvent = "json-lines";

    /// <summary>Bounds of histograms of seconds: a freeze is bounded by 60 s, a hop between workers takes milliseconds.</summary>
    private static readonly double[] Seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900];

    /// <summary>Logs are JSON, one line each, on standard output, unless <c>Logging:Console:FormatterName</c> says otherwise.</summary>
    public static void AddLogLines(this IHostApplicationBuilder builder)
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Logging.AddConsoleFormatter<JsonLines, JsonLinesOptions>();
        builder.Logging.Configure(o => o.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
        if (builder.Configuration["Logging:Console:FormatterName"] is null)
        {
            builder.Logging.AddConsole(o => o.FormatterName = OneLinePerEvent);
        }

        // What the SDK's core has to say would else go to the console past all this.
        builder.Services.AddSingleton(provider => Runtime(null, CoreLogger(provider)));
    }

    /// <summary>
    /// Traces and metrics by OTLP, as the standard <c>OTEL_*</c> variables say; nothing leaves without an endpoint
    /// (<c>OTEL_EXPORTER_OTLP_ENDPOINT</c>, or the same for one signal). <c>OTEL_METRICS_EXPORTER=prometheus</c> serves <c>/metrics</c> on
    /// <c>OTEL_EXPORTER_PROMETHEUS_HOST</c> and <c>_PORT</c> (localhost, 9464).
    /// </summary>
    /// <param name="builder">The process.</param>
    /// <param name="service">Its <c>service.name</c>, unless <c>OTEL_SERVICE_NAME</c> says otherwise.</param>
    public static void AddTelemetry(this IHostApplicationBuilder builder, string service)
    {
        var signals = Signals.Read(builder.Configuration);
        if (!signals.Traces && !signals.Metrics && !signals.Prometheus)
        {
            return;
        }

        var telemetry = builder.Services.AddOpenTelemetry().ConfigureResource(r => r
            .AddService(service, "snapshotflow", Version, serviceInstanceId: $"{Environment.MachineName}:{Environment.ProcessId}")
            .AddEnvironmentVariableDetector());
        if (signals.Traces)
        {
            telemetry.WithTracing(t => t.AddSource($"{TelemetrySources.Prefix}*", "Npgsql").AddOtlpExporter(o => Signals.Configure(o, builder.Configuration, "TRACES")));
        }

        if (signals.Metrics || signals.Prometheus)
        {
            builder.Services.AddSingleton(provider => Runtime(provider.GetRequiredService<IMeterFactory>().Create(TemporalMetrics.MeterName), CoreLogger(provider)));
            telemetry.WithMetrics(m =>
            {
                m.AddMeter($"{TelemetrySources.Prefix}*", "Microsoft.AspNetCore.Hosting", "Npgsql", "System.Runtime");
                m.AddView(InSeconds);
                if (signals.Metrics)
                {
                    m.AddOtlpExporter(o => Signals.Configure(o, builder.Configuration, "METRICS"));
                }

                if (signals.Prometheus)
                {
                    m.AddPrometheusHttpListener(o =>
                    {
                        o.Host = builder.Configuration["OTEL_EXPORTER_PROMETHEUS_HOST"] ?? "localhost";
                        o.Port = builder.Configuration.GetValue("OTEL_EXPORTER_PROMETHEUS_PORT", 9464);
                    });
                }
            });
        }
    }

    /// <summary>Whether somebody will see metrics; without, nothing needs to be measured that costs something.</summary>
    public static bool CollectsMetrics(this IServiceCollection services) => services.Any(s => s.ServiceType == typeof(MeterProvider));

    /// <summary>Lets a connection to Temporal carry traces, and, when metrics are on, hand over those of the SDK.</summary>
    public static void AddTelemetry(this TemporalClientConnectOptions options, IServiceProvider services)
    {
        options.LoggerFactory = services.GetRequiredService<ILoggerFactory>();
        options.Interceptors = [.. options.Interceptors ?? [], new TracingInterceptor()];
        options.Runtime = services.GetService<TemporalRuntime>() ?? options.Runtime;
    }

    internal static TemporalRuntime Runtime(Meter? meter, ILogger? logger = null) => new(new()
    {
        Telemetry = new()
        {
            Logging = logger is null ? new() : new() { Forwarding = new(logger) },
            Metrics = meter is null ? null : new()
            {
                CustomMetricMeter = new TemporalMetrics(meter),
                CustomMetricMeterOptions = new() { HistogramDurationFormat = CustomMetricMeterOptions.DurationFormat.FloatSeconds },
            },
        },
    });

    private static ILogger CoreLogger(IServiceProvider services) => services.GetService<ILoggerFactory>()?.CreateLogger("Temporalio.Core") ?? Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance;

    private static string? Version => Assembly.GetEntryAssembly()?.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0];

    private static MetricStreamConfiguration? InSeconds(Instrument instrument) =>
        instrument.Unit == "s" && instrument.GetType().GetGenericTypeDefinition() == typeof(Histogram<>) ? new ExplicitBucketHistogramConfiguration { Boundaries = Seconds } : null;
}
