using System.Text.RegularExpressions;
using Npgsql;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>Which PostgreSQL keeps the server's data, and how patient the server is with it.</summary>
public sealed partial record PostgresStoreOptions
{
    public const string DefaultSchema = "temporal_dev";

    /// <summary>An Npgsql connection string, for example <c>Host=/run/postgresql;Database=temporal</c>.</summary>
    public required string ConnectionString { get; init; }

    /// <summary>The schema that holds the server's tables; made at the first start. One running server per schema.</summary>
    public string Schema { get; init; } = DefaultSchema;

    /// <summary>
    /// How long a write outlasts a database that is away, for example while it restarts. Callers wait meanwhile; afterwards the server
    /// ends itself. Default 30 s.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a start waits for the lock on the data: the back end of a killed server needs a moment to notice. Default 3 s.
    /// </summary>
    public TimeSpan LockPatience { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How often an idle server looks whether it still has the lock. Default 1 s.</summary>
    public TimeSpan WatchInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Size of the journal, in bytes, at which it is folded into the tables. More would make a start after a crash longer and gain
    /// little. Writes wait when it has grown eight times as large. Default 8 MiB.
    /// </summary>
    public long CheckpointBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>The options as Npgsql takes them, or an exception that says what is wrong with them.</summary>
    internal NpgsqlConnectionStringBuilder Parse()
    {
        if (!SchemaName().IsMatch(Schema))
        {
            throw new StoreException($"'{Schema}' cannot be the schema of the server's data: use small letters, digits and underscores, at most 63, not beginning with a digit");
        }

        try
        {
            var parsed = new NpgsqlConnectionStringBuilder(ConnectionString)
            {
                // Begins with the process id: PostgreSQL cuts the name after 63 bytes, and host names can be long.
                ApplicationName = $"temporal-dev pid {Environment.ProcessId} on {Environment.MachineName}",
                SearchPath = Schema,
                Enlist = false,
                Multiplexing = false,
                MaxAutoPrepare = 32,
                AutoPrepareMinUsages = 2,
            };
            return parsed.Host is { Length: > 0 } ? parsed : throw new StoreException("the connection string of the server's database names no Host");
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            throw new StoreException($"the connection string of the server's database is not one that Npgsql understands: {e.Message}", e);
        }
    }

    [GeneratedRegex("^[a-z_][a-z0-9_]{0,62}$")]
    private static partial Regex SchemaName();
}
