using Npgsql;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>The server's tables. They are made by the server itself, by whoever holds the lock on the data.</summary>
/// <remarks>
/// Two layers. A batch of transitions becomes durable as one row of <c>journal</c>, which costs one insert however many runs it touches.
/// Now and then a checkpoint folds the journal into the other tables, where a run that began and ended meanwhile is written once, and
/// deletes what it has folded. The data is the tables and, on top of them, the journal's rows. Everything the server looks for is in its
/// memory, so there is one index per table and one for the rule that a workflow id has one current run. Bytes stay in their row up to the
/// size of a page and are not compressed: compressing them would cost more than writing them.
/// </remarks>
internal static class PostgresSchema
{
    /// <summary>Format of the data. A server reads its own format and no other.</summary>
    private const int Version = 2;

    /// <summary>SQLSTATE of a checkpoint that finds the data other than expected. Classes from I on are free for applications.</summary>
    public const string Unexpected = "TD001";

    private const string Tables = """
        create table server (
            only_row   boolean primary key default true check (only_row),
            version    integer not null,
            starts     bigint not null,
            checkpoint bigint not null);
        comment on column server.starts is 'How many servers have started on the data; a server sees by it that another one has been here.';
        comment on column server.checkpoint is 'The last batch that is folded into the tables; later ones are in the journal.';

        create table journal (
            batch   bigint primary key,
            changes bytea not null) with (toast_tuple_target = 8160);
        alter table journal alter column changes set storage external;
        comment on table journal is 'Transitions that are durable and not yet folded into the tables, in the format of JournalFormat.cs';

        create table runs (
            run_id           uuid primary key,
            namespace        text not null,
            workflow_id      text not null,
            start_request_id text not null,
            is_current       boolean not null,
            is_live          boolean not null,
            last_event_id    bigint not null,
            info             bytea not null,
            side             bytea not null) with (fillfactor = 85, toast_tuple_target = 8160);
        alter table runs alter column info set storage external, alter column side set storage external;
        create unique index current_runs on runs (namespace, workflow_id) where is_current;
        comment on column runs.info is 'temporal.api.workflow.v1.WorkflowExecutionInfo';
        comment on column runs.side is 'What the run knows beyond its history, as UTF-8 JSON';
        comment on column runs.is_live is 'Open, or still owes something to another run: read at the start with its history';

        create table history (
            run_id         uuid not null,
            first_event_id bigint not null,
            last_event_id  bigint not null check (last_event_id >= first_event_id),
            events         bytea not null,
            primary key (run_id, first_event_id)) with (toast_tuple_target = 8160);
        alter table history alter column events set storage external;
        comment on column history.events is 'temporal.api.history.v1.History';

        create table blobs (
            kind  text not null,
            key   text not null,
            value bytea not null,
            primary key (kind, key));

        create function expect(actual bigint, expected bigint, otherwise text) returns void language plpgsql as $$
        begin
            if actual is distinct from expected then
                raise exception '%', otherwise using errcode = 'TD001';
            end if;
        end $$;
        """;

    /// <summary>Makes the tables if there are none, and checks that the data is of this format.</summary>
    public static async Task EnsureAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await ScalarAsync(connection, "select to_regclass('server') is null", cancellationToken) is true)
        {
            await ExecuteAsync(connection, $"create schema if not exists {schema}", cancellationToken);
            await ExecuteAsync(connection, Tables, cancellationToken);
            await ExecuteAsync(connection, $"insert into server (version, starts, checkpoint) values ({Version}, 0, 0)", cancellationToken);
        }

        var version = (int)(await ScalarAsync(connection, "select version from server", cancellationToken))!;
        if (version != Version)
        {
            throw new StoreException(
                $"the data in schema {schema} has format {version}; this server reads format {Version}. Use the server that wrote it, or give this one another schema or database");
        }

        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
