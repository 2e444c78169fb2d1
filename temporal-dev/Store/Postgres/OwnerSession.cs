using Npgsql;
using NpgsqlTypes;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// The one connection that writes. It holds a session lock on the data, so while it lives no other server can write, and when
/// it dies this server cannot write either until it has the lock again: writing without the lock is not possible.
/// </summary>
internal sealed class OwnerSession : IAsyncDisposable
{
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);

    private readonly NpgsqlParameter<long> number = new() { NpgsqlDbType = NpgsqlDbType.Bigint };
    private readonly NpgsqlParameter<ReadOnlyMemory<byte>> changes = new() { NpgsqlDbType = NpgsqlDbType.Bytea };
    private NpgsqlCommand? append;

    private OwnerSession(NpgsqlConnection connection) => Connection = connection;

    public NpgsqlConnection Connection { get; }

    /// <summary>Connects and takes the lock.</summary>
    /// <exception cref="StoreException">Another server has it, and did not let go within the patience.</exception>
    public static async Task<OwnerSession> OpenAsync(
        NpgsqlConnectionStringBuilder settings, string schema, TimeSpan lockPatience, TimeProvider time, CancellationToken cancellationToken)
    {
        // Not pooled: a pool would keep the session, and with it the lock, after this object is gone.
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(settings.ConnectionString) { Pooling = false }.ConnectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            await SetUpAsync(connection, cancellationToken);
            var began = time.GetTimestamp();
            while (!await TryLockAsync(connection, schema, cancellationToken))
            {
                if (time.GetElapsedTime(began) > lockPatience)
                {
                    throw new StoreException(
                        $"the data in schema {schema} of database {connection.Database} belongs to another running server: {await HolderAsync(connection, schema, cancellationToken)}. "
                        + "Stop it, or give this server a database or schema of its own");
                }

                await Task.Delay(LockPause, time, cancellationToken);
            }

            return new OwnerSession(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Fails when the connection, and with it the lock, is gone.</summary>
    public async Task PingAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select 1", Connection);
        await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Which start of a server was the last one, and which batch.</summary>
    public async Task<(long Starts, long LastBatch)> ReadPositionAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select starts, coalesce((select max(batch) from journal), checkpoint) from server", Connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        await rows.ReadAsync(cancellationToken);
        return (rows.GetInt64(0), rows.GetInt64(1));
    }

    /// <summary>
    /// Makes a batch durable: one prepared statement, which is a transaction and a round trip of its own. Blocks until the answer is here.
    /// </summary>
    /// <exception cref="StoreException">There is such a batch already, which only another server can have written.</exception>
    public void Append(long batch, ReadOnlyMemory<byte> bytes)
    {
        if (append is null)
        {
            var prepared = new NpgsqlCommand("insert into journal (batch, changes) values ($1, $2)", Connection) { Parameters = { number, changes } };
            prepared.Prepare();
            append = prepared;
        }

        number.TypedValue = batch;
        changes.TypedValue = bytes;
        try
        {
            append.ExecuteNonQuery();
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new StoreException($"another server has written to the data: there is a batch {batch} already", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (append is not null)
        {
            await append.DisposeAsync();
        }

        await Connection.DisposeAsync();
    }

    /// <summary>What every connection that writes must have set.</summary>
    public static async Task SetUpAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                // An answer promises that the data survives the machine; a cluster that flushes later by default would break that.
                new("select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"),
                // Every statement here goes by primary key. Plans are kept from when the tables were empty, where scanning looks cheap.
                new("set enable_seqscan = off"),
                new("set enable_hashjoin = off"),
                new("set enable_mergejoin = off"),

                // What these settings forbid is priced so high that PostgreSQL would compile such plans, which takes longer than to run them.
                new("set jit = off"),
                // A server whose machine has vanished must not keep the lock for hours.
                new("set tcp_keepalives_idle = 10"),
                new("set tcp_keepalives_interval = 5"),
                new("set tcp_keepalives_count = 3"),
            },
        };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<bool> TryLockAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select pg_try_advisory_lock(hashtextextended($1, 0))", connection) { Parameters = { new() { Value = LockName(schema) } } };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task<string> HolderAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        const string sql = """
            select a.application_name || ', connected since ' || to_char(a.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
                || coalesce(' from ' || host(a.client_addr), '') || ' (PostgreSQL back end ' || a.pid || ')'
            from pg_locks l join pg_stat_activity a on a.pid = l.pid
            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
              and l.database = (select oid from pg_database where datname = current_database())
              and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($1, 0)
            """;
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = LockName(schema) } } };
        return await command.ExecuteScalarAsync(cancellationToken) as string ?? "it has just let go; try again";
    }

    private static string LockName(string schema) => $"temporal-dev {schema}";
}
