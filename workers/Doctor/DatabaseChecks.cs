using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>The database: whether it answers, is of this build's shape, and what its records say about the product.</summary>
internal sealed class DatabaseChecks(string connectionString, TimeProvider time)
{
    /// <summary>The task queues that hosts and back ends of the records are served on; none while the records cannot be read.</summary>
    public IReadOnlyList<string> Places { get; private set; } = [];

    public async Task<IReadOnlyList<Diagnosis>> RunAsync(CancellationToken ct)
    {
        List<Diagnosis> found = [];
        try
        {
            // A look must not keep a connection for the next one.
            var text = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false, Timeout = 10 };
            await using var source = NpgsqlDataSource.Create(text.ConnectionString);
            await LookAsync(source, found, ct);
            var check = DatabaseMigrations.Check(text.ConnectionString);
            found.Add(check.IsCurrent
                ? Diagnosis.Ok("migrations", text.Database ?? "", "the schema is this build's")
                : Diagnosis.Error("migrations", text.Database ?? "", check.ToString(), check.Ahead.Count > 0 ? "run the build that it belongs to" : "run: snapshotflow-workers migrate"));
            if (check.IsCurrent)
            {
                await RecordsAsync(new Database(source), found, ct);
            }
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or ArgumentException)
        {
            // An exception about the text may repeat part of it, which may be the password.
            found.Add(Diagnosis.Error(
                "database", "PostgreSQL", e is ArgumentException ? "Store:ConnectionString is no PostgreSQL connection string" : e.Message, "start it, or correct Store__ConnectionString; nothing else works without it"));
        }

        return found;
    }

    private async Task LookAsync(NpgsqlDataSource source, List<Diagnosis> found, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var where = $"{connection.Host}:{connection.Port}/{connection.Database}";
        found.Add(Judgement.Server(where, connection.PostgreSqlVersion));

        await using var clock = new NpgsqlCommand("SELECT clock_timestamp()", connection);
        var asked = time.GetUtcNow();
        var said = new DateTimeOffset((DateTime)(await clock.ExecuteScalarAsync(ct))!, TimeSpan.Zero);
        found.Add(Judgement.Clock("the database", "this machine", said, asked, time.GetUtcNow()));

        await using var connections = new NpgsqlCommand(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int, current_setting('max_connections')::int", connection);
        await using var row = await connections.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        found.Add(Judgement.Connections(where, row.GetInt32(0), row.GetInt32(1)));
    }

    private async Task RecordsAsync(Database database, List<Diagnosis> found, CancellationToken ct)
    {
        try
        {
            var places = new ReconciliationStore(database);
            Places = [.. (await places.HostsAsync(ct)).Select(Names.ComputeQueue), .. (await places.BackendsAsync(ct)).Select(Names.VolumeQueue)];
            found.Add(Judgement.Places(Places.Count));
            found.AddRange(Judgement.Records(await new StandingStore(database).ReadAsync(ct), time.GetUtcNow()));
        }
        catch (SnapshotFlowException e)
        {
            found.Add(Diagnosis.Error("records", "PostgreSQL", e.Message, "try again; if it stays so, see what the database logs"));
        }
    }
}
