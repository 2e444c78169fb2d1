using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>One life of a server, without a network: its services are called directly, its time is set by hand, its store can be cut off.</summary>
internal sealed class ModelServer : IAsyncDisposable
{
    private readonly CuttableStore store;
    private readonly ManualTime time;
    private readonly Scheduler scheduler;

    private ModelServer(MemoryStore data, ManualTime time)
    {
        this.time = time;
        store = new CuttableStore(data);
        var clock = new VirtualClock(time);
        var commits = new CommitQueue(store, _ => { });
        Engine = new EngineHost(new EngineOptions(), clock, TimeProvider.System, store, commits, NullLogger<EngineHost>.Instance);
        WorkflowService? service = null;
        scheduler = new Scheduler(
            clock, commits, Engine.SearchAttributes, new EngineActions(Engine, request => service!.StartAsync(request)), NullLogger<Scheduler>.Instance);
        Service = service = new WorkflowService(Engine, scheduler);
    }

    public EngineHost Engine { get; }

    public WorkflowService Service { get; }

    /// <summary>Completes when the store has refused its first batch.</summary>
    public Task Cut => store.Cut;

    public static async Task<ModelServer> StartAsync(MemoryStore data, ManualTime time)
    {
        var server = new ModelServer(data, time);
        await server.Engine.RecoverAsync(_ => { }, CancellationToken.None);
        if (!server.Engine.Namespaces.Contains("default"))
        {
            await server.Engine.Namespaces.RegisterAsync(NamespaceRegistry.Create("default", TimeSpan.FromDays(1)));
        }

        await server.SettleAsync();
        return server;
    }

    /// <summary>From now on the store takes this many batches, and then nothing any more: the server is as good as dead.</summary>
    public void CutAfter(int batches) => store.CutAfter(batches);

    /// <summary>Everything that is due at the present time has happened and is durable, or the store was cut.</summary>
    public async Task SettleAsync()
    {
        var rung = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Engine.Clock.Update(Engine.Clock.CreateAlarm("settle", () => rung.TrySetResult()), time.GetUtcNow(), 0);

        // The clock's thread sleeps in real time; an alarm that is first in line wakes it.
        Engine.Clock.Update(Engine.Clock.CreateAlarm("wake", () => { }), DateTimeOffset.MinValue, 0);
        await rung.Task;
        await Task.WhenAny(Task.WhenAll(Engine.Chains.Select(c => c.LastCommit)), Cut);
    }

    public async ValueTask DisposeAsync()
    {
        await scheduler.DisposeAsync();
        await Engine.DisposeAsync();
    }

    private sealed class CuttableStore(MemoryStore data) : IStore
    {
        private readonly TaskCompletionSource cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int left = int.MaxValue;

        public Task Cut => cut.Task;

        public bool IsDurable => true;

        public void CutAfter(int batches) => Volatile.Write(ref left, batches);

        public Task<StoredState> LoadAsync(CancellationToken cancellationToken) => data.LoadAsync(cancellationToken);

        public Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken)
        {
            if (Interlocked.Decrement(ref left) >= 0)
            {
                return data.WriteAsync(batch, cancellationToken);
            }

            cut.TrySetResult();
            throw new IOException("the store was cut off");
        }

        public Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken) => data.LoadRunAsync(key, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

internal sealed class ManualTime : TimeProvider
{
    private long ticks = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero).UtcTicks;

    public override DateTimeOffset GetUtcNow() => new(Volatile.Read(ref ticks), TimeSpan.Zero);

    public void Pass(TimeSpan span) => Volatile.Write(ref ticks, ticks + span.Ticks);
}

/// <summary>What a call brings along beside its request: here only a deadline, which ends polls.</summary>
internal sealed class DirectCall(TimeSpan patience) : ServerCallContext
{
    protected override string MethodCore => "";

    protected override string HostCore => "";

    protected override string PeerCore => "";

    protected override DateTime DeadlineCore { get; } = TimeProvider.System.GetUtcNow().UtcDateTime + patience;

    protected override Metadata RequestHeadersCore { get; } = [];

    protected override CancellationToken CancellationTokenCore => CancellationToken.None;

    protected override Metadata ResponseTrailersCore { get; } = [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore { get; } = new("", []);

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
}
