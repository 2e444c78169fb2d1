using Npgsql;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>Reading: everything at the start, and single runs later.</summary>
public sealed partial class PostgresStore
{
    public async Task<StoredState> LoadAsync(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            session = await OpenFirstAsync(cancellationToken);
            var connection = session.Connection;
            await PostgresSchema.EnsureAsync(connection, options.Schema, cancellationToken);
            (starts, checkpoint) = await CountStartAsync(connection, cancellationToken);
            lastBatch = checkpoint;
            await ReadJournalAsync(connection, cancellationToken);
            var state = await ReadStateAsync(connection, cancellationToken);
            if (unfolded.Bytes > 0)
            {
                BeginCheckpoint();
            }

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

    public async Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken)
    {
        await FoldAsync(Guid.Parse(key.RunId));
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                await using var connection = await connections.OpenConnectionAsync(cancellationToken);
                return await ReadRunAsync(connection, key, cancellationToken);
            }
            catch (NpgsqlException e) when (IsPassing(e) && time.GetElapsedTime(began) < options.Patience)
            {
                await Task.Delay(RetryPause, time, cancellationToken);
            }
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

    /// <summary>From here on, a server that was thought dead can neither fold what it still has in its hands nor own the data again.</summary>
    private static async Task<(long Starts, long Checkpoint)> CountStartAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("update server set starts = starts + 1 returning starts, checkpoint", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        await rows.ReadAsync(cancellationToken);
        return (rows.GetInt64(0), rows.GetInt64(1));
    }

    private async Task ReadJournalAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select batch, changes from journal order by batch", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var number = rows.GetInt64(0);
            if (number != lastBatch + 1)
            {
                throw new StoreException($"the journal in schema {options.Schema} has a gap: batch {number} follows batch {lastBatch}");
            }

            var row = rows.GetFieldValue<byte[]>(1);
            unfolded.Add(number, JournalFormat.Read(row), row.Length);
            lastBatch = number;
        }
    }

    /// <summary>What the tables say, and on top of it what the journal says.</summary>
    private async Task<StoredState> ReadStateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var runs = await ReadRunsAsync(connection, cancellationToken);
        var histories = await ReadHistoriesAsync(connection, cancellationToken);
        var current = runs.Values.Where(r => r.Header.IsCurrent).ToDictionary(r => (r.Key.Namespace, r.Key.WorkflowId), r => Guid.Parse(r.Key.RunId));
        foreach (var id in unfolded.Deleted)
        {
            runs.Remove(id);
        }

        foreach (var (id, entry) in unfolded.Runs)
        {
            if (entry is { IsNew: true, Header.IsCurrent: true } && current.TryGetValue((entry.Key.Namespace, entry.Key.WorkflowId), out var former)
                && runs.TryGetValue(former, out var replaced))
            {
                runs[former] = replaced with { Header = replaced.Header with { IsCurrent = false } };
            }
        }

        foreach (var (id, entry) in unfolded.Runs)
        {
            var header = entry.Header ?? runs[id].Header;
            runs[id] = new StoredRun(entry.Key, [], entry.Side, header);
            Append(id, Events(histories, id), entry.Events);
        }

        foreach (var (id, events) in histories)
        {
            lastEvents[id] = events.Count;
        }

        var blobs = await ReadBlobsAsync(connection, cancellationToken);
        foreach (var (key, value) in unfolded.Blobs)
        {
            blobs[key] = value;
        }

        return new StoredState(
            [.. runs.Where(r => r.Value.Header.IsLive).Select(r => r.Value with { Events = Events(histories, r.Key) })],
            [.. runs.Values.Where(r => !r.Header.IsLive).Select(r => (r.Key, r.Header))],
            [.. blobs.Where(b => b.Value is not null).Select(b => new BlobChange(b.Key.Kind, b.Key.Key, b.Value))]);
    }

    private async Task<Dictionary<Guid, StoredRun>> ReadRunsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string sql = """
            select run_id, namespace, workflow_id, start_request_id, is_current, is_live, info, case when is_live then side end, last_event_id
            from runs
            """;
        var runs = new Dictionary<Guid, StoredRun>();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var (key, header) = Header(rows);
            var id = rows.GetGuid(0);
            runs.Add(id, new StoredRun(key, [], header.IsLive ? rows.GetFieldValue<byte[]>(7) : [], header));
            lastEvents[id] = rows.GetInt64(8);
        }

        return runs;
    }

    /// <summary>The histories of the runs that the tables call live, and of those that the journal speaks about.</summary>
    private async Task<Dictionary<Guid, List<HistoryEvent>>> ReadHistoriesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string sql = """
            select h.run_id, h.first_event_id, h.events from history h join runs r on r.run_id = h.run_id
            where r.is_live or r.run_id = any ($1) order by h.run_id, h.first_event_id
            """;
        var histories = new Dictionary<Guid, List<HistoryEvent>>();
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = unfolded.Runs.Keys.ToArray() } } };
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var id = rows.GetGuid(0);
            Append(id, Events(histories, id), rows.GetInt64(1), rows.GetFieldValue<byte[]>(2));
        }

        return histories;
    }

    private static List<HistoryEvent> Events(Dictionary<Guid, List<HistoryEvent>> histories, Guid run)
    {
        if (!histories.TryGetValue(run, out var events))
        {
            histories.Add(run, events = []);
        }

        return events;
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

    private static async Task<Dictionary<(string Kind, string Key), byte[]?>> ReadBlobsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var blobs = new Dictionary<(string, string), byte[]?>();
        await using var command = new NpgsqlCommand("select kind, key, value from blobs", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            blobs.Add((rows.GetString(0), rows.GetString(1)), rows.GetFieldValue<byte[]>(2));
        }

        return blobs;
    }

    private static (RunKey Key, RunHeader Header) Header(NpgsqlDataReader rows) => (
        new RunKey(rows.GetString(1), rows.GetString(2), rows.GetGuid(0).ToString()),
        new RunHeader(WorkflowExecutionInfo.Parser.ParseFrom(rows.GetFieldValue<byte[]>(6)), rows.GetString(3), rows.GetBoolean(4), rows.GetBoolean(5)));

    private static void Append(Guid run, List<HistoryEvent> events, long first, byte[] bytes) => Append(run, events, History.Parser.ParseFrom(bytes).Events, first);

    private static void Append(Guid run, List<HistoryEvent> events, IReadOnlyList<HistoryEvent> next) => Append(run, events, next, next.Count == 0 ? events.Count + 1 : next[0].EventId);

    private static void Append(Guid run, List<HistoryEvent> events, IReadOnlyList<HistoryEvent> next, long first)
    {
        if (first != events.Count + 1)
        {
            throw new StoreException($"the stored history of run {run} has a gap: event {first} follows event {events.Count}");
        }

        events.AddRange(next);
    }
}
