using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

public sealed class Migrating(PrivatePostgres postgres)
{
    [Fact]
    public async Task An_empty_database_becomes_the_newest_and_stays_so()
    {
        var database = await postgres.CreateDatabaseAsync(migrated: false);
        Assert.Equal(DatabaseMigrations.Known, DatabaseMigrations.Check(database).Behind);

        Assert.Equal(DatabaseMigrations.Known, DatabaseMigrations.Apply(database));
        Assert.True(DatabaseMigrations.Check(database).IsCurrent);
        Assert.Empty(DatabaseMigrations.Apply(database));
    }

    [Fact]
    public async Task A_database_of_any_earlier_build_becomes_the_newest()
    {
        for (var known = 1; known < DatabaseMigrations.Known.Count; known++)
        {
            var database = await postgres.CreateDatabaseAsync(migrated: false);
            await using var source = NpgsqlDataSource.Create(database);
            await ExecuteAsync(source, "CREATE TABLE schema_migrations (schemaversionsid serial PRIMARY KEY, scriptname varchar(255) NOT NULL, applied timestamp NOT NULL)");
            foreach (var name in DatabaseMigrations.Known.Take(known))
            {
                using var text = new StreamReader(typeof(DatabaseMigrations).Assembly.GetManifestResourceStream(name)!);
                await ExecuteAsync(source, await text.ReadToEndAsync(TestContext.Current.CancellationToken));
                await ExecuteAsync(source, $"INSERT INTO schema_migrations (scriptname, applied) VALUES ('{name}', now())");
            }

            Assert.Equal(DatabaseMigrations.Known.Skip(known), DatabaseMigrations.Apply(database));
            Assert.True(DatabaseMigrations.Check(database).IsCurrent);
        }
    }

    [Fact]
    public async Task No_function_takes_a_row_because_its_table_could_not_be_changed_any_more_also_where_an_earlier_build_made_one()
    {
        const string Functions = "SELECT count(*)::integer FROM pg_proc AS f JOIN pg_type AS t ON t.oid = ANY (f.proargtypes) WHERE f.pronamespace = 'public'::regnamespace AND t.typrelid <> 0";
        var database = await postgres.CreateDatabaseAsync(migrated: true);
        await using var source = NpgsqlDataSource.Create(database);
        Assert.Equal(0, await CountAsync());

        await ExecuteAsync(source, """
            CREATE FUNCTION snapshot_sort_key(s snapshots, key text) RETURNS text LANGUAGE sql STABLE RETURN s.status;
            CREATE FUNCTION image_sort_key(i images, key text) RETURNS text LANGUAGE sql STABLE RETURN i.status;
            CREATE FUNCTION volume_sort_key(v volumes, key text) RETURNS text LANGUAGE sql STABLE RETURN v.status;
            DELETE FROM schema_migrations WHERE scriptname = '0029_no_functions_of_rows';
            """);
        Assert.Equal(3, await CountAsync());
        Assert.Equal(["0029_no_functions_of_rows"], DatabaseMigrations.Apply(database));
        Assert.Equal(0, await CountAsync());

        async Task<object?> CountAsync()
        {
            await using var command = source.CreateCommand(Functions);
            return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Processes_that_migrate_at_once_apply_each_migration_once()
    {
        var database = await postgres.CreateDatabaseAsync(migrated: false);
        var applied = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => DatabaseMigrations.Apply(database), TestContext.Current.CancellationToken)));
        Assert.Equal(DatabaseMigrations.Known, applied.SelectMany(a => a));
    }

    [Fact]
    public async Task A_database_of_a_newer_build_is_left_alone_and_says_so()
    {
        var database = await postgres.CreateDatabaseAsync(migrated: true);
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand("INSERT INTO schema_migrations (scriptname, applied) VALUES ('9999_from_the_future', now())");
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        var check = DatabaseMigrations.Check(database);
        Assert.False(check.IsCurrent);
        Assert.Contains("ahead of this build by 9999_from_the_future", check.ToString(), StringComparison.Ordinal);
        var e = Assert.Throws<SnapshotFlowException>(() => DatabaseMigrations.Apply(database));
        Assert.Equal(ErrorKind.BackendRefused, e.Kind);
    }

    [Fact]
    public void No_two_migrations_have_the_same_number()
    {
        Assert.All(DatabaseMigrations.Known, name => Assert.Matches("^[0-9]{4}_", name));
        Assert.Distinct(DatabaseMigrations.Known.Select(name => name[..5]));
    }

    [Fact]
    public async Task A_database_that_does_not_answer_is_an_unknown_outcome_that_is_worth_another_try()
    {
        // Nothing listens on port 1 of the loopback interface.
        await using var source = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1;Username=nobody;Timeout=5");
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(() => new Database(source).PingAsync(TestContext.Current.CancellationToken));
        Assert.Equal(ErrorKind.BackendUnavailable, e.Kind);
        Assert.True(e.Kind.IsRetryable());
    }
}
