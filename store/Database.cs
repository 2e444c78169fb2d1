using System.Data;
using System.Text.Json;
using Dapper;
using Npgsql;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>
/// The way into PostgreSQL: a function receives a <see cref="Session"/> and cannot forget to end it. Everything that means "no answer" becomes
/// <see cref="ErrorKind.BackendUnavailable"/>; a lost answer to a commit too, so whatever writes must be repeatable.
/// </summary>
/// <param name="source">Where it is.</param>
/// <param name="beforeCommit">Called in every transaction when all of it is written and nothing is committed; what it throws rolls back. Null: nothing.</param>
public sealed class Database(NpgsqlDataSource source, Func<Task>? beforeCommit = null)
{
    static Database()
    {
        DefaultTypeMap.MatchNamesWithUnderscores = true;
        SqlMapper.AddTypeHandler(new UtcHandler());
        SqlMapper.AddTypeHandler(new IdHandler<ServerId>());
        SqlMapper.AddTypeHandler(new IdHandler<VolumeId>());
        SqlMapper.AddTypeHandler(new IdHandler<SnapshotId>());
        SqlMapper.AddTypeHandler(new IdHandler<ImageId>());
        SqlMapper.AddTypeHandler(new IdHandler<OperationId>());
        SqlMapper.AddTypeHandler(new TextMapHandler());
    }

    /// <summary>Reads, each statement for itself.</summary>
    public Task<T> ReadAsync<T>(Func<Session, Task<T>> read, CancellationToken cancellationToken) => GuardAsync(async () =>
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        return await read(new Session(connection, null, cancellationToken));
    });

    /// <summary>Reads or writes in one transaction: committed when the function returns, rolled back when it throws.</summary>
    public Task<T> WriteAsync<T>(Func<Session, Task<T>> write, CancellationToken cancellationToken) => GuardAsync(async () =>
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        var result = await write(new Session(connection, transaction, cancellationToken));
        if (beforeCommit is not null)
        {
            await beforeCommit();
        }

        await transaction.CommitAsync(cancellationToken);
        return result;
    });

    /// <inheritdoc cref="WriteAsync{T}"/>
    public Task WriteAsync(Func<Session, Task> write, CancellationToken cancellationToken) => WriteAsync(
        async session =>
        {
            await write(session);
            return true;
        },
        cancellationToken);

    /// <summary>Whether the database answers; for readiness. <see cref="ErrorKind.BackendUnavailable"/> when it does not.</summary>
    public Task PingAsync(CancellationToken cancellationToken) => ReadAsync(session => session.ScalarAsync<int>("SELECT 1"), cancellationToken);

    private static async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (NpgsqlException e) when (e.IsTransient || e.SqlState == PostgresErrorCodes.QueryCanceled)
        {
            throw new SnapshotFlowException(ErrorKind.BackendUnavailable, $"PostgreSQL gave no answer ({e.SqlState ?? e.Message}): the outcome is unknown, try again.", e);
        }
    }

    private sealed class IdHandler<T> : SqlMapper.TypeHandler<T> where T : struct, IId<T>
    {
        public override T Parse(object value) => T.From((Guid)value);

        public override void SetValue(IDbDataParameter parameter, T value) => parameter.Value = value.Value;
    }

    // A map of texts, selected as JSON text; the parameter is JSON text too.
    private sealed class TextMapHandler : SqlMapper.TypeHandler<IReadOnlyDictionary<string, string>>
    {
        public override IReadOnlyDictionary<string, string> Parse(object value) => JsonSerializer.Deserialize<Dictionary<string, string>>((string)value)!;

        public override void SetValue(IDbDataParameter parameter, IReadOnlyDictionary<string, string>? value) => parameter.Value = JsonSerializer.Serialize(value);
    }

    // Npgsql reads timestamptz as a UTC DateTime and writes it only from UTC.
    private sealed class UtcHandler : SqlMapper.TypeHandler<DateTimeOffset>
    {
        public override DateTimeOffset Parse(object value) => new((DateTime)value, TimeSpan.Zero);

        public override void SetValue(IDbDataParameter parameter, DateTimeOffset value) => parameter.Value = value.UtcDateTime;
    }
}

/// <summary>An open connection, in a transaction or not, together with the token that every statement on it carries.</summary>
public sealed class Session
{
    private readonly NpgsqlConnection connection;
    private readonly NpgsqlTransaction? transaction;
    private readonly CancellationToken cancellationToken;

    internal Session(NpgsqlConnection connection, NpgsqlTransaction? transaction, CancellationToken cancellationToken)
    {
        this.connection = connection;
        this.transaction = transaction;
        this.cancellationToken = cancellationToken;
    }

    internal Task<int> ExecuteAsync(string sql, object? args = null) => connection.ExecuteAsync(Command(sql, args));

    internal Task<T?> ScalarAsync<T>(string sql, object? args = null) => connection.ExecuteScalarAsync<T>(Command(sql, args));

    internal Task<T?> SingleOrDefaultAsync<T>(string sql, object? args = null) => connection.QuerySingleOrDefaultAsync<T>(Command(sql, args));

    internal async Task<List<T>> ListAsync<T>(string sql, object? args = null) => (await connection.QueryAsync<T>(Command(sql, args))).AsList();

    private CommandDefinition Command(string sql, object? args) => new(sql, args, transaction, cancellationToken: cancellationToken);
}
