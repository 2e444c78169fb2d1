using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using SnapshotFlow.Telemetry;
using SnapshotFlow.Tests.Telemetry.Collector;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>What leaves a process, and when.</summary>
public sealed class SendingTelemetry : IDisposable
{
    private readonly ActivitySource source = new(TelemetrySources.Prefix + "Tests");
    private readonly Meter meter = new(TelemetrySources.Prefix + "Tests");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task Traces_and_metrics_go_to_the_endpoint_by_either_protocol(string protocol)
    {
        await using var collector = await OtlpCollector.StartAsync();
        using (var host = await StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = protocol == "grpc" ? collector.Grpc : collector.Http,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol,
        }))
        {
            using (source.StartActivity("step"))
            {
                meter.CreateHistogram<double>("tests.duration", "s").Record(0.3);
            }

            host.Services.GetRequiredService<TracerProvider>().ForceFlush();
            host.Services.GetRequiredService<MeterProvider>().ForceFlush();
        }

        var span = Assert.Single(collector.Spans, s => s.Name == "step");
        Assert.Equal("tested", span.Service);
        Assert.Contains(collector.Points, p => p is { Metric: "tests.duration", Unit: "s", Service: "tested" });
    }

    [Fact]
    public async Task The_service_is_named_as_OTEL_SERVICE_NAME_says()
    {
        await using var collector = await OtlpCollector.StartAsync();
        using (var host = await StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = $"{collector.Http}/v1/traces",
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_SERVICE_NAME"] = "renamed",
        }))
        {
            source.StartActivity("step")?.Dispose();
            host.Services.GetRequiredService<TracerProvider>().ForceFlush();
            Assert.Null(host.Services.GetService<MeterProvider>());
        }

        Assert.Equal("renamed", Assert.Single(collector.Spans, s => s.Name == "step").Service);
    }

    public static TheoryData<string, string?> Off => new()
    {
        { "OTEL_EXPORTER_OTLP_ENDPOINT", null },
        { "OTEL_SDK_DISABLED", "true" },
        { "OTEL_TRACES_EXPORTER", "none" },
    };

    [Theory]
    [MemberData(nameof(Off))]
    public async Task Nothing_is_traced_without_an_endpoint_or_when_it_is_switched_off(string name, string? value)
    {
        var settings = new Dictionary<string, string?> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4317", ["OTEL_METRICS_EXPORTER"] = "none" };
        settings[name] = value;

        using var host = await StartAsync(settings);

        Assert.Null(host.Services.GetService<TracerProvider>());
        Assert.Null(source.StartActivity("step"));
    }

    [Fact]
    public async Task Prometheus_can_scrape_the_metrics()
    {
        var port = FreePort();
        using var host = await StartAsync(new() { ["OTEL_METRICS_EXPORTER"] = "prometheus", ["OTEL_EXPORTER_PROMETHEUS_PORT"] = $"{port}" });
        meter.CreateCounter<long>("tests.runs").Add(3, new KeyValuePair<string, object?>("result", "completed"));

        using var http = new HttpClient();
        var page = await http.GetStringAsync(new Uri($"http://localhost:{port}/metrics"), Ct);

        Assert.Matches("""(?m)^tests_runs_total\{[^}]*result="completed"[^}]*\} 3""", page);
    }

    public void Dispose()
    {
        source.Dispose();
        meter.Dispose();
    }

    private static async Task<IHost> StartAsync(Dictionary<string, string?> settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(settings);
        builder.AddTelemetry("tested");
        var host = builder.Build();
        await host.StartAsync(Ct);
        return host;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
