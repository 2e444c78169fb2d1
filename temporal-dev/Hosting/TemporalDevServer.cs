using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Store.Postgres;
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

    /// <summary>
    /// The library's default of 4 MiB is less than a workflow task may carry. A request has its own limit, with its own text: see
    /// <see cref="GrpcBinding"/>.
    /// </summary>
    private const int MaxMessageBytes = 128 * 1024 * 1024;

    /// <summary>How long a stop waits for calls under way. None takes long once nobody waits for anything.</summary>
    private static readonly TimeSpan CallsMayTake = TimeSpan.FromSeconds(1);

    private readonly WebApplication app;
    private readonly EngineHost engine;

    private readonly Scheduler scheduler;

    private TemporalDevServer(WebApplication app, EngineHost engine, Scheduler scheduler, string address)
    {
        this.app = app;
        this.engine = engine;
        this.scheduler = scheduler;
        Address = address;
    }

    /// <summary>Host and port, as a client's target host.</summary>
    public string Address { get; }

    /// <summary>Ends when the process is told to stop. What is left to do then is to dispose the server.</summary>
    public Task Stopped
    {
        get
        {
            var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            app.Lifetime.ApplicationStopping.Register(told.SetResult);
            return told.Task;
        }
    }

    internal EngineHost Engine => engine;

    /// <summary>Starts a server and returns when it listens.</summary>
    /// <exception cref="IOException">The address is in use; the message says which.</exception>
    public static async Task<TemporalDevServer> StartAsync(ServerOptions options, CancellationToken cancellationToken = default)
    {
        var app = Build(options);
        var engine = CreateEngine(options, app.Services.GetRequiredService<ILoggerFactory>());
        WorkflowService? workflows = null;
        var scheduler = new Scheduler(
            engine.Clock,
            engine.Commits,
            engine.SearchAttributes,
            new EngineActions(engine, request => workflows!.StartAsync(request)),
            app.Services.GetRequiredService<ILogger<Scheduler>>());
        workflows = new WorkflowService(engine, scheduler);
        try
        {
            // The one waits for the database while the other compiles.
            var recovering = Task.Run(() => engine.RecoverAsync(blob => Load(scheduler, blob), cancellationToken), cancellationToken);
            Map(app, engine, workflows, new OperatorService(engine, scheduler), options);
            await recovering;
            await RegisterAsync(engine, options);
            engine.RunClosed += closed => Tell(scheduler, closed);
            scheduler.Start();
            await StartListeningAsync(app, options, cancellationToken);
            engine.KeepHouse();
        }
        catch
        {
            await scheduler.DisposeAsync();
            await engine.DisposeAsync();
            await app.DisposeAsync();
            throw;
        }

        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new TemporalDevServer(app, engine, scheduler, new Uri(address).Authority);
    }

    public async ValueTask DisposeAsync()
    {
        // Whoever waits is answered first: a parked poll would otherwise hold the stop up for as long as it may wait.
        engine.EndWaits();
        using (var patience = new CancellationTokenSource(CallsMayTake))
        {
            await app.StopAsync(patience.Token);
        }

        await scheduler.DisposeAsync();
        await engine.DisposeAsync();
        await app.DisposeAsync();
    }

    private static void Load(Scheduler scheduler, BlobChange blob)
    {
        if (!Scheduler.Owns(blob))
        {
            throw new InvalidDataException($"the stored data has values of the unknown kind '{blob.Kind}'; it was written by a newer version");
        }

        scheduler.Load(blob);
    }

    private static void Tell(Scheduler scheduler, ClosedRun closed)
    {
        if (closed.NextRunId is null)
        {
            scheduler.ActionClosed(closed.FirstRunId);
        }
    }

    private static WebApplication Build(ServerOptions options)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders().AddSimpleConsole(c => c.SingleLine = true).SetMinimumLevel(options.LogLevel);
        builder.Logging.AddFilter("Microsoft", LogLevel.Error).AddFilter("Grpc", LogLevel.Error);

        // What logs requests would make an activity for each of them, for nobody.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        builder.AddTracing();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = MaxMessageBytes;
        });

        // Nothing here blocks a thread of the pool, so what arrives is handled where it arrives.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
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
        var store = options.Store ?? (options.Database is { } database
            ? new PostgresStore(database, FailStop.Now, TimeProvider.System, loggers.CreateLogger<PostgresStore>())
            : new MemoryStore());
        var clock = new VirtualClock(options.SystemTime, options.IsTestServer, options.StartUnlocked);
        var commits = new CommitQueue(store, FailStop.Now);
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
                await engine.SearchAttributes.RegisterAsync(name, added);
            }
        }
    }

    private static AttributeKind ParseKind(string name, string type) => AttributeKinds.TryParse(type, out var kind)
        ? kind
        : throw new ArgumentException($"search attribute {name} has the unknown type {type}; use Text, Keyword, Int, Double, Bool, Datetime or KeywordList");

    private static void Map(WebApplication app, EngineHost engine, WorkflowService workflows, OperatorService operators, ServerOptions options)
    {
        var binding = new GrpcBinding(app.Services.GetRequiredService<ILogger<GrpcBinding>>());
        var services = new List<ServedService>
        {
            new("temporal.api.workflowservice.v1.WorkflowService", workflows, () => Temporalio.Api.WorkflowService.V1.ServiceReflection.Descriptor),
            new("temporal.api.operatorservice.v1.OperatorService", operators, () => Temporalio.Api.OperatorService.V1.ServiceReflection.Descriptor),
        };
        if (options.IsTestServer)
        {
            services.Add(new("temporal.api.testservice.v1.TestService", new TestService(engine.Clock), () => Temporalio.Api.TestService.V1.ServiceReflection.Descriptor));
        }

        foreach (var service in services)
        {
            app.MapGrpcService(binding.Bind(service.Name, service.Implementation));
            Unimplemented.Map(app, service.Name, ServedService.CallsOf(service.Implementation.GetType()));
        }

        foreach (var reflection in Reflection.Bind(() => [.. services.Select(service => service.Describe())]))
        {
            app.MapGrpcService(reflection);
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
