using System.Text.Json;

namespace SnapshotFlow.Store;

/// <summary>What idempotency keys stand for. A key means something only within its project. Rows are kept for good.</summary>
public sealed class IdempotencyStore(Database database)
{
    /// <summary>Takes the key for a request, unless it is taken; what it stands for then.</summary>
    public Task<IdempotentRequest> BeginAsync(string projectId, string key, byte[] digest, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // Of two requests at once one inserts, and both read what is there then.
        const string Sql = """
            INSERT INTO idempotent_requests (project_id, key, digest, began_at)
            VALUES (@ProjectId, @Key, @Digest, @Now)
            ON CONFLICT (project_id, key) DO NOTHING
            """;
        return database.ReadAsync(
            async s =>
            {
                await s.ExecuteAsync(Sql, new { ProjectId = projectId, Key = key, Digest = digest, Now = now });
                // Given back between the two statements: it is this request's now as much as anybody's.
                return await FindAsync(s, projectId, key) ?? new(digest, null);
            },
            cancellationToken);
    }

    /// <summary>Keeps the answer to a request; the first one counts, and is returned.</summary>
    public Task<KeptAnswer> AnswerAsync(string projectId, string key, byte[] digest, KeptAnswer answer, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Sql = """
            INSERT INTO idempotent_requests (project_id, key, digest, began_at, status, headers, body, answered_at)
            VALUES (@ProjectId, @Key, @Digest, @Now, @Status, @Headers::jsonb, @Body, @Now)
            ON CONFLICT (project_id, key) DO UPDATE SET
                status = excluded.status, headers = excluded.headers, body = excluded.body, answered_at = excluded.answered_at
            WHERE idempotent_requests.digest = excluded.digest AND idempotent_requests.status IS NULL
            """;
        return database.ReadAsync(
            async s =>
            {
                await s.ExecuteAsync(
                    Sql,
                    new { ProjectId = projectId, Key = key, Digest = digest, Now = now, answer.Status, Headers = JsonSerializer.Serialize(answer.Headers), answer.Body });
                return await FindAsync(s, projectId, key) is { Answer: { } first } known && known.Digest.AsSpan().SequenceEqual(digest) ? first : answer;
            },
            cancellationToken);
    }

    /// <summary>Gives the key back: nothing was begun under it. Nothing happens when it stands for an answer, or for another request.</summary>
    public Task ForgetAsync(string projectId, string key, byte[] digest, CancellationToken cancellationToken)
    {
        const string Sql = "DELETE FROM idempotent_requests WHERE project_id = @ProjectId AND key = @Key AND digest = @Digest AND status IS NULL";
        return database.ReadAsync(s => s.ExecuteAsync(Sql, new { ProjectId = projectId, Key = key, Digest = digest }), cancellationToken);
    }

    private static async Task<IdempotentRequest?> FindAsync(Session session, string projectId, string key)
    {
        const string Sql = "SELECT digest, status, headers::text AS headers, body FROM idempotent_requests WHERE project_id = @ProjectId AND key = @Key";
        return (await session.SingleOrDefaultAsync<RequestRow>(Sql, new { ProjectId = projectId, Key = key }))?.ToModel();
    }

    private sealed record RequestRow
    {
        public byte[] Digest { get; init; } = [];

        public int? Status { get; init; }

        public string Headers { get; init; } = "{}";

        public byte[] Body { get; init; } = [];

        public IdempotentRequest ToModel() =>
            new(Digest, Status is { } status ? new(status, JsonSerializer.Deserialize<Dictionary<string, string[]>>(Headers)!, Body) : null);
    }
}

/// <summary>The request that a key stands for.</summary>
/// <param name="Digest">SHA-256 of its method, path and body.</param>
/// <param name="Answer">Null while it is on its way, and after the process died that served it.</param>
public sealed record IdempotentRequest(byte[] Digest, KeptAnswer? Answer);

/// <summary>An answer as it is given again.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Headers">Those that belong to the answer; not those that every answer has anew, such as its request id.</param>
/// <param name="Body">May be empty.</param>
public sealed record KeptAnswer(int Status, IReadOnlyDictionary<string, string[]> Headers, byte[] Body);
