using System.IO.Compression;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// Stands between workers and their Temporal server and decides when each call goes on: a history stops at exactly the event that a test wants it to stop at,
/// and a worker can be made to look dead at any moment. Passes gRPC on as it is; the server does not know that it is there.
/// </summary>
public sealed class Turnstile : IAsyncDisposable
{
    private const string Service = "/temporal.api.workflowservice.v1.WorkflowService/";

    private readonly HttpMessageInvoker upstream = new(new SocketsHttpHandler { EnableMultipleHttp2Connections = true, UseProxy = false });
    private readonly Uri server;
    private readonly WebApplication app;

    private Turnstile(string server)
    {
        this.server = new($"http://{server}");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
            kestrel.Limits.MaxRequestBodySize = null;
        });
        app = builder.Build();
        app.Run(PassAsync);
    }

    /// <summary>host:port to give to the workers.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Waits until a call may go on; null lets everything through.</summary>
    public Func<Call, CancellationToken, Task>? Gate { get; set; }

    public static async Task<Turnstile> StartAsync(string server)
    {
        var turnstile = new Turnstile(server);
        await turnstile.app.StartAsync();
        turnstile.Address = new Uri(turnstile.app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Authority;
        return turnstile;
    }

    public async ValueTask DisposeAsync()
    {
        using (var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1)))
        {
            await app.StopAsync(patience.Token);
        }

        await app.DisposeAsync();
        upstream.Dispose();
    }

    private async Task PassAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        if (Gate is { } gate && context.Request.Path.Value!.StartsWith(Service, StringComparison.Ordinal))
        {
            var call = new Call(context.Request.Path.Value[Service.Length..], body.ToArray());
            await gate(call, context.RequestAborted);
            await ForwardAsync(context, body.ToArray());
            call.Answered.TrySetResult();
            return;
        }

        await ForwardAsync(context, body.ToArray());
    }

    private async Task ForwardAsync(HttpContext context, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server, context.Request.Path.Value))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        foreach (var (name, values) in context.Request.Headers.Where(h => h.Key is not ("Host" or "Content-Length")))
        {
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        using var response = await upstream.SendAsync(request, context.RequestAborted);
        var answer = await response.Content.ReadAsByteArrayAsync(context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.Concat(response.Content.Headers).Where(h => h.Key is not "Content-Length"))
        {
            context.Response.Headers[name] = values.ToArray();
        }

        await context.Response.Body.WriteAsync(answer, context.RequestAborted);
        foreach (var (name, values) in response.TrailingHeaders)
        {
            context.Response.AppendTrailer(name, values.ToArray());
        }
    }

    /// <summary>One call of a worker.</summary>
    /// <param name="method">For example <c>RespondWorkflowTaskCompleted</c>.</param>
    /// <param name="body">The gRPC message with its five bytes of prefix.</param>
    public sealed class Call(string method, byte[] body)
    {
        public string Method => method;

        /// <summary>Which call it was in the order of arrival, as whoever holds it counts.</summary>
        public int Arrival { get; set; }

        /// <summary>Completes when the server's answer has been passed on.</summary>
        public TaskCompletionSource Answered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Whether it ends a task, with whatever outcome.</summary>
        public bool Responds => Method.StartsWith("RespondWorkflowTask", StringComparison.Ordinal) || Method.StartsWith("RespondActivityTask", StringComparison.Ordinal);

        /// <summary>The queue that it asks for a task; null when it is no poll for the tasks of a run.</summary>
        public string? PolledQueue => Method switch
        {
            "PollWorkflowTaskQueue" => PollWorkflowTaskQueueRequest.Parser.ParseFrom(Message).TaskQueue.Name,
            "PollActivityTaskQueue" => PollActivityTaskQueueRequest.Parser.ParseFrom(Message).TaskQueue.Name,
            _ => null,
        };

        /// <summary>One message behind a byte that says whether it is compressed, with gzip as the SDK does, and four for its length. Source: gRPC over HTTP/2.</summary>
        private Stream Message
        {
            get
            {
                var message = new MemoryStream(body, 5, body.Length - 5);
                return body[0] == 0 ? message : new GZipStream(message, CompressionMode.Decompress);
            }
        }
    }
}
