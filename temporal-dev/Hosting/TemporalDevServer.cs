using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>A running server: in its own process, or inside a test.</summary>
public sealed class TemporalDevServer : IAsyncDisposable
{
    private const string DefaultNamespace = "default";

    /// <summary>
    /// One client multiplexes every long poll of every worker over one connection; at Kestrel's default of 100 streams
    /// everything else in that process would stand still.
    /// </summary>
    private const int MaxStreamsPerConnection = 10_000;

    /// <summary>The default of 4 MiB is less than a workflow task may carry.</summary>
    private const int MaxMessageBytes = 128 * 1024 * 1024;

    private readonly WebApplication app;
    private readonly EngineHost engine;

    private TemporalDevServer(WebApplication app, EngineHost engine, string address)
    {
        this.app = app;
        this.engine = engine;
        Address = address;
    }

    /// <summary>Host and port, as a client's target host.</summary>
    public string Address { get; }

    /// <summary>Ends when the process is told to stop.</summary>
    public Task Stopped => app.WaitForShutdownAsync();

    internal EngineHost Engine => engine;

    /// <summary>Starts a server and returns when it listens.</summary>
    /// <exception cref="IOException">The address is in use; the message says which.</exception>
    public static async Task<TemporalDevServer> StartAsync(ServerOptions options, CancellationToken cancellationToken = default)
    {
        var app = Build(options);
        var engine = CreateEngine(options, app.Services.GetRequiredService<ILoggerFactory>());
        try
        {
            await engine.RecoverAsync(cancellationToken);
            await RegisterAsync(engine, options);
            Map(app, engine, options);
            await StartListeningAsync(app, options, cancellationToken);
            engine.KeepRetention();
        }
        catch
        {
            await engine.DisposeAsync();
            await app.DisposeAsync();
            throw;
        }

        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new TemporalDevServer(app, engine, new Uri(address).Authority);
    }

    public async ValueTask DisposeAsync()
    {
        // Parked polls end first: their callers would otherwise hold the stop up for a whole poll.
        engine.Matching.Dispose();
        await app.StopAsync(new CancellationToken(canceled: true));
        await engine.DisposeAsync();
        await app.DisposeAsync();
    }

    private static WebApplication Build(ServerOptions options)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders().AddSimpleConsole(c => c.SingleLine = true).SetMinimumLevel(options.LogLevel);
        builder.Logging.AddFilter("Microsoft", LogLevel.Error).AddFilter("Grpc", LogLevel.Error);
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = MaxMessageBytes;
        });
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.Http2.MaxStreamsPerConnection = MaxStreamsPerConnection;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Parse(options.Ip), options.Port, listen => listen.Protocols = HttpProtocols.Http2);
        });
        return builder.Build();
    }

    private static EngineHost CreateEngine(ServerOptions options, ILoggerFactory loggers)
    {
        var store = options.Store ?? new MemoryStore();
        var clock = new VirtualClock(TimeProvider.System, options.IsTestServer, options.StartUnlocked);
        var commits = new CommitQueue(store, static error =>
        {
            // Memory is ahead of the data: nothing may be answered from it any more.
            Console.Error.WriteLine($"temporal-dev: the store failed for good, and what it has not taken is lost: {error.Message}");
            Environment.Exit(1);
        });
        return new EngineHost(options.Engine, clock, TimeProvider.System, store, commits, loggers.CreateLogger<EngineHost>());
    }

    private static async Task RegisterAsync(EngineHost engine, ServerOptions options)
    {
        foreach (var name in options.Namespaces.Append(DefaultNamespace).Distinct(StringComparer.Ordinal))
        {
            if (!engine.Namespaces.Contains(name))
            {
                await engine.Namespaces.RegisterAsync(NamespaceRegistry.Create(name, options.Retention));
            }

            var known = engine.SearchAttributes.Of(name);
            var added = options.SearchAttributes.Where(a => known.KindOf(a.Key) is null).Select(a => KeyValuePair.Create(a.Key, ParseKind(a.Key, a.Value))).ToList();
            if (added.Count > 0)
            {
                engine.SearchAttributes.Register(name, added);
            }
        }
    }

    private static AttributeKind ParseKind(string name, string type) => AttributeKinds.TryParse(type, out var kind)
        ? kind
        : throw new ArgumentException($"search attribute {name} has the unknown type {type}; use Text, Keyword, Int, Double, Bool, Datetime or KeywordList");

    private static void Map(WebApplication app, EngineHost engine, ServerOptions options)
    {
        var binding = new GrpcBinding(app.Services.GetRequiredService<ILogger<GrpcBinding>>());
        app.MapGrpcService(binding.Bind(Temporalio.Api.WorkflowService.V1.ServiceReflection.Descriptor.Services[0], new WorkflowService(engine)));
        if (options.IsTestServer)
        {
            app.MapGrpcService(binding.Bind(Temporalio.Api.TestService.V1.ServiceReflection.Descriptor.Services[0], new TestService(engine.Clock)));
        }

        app.MapGrpcService(HealthService.Definition());
    }

    private static async Task StartListeningAsync(WebApplication app, ServerOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw new IOException($"cannot listen on {options.Ip}:{options.Port}: another process uses that port; choose another one with --port", e);
        }
    }
}
