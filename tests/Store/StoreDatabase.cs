using Npgsql;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>A database of a test class's own, and the stores on it.</summary>
public sealed class StoreDatabase(PrivatePostgres postgres) : IAsyncLifetime
{
    private NpgsqlDataSource? source;

    public Database Database => field ??= new Database(source!);

    public ServerStore Servers => new(Database);

    public VolumeStore Volumes => new(Database);

    public SnapshotStore Snapshots => new(Database);

    public ImageStore Images => new(Database);

    public QuotaStore Quotas => new(Database);

    public InstanceActionStore Actions => new(Database);

    public RunStore Runs => new(Database);

    public NotificationStore Notifications => new(Database);

    public ReconciliationStore Reconciliation => new(Database);

    public FindingStore Findings => new(Database);

    public OperationStore Operations => new(Database);

    public UserMessageStore Messages => new(Database);

    /// <summary>Skips the test when there is no PostgreSQL; called by every test class first.</summary>
    public void Require() => Assert.SkipWhen(postgres.Missing is not null, postgres.Missing ?? "");

    public async ValueTask InitializeAsync()
    {
        if (postgres.Missing is null)
        {
            source = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync(migrated: true));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (source is not null)
        {
            await source.DisposeAsync();
        }
    }

    /// <summary>Runs a statement that no store has, to arrange or to look.</summary>
    public async Task<object?> ScalarAsync(string sql)
    {
        await using var command = source!.CreateCommand(sql);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }
}
