using Microsoft.Extensions.Configuration;
using OpenTelemetry.Exporter;

namespace SnapshotFlow.Telemetry;

/// <summary>Which signals leave the process. Source of the variables: OpenTelemetry specification, environment variables.</summary>
/// <param name="Traces">By OTLP.</param>
/// <param name="Metrics">By OTLP.</param>
/// <param name="Prometheus">Metrics are there to be scraped.</param>
internal sealed record Signals(bool Traces, bool Metrics, bool Prometheus)
{
    /// <summary>What is said for one signal wins over what is said for all, which the exporter reads itself; the endpoint of one signal is taken as it is.</summary>
    public static void Configure(OtlpExporterOptions options, IConfiguration configuration, string signal)
    {
        if (configuration[$"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"] is { Length: > 0 } protocol)
        {
            options.Protocol = protocol == "grpc" ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        }

        if (configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] is { Length: > 0 } endpoint)
        {
            options.Endpoint = new(endpoint);
        }

        options.Headers = configuration[$"OTEL_EXPORTER_OTLP_{signal}_HEADERS"] ?? options.Headers;
    }

    public static Signals Read(IConfiguration configuration)
    {
        if (configuration.GetValue("OTEL_SDK_DISABLED", false))
        {
            return new(false, false, false);
        }

        return new(Otlp("TRACES"), Otlp("METRICS"), Exporters("METRICS").Contains("prometheus"));

        bool Otlp(string signal) =>
            (configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"]) is { Length: > 0 } && Exporters(signal).Contains("otlp");

        HashSet<string> Exporters(string signal) =>
            [.. (configuration[$"OTEL_{signal}_EXPORTER"] ?? "otlp").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
    }
}
