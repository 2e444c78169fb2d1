using System.Collections.Concurrent;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace SnapshotFlow.Tests.Telemetry.Collector;

/// <summary>Receives OTLP on loopback, by gRPC on one port and by HTTP on the other, and keeps what came.</summary>
public sealed class OtlpCollector : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<ReceivedSpan> spans = new();
    private readonly ConcurrentQueue<ReceivedPoint> points = new();
    private readonly ConcurrentQueue<string> paths = new();

    private volatile string? lost;

    private OtlpCollector(WebApplication app) => this.app = app;

    /// <summary>Endpoint for <c>OTEL_EXPORTER_OTLP_PROTOCOL=grpc</c>.</summary>
    public string Grpc => app.Urls.First();

    /// <summary>Endpoint for <c>OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf</c>.</summary>
    public string Http => app.Urls.Last();

    public IReadOnlyCollection<ReceivedSpan> Spans => spans;

    public IReadOnlyCollection<ReceivedPoint> Points => points;

    /// <summary>What was asked for, request by request.</summary>
    public IReadOnlyCollection<string> Paths => paths;

    /// <summary>Listens.</summary>
    public static async Task<OtlpCollector> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var app = builder.Build();
        var collector = new OtlpCollector(app);
        app.MapPost("/v1/traces", context => collector.ReceiveAsync(context, framed: false));
        app.MapPost("/v1/metrics", context => collector.ReceiveAsync(context, framed: false));
        app.MapPost("/opentelemetry.proto.collector.trace.v1.TraceService/Export", context => collector.ReceiveAsync(context, framed: true));
        app.MapPost("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", context => collector.ReceiveAsync(context, framed: true));
        await app.StartAsync();
        return collector;
    }

    /// <summary>
    /// From now on keeps no span of that process, as if it had been killed before it sent any: what a process has sent by the time it is killed is luck.
    /// </summary>
    public void Lose(int processId) => lost = $":{processId}";

    /// <summary>Waits until the spans are such that the condition holds, or fails with what there is.</summary>
    public async Task<IReadOnlyList<ReceivedSpan>> WaitForAsync(string what, Func<IReadOnlyList<ReceivedSpan>, bool> condition, TimeSpan deadline)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(deadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        try
        {
            while (true)
            {
                var now = spans.ToList();
                if (condition(now))
                {
                    return now;
                }

                await timer.WaitForNextTickAsync(limit.Token);
            }
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"waited {deadline} for {what}; there is:\n{string.Join('\n', spans.Select(s => $"{s.Service} {s.Name} {s.TraceId}"))}");
        }
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context, bool framed)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        paths.Enqueue(context.Request.Path);
        // A gRPC message comes after one byte of flags and four of length.
        var message = ByteString.CopyFrom(body.ToArray().AsSpan(framed ? 5 : 0));
        if (context.Request.Path.Value!.Contains("race", StringComparison.Ordinal))
        {
            foreach (var span in OtlpMessages.Spans(message).Where(s => lost is null || !s.Resource["service.instance.id"].EndsWith(lost, StringComparison.Ordinal)))
            {
                spans.Enqueue(span);
            }
        }
        else
        {
            foreach (var point in OtlpMessages.Points(message))
            {
                points.Enqueue(point);
            }
        }

        if (framed)
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(new byte[5], context.RequestAborted);
            context.Response.AppendTrailer("grpc-status", "0");
        }
        else
        {
            context.Response.ContentType = "application/x-protobuf";
        }
    }
}
