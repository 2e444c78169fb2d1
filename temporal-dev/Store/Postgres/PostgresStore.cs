using Npgsql;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// Keeps the server's data in PostgreSQL. All waiting transitions are one database transaction; a transaction whose outcome is not
/// known, because the connection broke under it, is looked up by its number before it is repeated.
/// </summary>
/// <remarks>
/// Writes happen on one connection that also holds the lock on the data (<see cref="OwnerSession"/>). When it breaks, the server
/// connects again, for example to a database that has restarted, and goes on only if it gets the lock and nobody has written
/// meanwhile. Otherwise it ends itself: its memory may no longer be what the data says.
/// </remarks>
public sealed partial class PostgresStore : IStore
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly PostgresStoreOptions options;
    private readonly NpgsqlConnectionStringBuilder settings;
    private readonly NpgsqlDataSource reader;
    private readonly Action<Exception> failStop;
    private readonly TimeProvider time;
    private readonly ILogger<PostgresStore> logger;
    private readonly SemaphoreSlim gate = new(1);
    private readonly CancellationTokenSource stopping = new();
    private OwnerSession? session;
    private Task watch = Task.CompletedTask;
    private long lastBatch;

    /// <param name="failStop">Called when the lock on the data is lost and cannot be had again: the server must end itself.</param>
    public PostgresStore(PostgresStoreOptions options, Action<Exception> failStop, TimeProvider time, ILogger<PostgresStore> logger)
    {
        this.options = options;
        this.failStop = failStop;
        this.time = time;
        this.logger = logger;
        settings = options.Parse();
        reader = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(settings.ConnectionString) { MaxPoolSize = 4, MinPoolSize = 0 });
    }

    public bool IsDurable => true;

    public async Task<StoredState> LoadAsync(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            session = await OpenFirstAsync(cancellationToken);
            var connection = session.Connection;
            await PostgresSchema.EnsureAsync(connection, options.Schema, cancellationToken);
            lastBatch = await CountStartAsync(connection, cancellationToken);
            var (live, closed) = await ReadRunsAsync(connection, cancellationToken);
            var state = new StoredState(await WithHistoriesAsync(connection, live, cancellationToken), closed, await ReadBlobsAsync(connection, cancellationToken));
            watch = WatchAsync();
            return state;
        }
        catch (NpgsqlException e)
        {
            throw new StoreException($"the server's database at {settings.Host} cannot be used: {e.Message}", e);
        }
        finally
        {
            gate.Release();
        }
    }

    public async Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken)
    {
        var rows = new ChangedRows(batch);
        await gate.WaitAsync(cancellationToken);
        try
        {
            await OwnAsync(owner => rows.CommitAsync(owner.Connection, lastBatch, cancellationToken), lastBatch + 1, cancellationToken);
            lastBatch++;
        }
        finally
        {
            gate.Release();
        }
    }

    public async Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                await using var connection = await reader.OpenConnectionAsync(cancellationToken);
                return await ReadRunAsync(connection, key, cancellationToken);
            }
            catch (NpgsqlException e) when (IsPassing(e) && time.GetElapsedTime(began) < options.Patience)
            {
                await Task.Delay(RetryPause, time, cancellationToken);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await watch;
        if (session is not null)
        {
            await session.DisposeAsync();
        }

        await reader.DisposeAsync();
        gate.Dispose();
        stopping.Dispose();
    }

    /// <summary>Does something as the owner of the data; after a broken connection as the owner again, unless it turns out to be done.</summary>
    /// <param name="resultingBatch">The batch that is the last one once the work is done.</param>
    private async Task OwnAsync(Func<OwnerSession, Task> work, long resultingBatch, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                if (session is null && await ReopenAsync(resultingBatch, cancellationToken) > lastBatch)
                {
                    // The commit had arrived; only its answer was lost.
                    return;
                }

                await work(session!);
                return;
            }
            catch (NpgsqlException e) when (IsPassing(e) && time.GetElapsedTime(began) < options.Patience)
            {
                Log.Interrupted(logger, e.Message);
                await CloseAsync();
                await Task.Delay(RetryPause, time, cancellationToken);
            }
        }
    }

    /// <summary>Takes the lock again and answers which batch was the last.</summary>
    private async Task<long> ReopenAsync(long resultingBatch, CancellationToken cancellationToken)
    {
        var opened = await OwnerSession.OpenAsync(settings, options.Schema, options.LockPatience, time, cancellationToken);
        try
        {
            var found = await opened.ReadLastBatchAsync(cancellationToken);
            if (found != lastBatch && found != resultingBatch)
            {
                throw new StoreException($"another server has written to the data in schema {options.Schema} while the connection was away (batch {found} after {lastBatch})");
            }

            session = opened;
            Log.Resumed(logger, found);
            return found;
        }
        catch
        {
            await opened.DisposeAsync();
            throw;
        }
    }

    private async Task CloseAsync()
    {
        if (session is { } broken)
        {
            session = null;
            await broken.DisposeAsync();
        }
    }

    /// <summary>An idle server notices, too, that it has lost its data.</summary>
    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(options.WatchInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                if (!await gate.WaitAsync(TimeSpan.Zero, stopping.Token))
                {
                    continue;
                }

                try
                {
                    await OwnAsync(owner => owner.PingAsync(stopping.Token), lastBatch, stopping.Token);
                }
                finally
                {
                    gate.Release();
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The server is stopping.
        }
        catch (Exception e)
        {
            failStop(e);
        }
    }

    private async Task<OwnerSession> OpenFirstAsync(CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await OwnerSession.OpenAsync(settings, options.Schema, options.LockPatience, time, cancellationToken);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.CannotConnectNow && time.GetElapsedTime(began) < options.Patience)
            {
                // The database is recovering from a crash of its own. Anything else is told at once.
                await Task.Delay(RetryPause, time, cancellationToken);
            }
        }
    }

    /// <summary>A start counts as a batch: a server that was thought dead and still has a batch in its hands can no longer write it.</summary>
    private static async Task<long> CountStartAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("update server set last_batch = last_batch + 1 returning last_batch", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task<(List<StoredRun> Live, List<(RunKey Key, RunHeader Header)> Closed)> ReadRunsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string sql = "select run_id, namespace, workflow_id, start_request_id, is_current, is_live, info, case when is_live then side end from runs";
        var live = new List<StoredRun>();
        var closed = new List<(RunKey, RunHeader)>();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var (key, header) = Header(rows);
            if (header.IsLive)
            {
                live.Add(new StoredRun(key, [], rows.GetFieldValue<byte[]>(7), header));
            }
            else
            {
                closed.Add((key, header));
            }
        }

        return (live, closed);
    }

    private static async Task<IReadOnlyList<StoredRun>> WithHistoriesAsync(NpgsqlConnection connection, List<StoredRun> live, CancellationToken cancellationToken)
    {
        const string sql = "select h.run_id, h.first_event_id, h.events from history h join runs r on r.run_id = h.run_id where r.is_live order by h.run_id, h.first_event_id";
        var histories = new Dictionary<Guid, List<HistoryEvent>>();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var id = rows.GetGuid(0);
            if (!histories.TryGetValue(id, out var events))
            {
                histories.Add(id, events = []);
            }

            Append(id, events, rows.GetInt64(1), rows.GetFieldValue<byte[]>(2));
        }

        return live.ConvertAll(run => run with { Events = histories.GetValueOrDefault(Guid.Parse(run.Key.RunId)) ?? [] });
    }

    private static async Task<StoredRun?> ReadRunAsync(NpgsqlConnection connection, RunKey key, CancellationToken cancellationToken)
    {
        // One statement, so that header and history are of the same moment.
        const string sql = """
            select r.run_id, r.namespace, r.workflow_id, r.start_request_id, r.is_current, r.is_live, r.info, r.side, h.first_event_id, h.events
            from runs r left join history h on h.run_id = r.run_id
            where r.run_id = $1 order by h.first_event_id
            """;
        var id = Guid.Parse(key.RunId);
        StoredRun? run = null;
        var events = new List<HistoryEvent>();
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = id } } };
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            if (run is null)
            {
                var (found, header) = Header(rows);
                run = new StoredRun(found, events, rows.GetFieldValue<byte[]>(7), header);
            }

            if (!rows.IsDBNull(8))
            {
                Append(id, events, rows.GetInt64(8), rows.GetFieldValue<byte[]>(9));
            }
        }

        return run;
    }

    private static async Task<IReadOnlyList<BlobChange>> ReadBlobsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var blobs = new List<BlobChange>();
        await using var command = new NpgsqlCommand("select kind, key, value from blobs order by kind, key", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            blobs.Add(new BlobChange(rows.GetString(0), rows.GetString(1), rows.GetFieldValue<byte[]>(2)));
        }

        return blobs;
    }

    private static (RunKey Key, RunHeader Header) Header(NpgsqlDataReader rows) => (
        new RunKey(rows.GetString(1), rows.GetString(2), rows.GetGuid(0).ToString()),
        new RunHeader(WorkflowExecutionInfo.Parser.ParseFrom(rows.GetFieldValue<byte[]>(6)), rows.GetString(3), rows.GetBoolean(4), rows.GetBoolean(5)));

    private static void Append(Guid run, List<HistoryEvent> events, long first, byte[] bytes)
    {
        if (first != events.Count + 1)
        {
            throw new StoreException($"the stored history of run {run} has a gap: event {first} follows event {events.Count}");
        }

        events.AddRange(History.Parser.ParseFrom(bytes).Events);
    }

    /// <summary>The database is away or overloaded, and may be back soon; nothing is wrong with what was asked.</summary>
    private static bool IsPassing(NpgsqlException e) =>
        e.IsTransient
        || e.InnerException is IOException or TimeoutException or System.Net.Sockets.SocketException
        || (e is PostgresException { SqlState: var state }
            && (state.StartsWith("57P", StringComparison.Ordinal) || state.StartsWith("08", StringComparison.Ordinal) || state.StartsWith("53", StringComparison.Ordinal)));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "the database does not answer and is tried again: {Reason}")]
        public static partial void Interrupted(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Warning, "the database is back; the last batch it has is {Batch}")]
        public static partial void Resumed(ILogger logger, long batch);
    }
}
