using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Integration;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(RunningStack))]
// Tests kill processes of the stack that all of them share.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace SnapshotFlow.Tests.Integration;

/// <summary>PostgreSQL, Temporal, API and workers as real processes, started once for all tests here. Each test brings its own server.</summary>
public sealed class RunningStack : IAsyncLifetime
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-test-");

    /// <summary>The processes.</summary>
    public DevelopmentStack Stack { get; private set; } = null!;

    /// <summary>A member of the project that the servers belong to.</summary>
    public TenantClient Tenant { get; private set; } = null!;

    /// <summary>A member of another project.</summary>
    public TenantClient Other { get; private set; } = null!;

    /// <summary>Nobody.</summary>
    public TenantClient Stranger { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Stack = await DevelopmentStack.StartAsync(new StackOptions { StateDirectory = directory.FullName, Ephemeral = true }, _ => { }, CancellationToken.None);
        Tenant = new TenantClient(Stack.Api, Stack.Tokens.Tenant);
        Other = new TenantClient(Stack.Api, Stack.Tokens.Other);
        Stranger = new TenantClient(Stack.Api, null);
        foreach (var resource in new[] { Quota.Snapshots, Quota.Volumes, Quota.Gigabytes })
        {
            await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, resource, Quota.Unlimited, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Tenant.Dispose();
        Other.Dispose();
        Stranger.Dispose();
        await Stack.DisposeAsync();
        directory.Delete(recursive: true);
    }

    /// <summary>A server of its own for a test.</summary>
    public Task<GuestServer> ServerAsync(GuestServerOptions? options = null) => GuestServer.StartAsync(Stack, options ?? new GuestServerOptions(), TestContext.Current.CancellationToken);

    /// <summary>What is there of snapshots, in the records and in the back end, and of quota: two of these are equal when nothing was left.</summary>
    public async Task<Holdings> HoldingsAsync(string project = Tokens.TenantProject)
    {
        var ct = TestContext.Current.CancellationToken;
        var snapshots = await new SnapshotStore(Stack.Database).ListAsync(project, new SnapshotFilter(), new Page(1000), ct);
        var quota = await new QuotaStore(Stack.Database).LevelsAsync(project, TimeProvider.System.GetUtcNow(), ct);
        return new Holdings(
            string.Join(' ', snapshots.Select(s => $"{s.Id}:{s.Status}").Order()),
            string.Join(' ', Stack.Storage.SnapshotFiles().Order()),
            string.Join(' ', quota.Select(q => $"{q.Resource}={q.InUse}+{q.Reserved}")));
    }

    /// <summary>The task state of a server, as its owner sees it.</summary>
    public async Task<string?> TaskStateAsync(GuestServer server) =>
        (await new ServerStore(Stack.Database).FindAsync(server.Id, TestContext.Current.CancellationToken))?.TaskState;

    /// <summary>Holds every cut back, so that a run stays between freeze and thaw for a moment.</summary>
    public Task DelayCutsAsync(TimeSpan delay) =>
        Stack.InjectAsync(TestContext.Current.CancellationToken, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = delay });

    /// <summary>Ends every fault.</summary>
    public Task NoFaultsAsync() => Stack.InjectAsync(TestContext.Current.CancellationToken);
}

/// <summary>What there is, as text that a failing test shows.</summary>
public sealed record Holdings(string Snapshots, string Files, string Quota);
