using Npgsql;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Store.Postgres;
using static SnapshotFlow.Tests.TemporalDev.Durability.StoredThings;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>One server owns the data, and goes on owning it through a database that comes and goes.</summary>
public sealed class OwningTheData(SharedPostgres postgres) : IAsyncLifetime
{
    private const string TerminateOwner = "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())";

    private string connectionString = "";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(PrivatePostgres.Missing is not null, PrivatePostgres.Missing ?? "");
        connectionString = await (await postgres.Cluster).CreateDatabaseAsync();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_second_server_is_refused_and_told_who_has_the_data()
    {
        await using var first = Stores.Postgres(connectionString);
        await first.LoadAsync(Token);
        await using var second = Stores.Postgres(connectionString);

        var refusal = await Assert.ThrowsAsync<StoreException>(() => second.LoadAsync(Token));

        Assert.Contains("belongs to another running server", refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"pid {Environment.ProcessId} on {Environment.MachineName}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_schema_of_the_same_database_is_other_data()
    {
        await using var first = Stores.Postgres(connectionString);
        await first.LoadAsync(Token);
        await using var second = new PostgresStore(
            new PostgresStoreOptions { ConnectionString = connectionString, Schema = "another" }, e => throw e, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<PostgresStore>.Instance);

        Assert.Empty((await second.LoadAsync(Token)).Live);
    }

    [Fact]
    public async Task A_broken_connection_is_replaced_and_nothing_is_written_twice_or_lost()
    {
        var run = Run();
        await using (var store = Stores.Postgres(connectionString))
        {
            await store.LoadAsync(Token);
            for (var i = 1; i <= 20; i++)
            {
                Assert.True(await PrivatePostgres.ScalarAsync<long>(connectionString, TerminateOwner) <= 1);
                await store.WriteAsync([Of(Change(run, i, i))], Token);
            }
        }

        await using var again = Stores.Postgres(connectionString);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), Assert.Single((await again.LoadAsync(Token)).Live).Events.Select(e => e.EventId));
    }

    [Fact]
    public async Task Connections_that_break_in_the_middle_of_commits_never_apply_one_twice()
    {
        var run = Run();
        var expected = 0;
        await using (var store = Stores.Postgres(connectionString))
        {
            await store.LoadAsync(Token);
            using var written = new SemaphoreSlim(0);
            var breaking = BreakAfterWritesAsync(written, times: 20);
            var last = 0;
            while (!breaking.IsCompleted)
            {
                last++;
                await store.WriteAsync([Of(Change(run, last, last))], Token);
                written.Release();
            }

            await breaking;
            expected = last;
        }

        await using var again = Stores.Postgres(connectionString);
        Assert.Equal(expected, Assert.Single((await again.LoadAsync(Token)).Live).Events.Count);
    }

    [Fact]
    public async Task A_server_that_was_thought_dead_cannot_fold_its_journal_into_the_data_of_its_successor()
    {
        var stopped = new TaskCompletionSource<Exception>();
        await using var first = Stores.Postgres(connectionString, e => stopped.TrySetResult(e));
        await first.LoadAsync(Token);
        var run = Run();
        await first.WriteAsync([Of(Change(run, 1, 2))], Token);
        await PrivatePostgres.ExecuteOnAsync(connectionString, "update temporal_dev.server set starts = starts + 1");

        // Wants the run in the tables, where the other server's are.
        _ = first.LoadRunAsync(run, Token);

        Assert.Contains("another server", (await stopped.Task.WaitAsync(TimeSpan.FromSeconds(10), Token)).Message, StringComparison.Ordinal);
        Assert.Equal(0, await PrivatePostgres.ScalarAsync<long>(connectionString, "select count(*) from temporal_dev.runs"));
        Assert.Equal(1, await PrivatePostgres.ScalarAsync<long>(connectionString, "select count(*) from temporal_dev.journal"));
    }

    [Fact]
    public async Task Checkpoints_that_break_in_the_middle_neither_lose_nor_repeat_anything()
    {
        const string terminateCheckpoints = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'temporal-dev%' and pid not in (select pid from pg_locks where locktype = 'advisory')";
        var run = Run();
        await using (var store = Stores.Postgres(connectionString, checkpointBytes: 1))
        {
            await store.LoadAsync(Token);
            for (var i = 1; i <= 60; i++)
            {
                await store.WriteAsync([Of(Change(run, i, i))], Token);
                if (i % 3 == 0)
                {
                    await PrivatePostgres.ScalarAsync<long>(connectionString, terminateCheckpoints);
                }
            }

            Assert.Equal(60, (await store.LoadRunAsync(run, Token))!.Events.Count);
        }

        await using var again = Stores.Postgres(connectionString);
        Assert.Equal(Enumerable.Range(1, 60).Select(i => (long)i), Assert.Single((await again.LoadAsync(Token)).Live).Events.Select(e => e.EventId));
    }

    [Fact]
    public async Task Writes_wait_for_a_database_that_restarts()
    {
        await using var cluster = await PrivatePostgres.StartAsync();
        var database = await cluster.CreateDatabaseAsync();
        var run = Run();
        await using var store = Stores.Postgres(database);
        await store.LoadAsync(Token);
        await store.WriteAsync([Of(Change(run, 1, 1))], Token);
        var written = Task.CompletedTask;

        await cluster.RestartAsync(() =>
        {
            written = store.WriteAsync([Of(Change(run, 2, 2))], Token);
            Assert.False(written.IsCompleted);
            return Task.CompletedTask;
        });

        await written;
        await store.WriteAsync([Of(Change(run, 3, 3))], Token);
        Assert.Equal(3, (await store.LoadRunAsync(run, Token))!.Events.Count);
    }

    [Fact]
    public async Task A_server_whose_data_another_one_has_taken_over_stops_without_writing()
    {
        var stopped = new TaskCompletionSource<Exception>();
        await using var first = Stores.Postgres(connectionString, e => stopped.TrySetResult(e));
        await first.LoadAsync(Token);
        var second = await TakeOverAsync();
        var error = await stopped.Task.WaitAsync(TimeSpan.FromSeconds(10), Token);

        Assert.Contains("another", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreException>(() => first.WriteAsync([Of(Change(Run(), 1, 1))], Token));
        await second.DisposeAsync();
        await using var third = Stores.Postgres(connectionString);
        Assert.Empty((await third.LoadAsync(Token)).Live);
    }

    [Fact]
    public async Task A_database_that_stays_away_stops_the_server()
    {
        await using var cluster = await PrivatePostgres.StartAsync();
        var stopped = new TaskCompletionSource<Exception>();
        await using var store = Stores.Postgres(await cluster.CreateDatabaseAsync(), e => stopped.TrySetResult(e), TimeSpan.FromMilliseconds(300));
        await store.LoadAsync(Token);

        await cluster.StopAsync();

        Assert.IsAssignableFrom<NpgsqlException>(await stopped.Task.WaitAsync(TimeSpan.FromSeconds(10), Token));
    }

    [Fact]
    public async Task Data_of_another_format_is_refused()
    {
        await using (var store = Stores.Postgres(connectionString))
        {
            await store.LoadAsync(Token);
        }

        await PrivatePostgres.ExecuteOnAsync(connectionString, "update temporal_dev.server set version = 99");
        await using var older = Stores.Postgres(connectionString);
        Assert.Contains("has format 99", (await Assert.ThrowsAsync<StoreException>(() => older.LoadAsync(Token))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Host", "not one that Npgsql understands")]
    [InlineData("Database=x", "names no Host")]
    [InlineData("Host=127.0.0.1;Port=1", "cannot be used")]
    public async Task A_connection_string_that_cannot_work_is_explained(string text, string explanation)
    {
        var error = await Assert.ThrowsAsync<StoreException>(async () =>
        {
            await using var store = Stores.Postgres(text);
            await store.LoadAsync(Token);
        });

        Assert.Contains(explanation, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Breaks the first server's connection until the second one is quicker to take the lock.</summary>
    private async Task<PostgresStore> TakeOverAsync()
    {
        while (true)
        {
            var second = Stores.Postgres(connectionString);
            var loading = second.LoadAsync(Token);
            try
            {
                await PrivatePostgres.ScalarAsync<long>(connectionString, TerminateOwner);
                await loading;
                return second;
            }
            catch (StoreException)
            {
                await second.DisposeAsync();
            }
        }
    }

    /// <summary>Breaks the connection while the writer is already busy with the next commits.</summary>
    private async Task BreakAfterWritesAsync(SemaphoreSlim written, int times)
    {
        for (var broken = 0L; broken < times;)
        {
            await written.WaitAsync(Token);
            broken += await PrivatePostgres.ScalarAsync<long>(connectionString, TerminateOwner);
        }
    }
}
