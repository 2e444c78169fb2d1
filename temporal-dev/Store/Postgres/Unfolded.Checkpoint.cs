using Npgsql;
using NpgsqlTypes;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>Writing into the tables what only the journal has said so far.</summary>
internal sealed partial class Unfolded
{
    /// <summary>The row lock that this takes makes a server that starts wait for a checkpoint that its predecessor has still under way.</summary>
    private const string Advance = """
        with advanced as (update server set checkpoint = $1 where checkpoint = $2 and starts = $3 returning checkpoint)
        select expect(count(*), 1, 'another server has written to the data: batch ' || $2 || ' is not its last checkpoint any more') from advanced
        """;

    private const string ClearCurrent = """
        update runs set is_current = false from unnest($1, $2, $3) c (namespace, workflow_id, run_id)
        where runs.namespace = c.namespace and runs.workflow_id = c.workflow_id and runs.is_current and runs.run_id <> c.run_id
        """;

    private const string PutRuns = """
        insert into runs (run_id, namespace, workflow_id, start_request_id, is_current, is_live, last_event_id, info, side)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (run_id) do update set
            start_request_id = excluded.start_request_id, is_current = excluded.is_current, is_live = excluded.is_live,
            last_event_id = greatest(runs.last_event_id, excluded.last_event_id), info = excluded.info, side = excluded.side
        """;

    private const string UpdateRuns = """
        update runs set last_event_id = greatest(runs.last_event_id, c.last_event_id), side = c.side
        from unnest($1, $2, $3) c (run_id, last_event_id, side) where runs.run_id = c.run_id
        """;

    private const string AppendHistory = "insert into history (run_id, first_event_id, last_event_id, events) select * from unnest($1, $2, $3, $4)";
    private const string DeleteHistory = "delete from history where run_id = any ($1)";
    private const string DeleteRuns = "delete from runs where run_id = any ($1)";
    private const string PutBlobs = "insert into blobs (kind, key, value) select * from unnest($1, $2, $3) on conflict (kind, key) do update set value = excluded.value";
    private const string DeleteBlobs = "delete from blobs using unnest($1, $2) c (kind, key) where blobs.kind = c.kind and blobs.key = c.key";
    private const string TrimJournal = "delete from journal where batch <= $1";

    /// <summary>Folds all of it into the tables and takes it out of the journal.</summary>
    /// <param name="checkpoint">The last batch that is folded already.</param>
    /// <param name="starts">The server's own start.</param>
    /// <remarks>A batch of statements without an explicit transaction is one transaction, and one round trip.</remarks>
    /// <exception cref="PostgresException">With <see cref="PostgresSchema.Unexpected"/>: checkpoint or start are not as given.</exception>
    public async Task FoldAsync(NpgsqlConnection connection, long checkpoint, long starts, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        Command(batch, Advance, LastBatch, checkpoint, starts);
        if (deleted.Count > 0)
        {
            var ids = deleted.ToArray();
            Command(batch, DeleteHistory, ids);
            Command(batch, DeleteRuns, ids);
        }

        AddRuns(batch);
        AddHistory(batch);
        AddBlobs(batch);
        Command(batch, TrimJournal, LastBatch);
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private void AddRuns(NpgsqlBatch batch)
    {
        var begun = runs.Where(r => r.Value is { IsNew: true, Header.IsCurrent: true }).ToArray();
        if (begun.Length > 0)
        {
            Command(batch, ClearCurrent, Column(begun, r => r.Value.Key.Namespace), Column(begun, r => r.Value.Key.WorkflowId), Column(begun, r => r.Key));
        }

        var put = runs.Where(r => r.Value.Header is not null).ToArray();
        if (put.Length > 0)
        {
            Command(
                batch,
                PutRuns,
                Column(put, r => r.Key),
                Column(put, r => r.Value.Key.Namespace),
                Column(put, r => r.Value.Key.WorkflowId),
                Column(put, r => r.Value.Header!.StartRequestId),
                Column(put, r => r.Value.Header!.IsCurrent),
                Column(put, r => r.Value.Header!.IsLive),
                Column(put, r => LastEventId(r.Value)),
                Column(put, r => r.Value.Header!.Info.ToByteArray()),
                Column(put, r => r.Value.Side));
        }

        var changed = runs.Where(r => r.Value.Header is null).ToArray();
        if (changed.Length > 0)
        {
            Command(batch, UpdateRuns, Column(changed, r => r.Key), Column(changed, r => LastEventId(r.Value)), Column(changed, r => r.Value.Side));
        }
    }

    private static long LastEventId(Entry run) => run.Events.Count == 0 ? 0 : run.Events[^1].EventId;

    private void AddHistory(NpgsqlBatch batch)
    {
        var all = runs.Where(r => r.Value.Events.Count > 0).ToArray();
        if (all.Length > 0)
        {
            Command(
                batch,
                AppendHistory,
                Column(all, r => r.Key),
                Column(all, r => r.Value.Events[0].EventId),
                Column(all, r => r.Value.Events[^1].EventId),
                Column(all, r => new History { Events = { r.Value.Events } }.ToByteArray()));
        }
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
