using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>The database: whether it answers, is of this build's shape, and what its records say about the product.</summary>
internal sealed class DatabaseChecks(string connectionString, TimeProvider time)
{
    private const int OldestMajor = 14;
    private static readonly TimeSpan LongestLag = TimeSpan.FromMinutes(5);

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
        found.Add(connection.PostgreSqlVersion.Major >= OldestMajor
            ? Diagnosis.Ok("database", where, $"PostgreSQL {connection.PostgreSqlVersion} answers")
            : Diagnosis.Warning("database", where, $"PostgreSQL {connection.PostgreSqlVersion} is older than what this is proven with", $"upgrade to {OldestMajor} or later"));

        await using var clock = new NpgsqlCommand("SELECT clock_timestamp()", connection);
        var asked = time.GetUtcNow();
        var said = new DateTimeOffset((DateTime)(await clock.ExecuteScalarAsync(ct))!, TimeSpan.Zero);
        found.Add(Judgement.Clock("the database", "this machine", said, asked, time.GetUtcNow()));

        await using var connections = new NpgsqlCommand(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int, current_setting('max_connections')::int", connection);
        await using var row = await connections.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        var (used, most) = (row.GetInt32(0), row.GetInt32(1));
        found.Add(used < 0.8 * most
            ? Diagnosis.Ok("database", where, $"{used} of {most} connections are used")
            : Diagnosis.Warning("database", where, $"{used} of {most} connections are used", "raise max_connections, or lower Maximum Pool Size in Store__ConnectionString"));
    }

    private async Task RecordsAsync(Database database, List<Diagnosis> found, CancellationToken ct)
    {
        try
        {
            var places = new ReconciliationStore(database);
            Places = [.. (await places.HostsAsync(ct)).Select(Names.ComputeQueue), .. (await places.BackendsAsync(ct)).Select(Names.VolumeQueue)];
            found.Add(Places.Count > 0
                ? Diagnosis.Ok("records", "places", $"{Places.Count} hosts and back ends have to be served")
                : Diagnosis.Warning("records", "places", "no server and no volume is registered, so no host and no back end is looked at", "register them: ./snapshotflow import FILE (docs/inventory.md)"));
            var levels = await new OperationsStore(database).ReadAsync(ct);
            var findings = levels.Findings.Sum(f => f.Value);
            var lag = levels.OldestUndeliveredAt is { } oldest ? time.GetUtcNow() - oldest : TimeSpan.Zero;
            found.Add(levels.WithLeftovers == 0
                ? Diagnosis.Ok("records", "runs", $"{levels.Running} go on, none left anything behind")
                : Diagnosis.Warning("records", "runs", $"{levels.WithLeftovers} left something behind", "see GET /runs?status=compensation_failed&all_projects=1 and the runbook's leftovers"));
            found.Add(findings == 0
                ? Diagnosis.Ok("records", "findings", "the reconciler has found nothing out of order")
                : Diagnosis.Warning("records", "findings", string.Join(", ", levels.Findings.Select(f => $"{f.Value} {f.Key.ToText()}")), "see GET /admin/findings?open=1 and the runbook's findings"));
            found.Add(lag < LongestLag
                ? Diagnosis.Ok("records", "notifications", $"{levels.Undelivered} wait to be delivered")
                : Diagnosis.Warning("records", "notifications", $"the oldest of {levels.Undelivered} has waited {lag.TotalMinutes:0} min", "see what the control workers log about Notifications__WebhookUrl"));
        }
        catch (SnapshotFlowException e)
        {
            found.Add(Diagnosis.Error("records", "PostgreSQL", e.Message, "try again; if it stays so, see what the database logs"));
        }
    }
}
