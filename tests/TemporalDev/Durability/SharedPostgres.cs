using SnapshotFlow.Tests.TemporalDev.Durability;

[assembly: AssemblyFixture(typeof(SharedPostgres))]

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>The cluster that the tests of one run share, started by the first that needs it.</summary>
public sealed class SharedPostgres : IAsyncDisposable
{
    private readonly Lazy<Task<PrivatePostgres>> cluster = new(PrivatePostgres.StartAsync);

    internal Task<PrivatePostgres> Cluster => cluster.Value;

    public async ValueTask DisposeAsync()
    {
        if (cluster.IsValueCreated)
        {
            await (await cluster.Value).DisposeAsync();
        }
    }
}
