using Npgsql;
using NpgsqlTypes;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// The rows that a batch of transitions changes. What several transitions of a batch did to one run becomes one row: only the last
/// side record counts, and the events follow each other.
/// </summary>
internal sealed class ChangedRows
{
    private const string NextBatch = """
        with counted as (update server set last_batch = $1 where last_batch = $2 returning last_batch)
        select expect(count(*), 1, 'another server has written to the data: batch ' || $2 || ' is not the last one any more') from counted
        """;

    private const string ClearCurrent = """
        update runs set is_current = false from unnest($1, $2, $3) c (namespace, workflow_id, run_id)
        where runs.namespace = c.namespace and runs.workflow_id = c.workflow_id and runs.is_current and runs.run_id <> c.run_id
        """;

    private const string PutRuns = """
        insert into runs (run_id, namespace, workflow_id, start_request_id, is_current, is_live, info, side)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (run_id) do update set
            start_request_id = excluded.start_request_id, is_current = excluded.is_current, is_live = excluded.is_live, info = excluded.info, side = excluded.side
        """;

    /// <summary>Adds nothing that does not follow the run's last event.</summary>
    private const string AppendHistory = """
        with added as (
            insert into history (run_id, first_event_id, last_event_id, events)
            select * from unnest($1, $2, $3, $4) c (run_id, first_event_id, last_event_id, events)
            where c.first_event_id = 1 + coalesce(
                (select h.last_event_id from history h where h.run_id = c.run_id order by h.first_event_id desc limit 1), 0)
            returning run_id)
        select expect(count(*), $5, 'a history does not end where its next events begin') from added
        """;

    private const string DeleteHistory = "delete from history where run_id = any ($1)";
    private const string DeleteRuns = "delete from runs where run_id = any ($1)";
    private const string PutBlobs = "insert into blobs (kind, key, value) select * from unnest($1, $2, $3) on conflict (kind, key) do update set value = excluded.value";
    private const string DeleteBlobs = "delete from blobs using unnest($1, $2) c (kind, key) where blobs.kind = c.kind and blobs.key = c.key";

    private readonly Dictionary<Guid, RunChange> runs = [];
    private readonly Dictionary<Guid, List<HistoryEvent>> appended = [];
    private readonly HashSet<Guid> deleted = [];
    private readonly Dictionary<(string Kind, string Key), byte[]?> blobs = [];

    public ChangedRows(IReadOnlyList<Transition> transitions)
    {
        foreach (var transition in transitions)
        {
            foreach (var change in transition.Runs)
            {
                Add(Guid.Parse(change.Key.RunId), change);
            }

            foreach (var key in transition.Deleted)
            {
                var id = Guid.Parse(key.RunId);
                runs.Remove(id);
                appended.Remove(id);
                deleted.Add(id);
            }

            foreach (var blob in transition.Blobs)
            {
                blobs[(blob.Kind, blob.Key)] = blob.Value;
            }
        }
    }

    /// <summary>Writes all rows, if <paramref name="lastBatch"/> is still the last one that was written.</summary>
    /// <remarks>
    /// A batch without an explicit transaction is one transaction, and one round trip: it ends where the batch ends. So what must hold is
    /// checked by the database itself, which fails the whole batch.
    /// </remarks>
    /// <exception cref="StoreException">The data is not what this server wrote last.</exception>
    public async Task CommitAsync(NpgsqlConnection connection, long lastBatch, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        Command(batch, NextBatch, lastBatch + 1, lastBatch);
        if (deleted.Count > 0)
        {
            var ids = deleted.ToArray();
            Command(batch, DeleteHistory, ids);
            Command(batch, DeleteRuns, ids);
        }

        if (runs.Count > 0)
        {
            AddRuns(batch);
        }

        if (appended.Count > 0)
        {
            AddHistory(batch);
        }

        AddBlobs(batch);
        try
        {
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState == PostgresSchema.Unexpected)
        {
            throw new StoreException(e.MessageText, e);
        }
    }

    private void Add(Guid id, RunChange change)
    {
        if (change.Header.IsCurrent)
        {
            foreach (var (other, known) in runs.Where(r => IsFormer(r.Value, change)).ToList())
            {
                runs[other] = known with { Header = known.Header with { IsCurrent = false } };
            }
        }

        runs[id] = change;
        if (change.Events.Count == 0)
        {
            return;
        }

        if (!appended.TryGetValue(id, out var events))
        {
            appended.Add(id, events = []);
        }
        else if (events[^1].EventId + 1 != change.FirstEventId)
        {
            throw new StoreException($"event {change.FirstEventId} of run {id} cannot follow event {events[^1].EventId}");
        }

        events.AddRange(change.Events);
    }

    private static bool IsFormer(RunChange known, RunChange current) =>
        known.Header.IsCurrent && known.Key.WorkflowId == current.Key.WorkflowId && known.Key.Namespace == current.Key.Namespace && known.Key.RunId != current.Key.RunId;

    private void AddRuns(NpgsqlBatch batch)
    {
        // A run becomes the current one when it begins.
        var current = runs.Where(r => r.Value.Header.IsCurrent && appended.TryGetValue(r.Key, out var events) && events[0].EventId == 1).ToArray();
        if (current.Length > 0)
        {
            Command(batch, ClearCurrent, Column(current, r => r.Value.Key.Namespace), Column(current, r => r.Value.Key.WorkflowId), Column(current, r => r.Key));
        }

        var all = runs.ToArray();
        Command(
            batch,
            PutRuns,
            Column(all, r => r.Key),
            Column(all, r => r.Value.Key.Namespace),
            Column(all, r => r.Value.Key.WorkflowId),
            Column(all, r => r.Value.Header.StartRequestId),
            Column(all, r => r.Value.Header.IsCurrent),
            Column(all, r => r.Value.Header.IsLive),
            Column(all, r => r.Value.Header.Info.ToByteArray()),
            Column(all, r => r.Value.Side));
    }

    private void AddHistory(NpgsqlBatch batch)
    {
        var all = appended.ToArray();
        Command(
            batch,
            AppendHistory,
            Column(all, r => r.Key),
            Column(all, r => r.Value[0].EventId),
            Column(all, r => r.Value[^1].EventId),
            Column(all, r => new History { Events = { r.Value } }.ToByteArray()),
            (long)all.Length);
    }

    private void AddBlobs(NpgsqlBatch batch)
    {
        var put = blobs.Where(b => b.Value is not null).ToArray();
        if (put.Length > 0)
        {
            Command(batch, PutBlobs, Column(put, b => b.Key.Kind), Column(put, b => b.Key.Key), Column(put, b => b.Value!));
        }

        var removed = blobs.Where(b => b.Value is null).ToArray();
        if (removed.Length > 0)
        {
            Command(batch, DeleteBlobs, Column(removed, b => b.Key.Kind), Column(removed, b => b.Key.Key));
        }
    }

    private static TValue[] Column<TRow, TValue>(TRow[] rows, Func<TRow, TValue> value) => Array.ConvertAll(rows, r => value(r));

    private static void Command(NpgsqlBatch batch, string sql, params ReadOnlySpan<object> values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value, NpgsqlDbType = TypeOf(value) });
        }

        batch.BatchCommands.Add(command);
    }

    // Said here, because the server cannot see from unnest alone what its arrays hold.
    private static NpgsqlDbType TypeOf(object value) => value switch
    {
        long => NpgsqlDbType.Bigint,
        Guid[] => NpgsqlDbType.Array | NpgsqlDbType.Uuid,
        string[] => NpgsqlDbType.Array | NpgsqlDbType.Text,
        bool[] => NpgsqlDbType.Array | NpgsqlDbType.Boolean,
        long[] => NpgsqlDbType.Array | NpgsqlDbType.Bigint,
        byte[][] => NpgsqlDbType.Array | NpgsqlDbType.Bytea,
        _ => throw new ArgumentException($"no column is of type {value.GetType()}"),
    };
}
