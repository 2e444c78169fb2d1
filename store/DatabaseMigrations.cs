using System.Reflection;
using DbUp;
using DbUp.Engine;
using DbUp.Engine.Transactions;
using Npgsql;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>The numbered migrations of <c>store/Migrations</c>: forward only, one transaction each, recorded in the table <c>schema_migrations</c>.</summary>
public static class DatabaseMigrations
{
    private const string Journal = "schema_migrations";

    // Any number will do as long as nothing else in the database uses it: "SnapFlow" in ASCII.
    private const long LockKey = 0x536E6170466C6F77;

    /// <summary>The migrations this build knows, in their order.</summary>
    public static IReadOnlyList<string> Known { get; } = [.. Assembly.GetExecutingAssembly().GetManifestResourceNames().Order(StringComparer.Ordinal)];

    /// <summary>Brings a database up to date; two processes that do it at once do it one after the other. Nothing happens to one that is up to date.</summary>
    /// <returns>The migrations that were applied now.</returns>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.BackendRefused"/>: a migration failed, or the database is ahead of this build.</exception>
    public static IReadOnlyList<string> Apply(string connectionString)
    {
        // The lock is the session's, and must end with it: a pooled session would go on holding it.
        using var guard = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        guard.Open();
        using var take = new NpgsqlCommand("SELECT pg_advisory_lock($1)", guard) { Parameters = { new() { Value = LockKey } }, CommandTimeout = 0 };
        take.ExecuteNonQuery();
        if (Check(connectionString) is { Ahead: [_, ..] } check)
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused, check.ToString());
        }

        var result = DeployChanges.To.PostgresqlDatabase(connectionString)
            .WithScripts(new EmbeddedScripts())
            .JournalToPostgresqlTable("public", Journal)
            .WithTransactionPerScript()
            .WithVariablesDisabled()
            .LogToNowhere()
            .Build()
            .PerformUpgrade();
        return result.Successful
            ? [.. result.Scripts.Select(s => s.Name)]
            : throw new SnapshotFlowException(ErrorKind.BackendRefused, $"Migration {result.ErrorScript?.Name} failed: {result.Error.Message}", result.Error);
    }

    /// <summary>Compares a database with this build; changes nothing.</summary>
    public static MigrationCheck Check(string connectionString)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        var applied = Applied(connection);
        return new MigrationCheck([.. Known.Except(applied)], [.. applied.Except(Known).Order(StringComparer.Ordinal)]);
    }

    private static List<string> Applied(NpgsqlConnection connection)
    {
        using var exists = new NpgsqlCommand("SELECT to_regclass('public.' || $1) IS NOT NULL", connection) { Parameters = { new() { Value = Journal } } };
        if (exists.ExecuteScalar() is not true)
        {
            return [];
        }

        using var read = new NpgsqlCommand("SELECT scriptname FROM public.schema_migrations", connection);
        using var rows = read.ExecuteReader();
        var names = new List<string>();
        while (rows.Read())
        {
            names.Add(rows.GetString(0));
        }

        return names;
    }

    private sealed class EmbeddedScripts : IScriptProvider
    {
        public IEnumerable<SqlScript> GetScripts(IConnectionManager connectionManager) => Known.Select(name =>
        {
            using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
            using var text = new StreamReader(stream);
            return new SqlScript(name, text.ReadToEnd());
        });
    }
}

/// <summary>How a database stands against this build.</summary>
/// <param name="Behind">Migrations that the database lacks.</param>
/// <param name="Ahead">Migrations that this build does not know: the database belongs to a newer one.</param>
public sealed record MigrationCheck(IReadOnlyList<string> Behind, IReadOnlyList<string> Ahead)
{
    /// <summary>Whether this build may use the database.</summary>
    public bool IsCurrent => Behind.Count == 0 && Ahead.Count == 0;

    /// <summary>What to do about it.</summary>
    public override string ToString() => this switch
    {
        { Ahead.Count: > 0 } => $"The database is ahead of this build by {string.Join(", ", Ahead)}: run a newer build.",
        { Behind.Count: > 0 } => $"The database is behind this build by {string.Join(", ", Behind)}: apply the migrations.",
        _ => "The database is up to date.",
    };
}
