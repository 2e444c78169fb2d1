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

    /// <summary>Begins something that has to wait for a transaction, and commits that only then.</summary>
    public async Task WhileWritingAsync(Func<Session, Task> write, Func<Task> meanwhile)
    {
        var (written, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var writing = Database.WriteAsync(
            async s =>
            {
                await write(s);
                written.SetResult();
                await release.Task;
                return true;
            },
            CancellationToken.None);
        await Task.WhenAny(written.Task, writing);
        var waiting = meanwhile();
        await Task.WhenAny(UntilBlockedAsync(1), waiting);
        release.SetResult();
        await Task.WhenAll(writing, waiting);
    }

    /// <summary>Waits until so many sessions wait for others.</summary>
    public async Task UntilBlockedAsync(long sessions)
    {
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while ((long)(await ScalarAsync("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))! < sessions)
        {
            await ticks.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Runs a statement that no store has, to arrange or to look.</summary>
    public async Task<object?> ScalarAsync(string sql)
    {
        await using var command = source!.CreateCommand(sql);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }
}
