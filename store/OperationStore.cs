using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Deletions and restores of images: one row each.</summary>
public sealed class OperationStore(Database database)
{
    private const string Columns = """
        id, kind, image_id, project_id, user_id, request_id, status, reason_kind, reason_message, volumes::text AS volumes, leftovers::text AS leftovers,
        started_at, ended_at
        """;

    /// <summary>An operation as the caller may see it: asked for by the caller's project, or any for an administrator. Null when there is none, or none to be seen.</summary>
    public async Task<Operation?> FindVisibleAsync(OperationId id, Caller caller, CancellationToken cancellationToken) =>
        await database.ReadAsync(s => FindAsync(s, id), cancellationToken) is { } found && (caller.IsAdmin || found.ProjectId == caller.ProjectId) ? found : null;

    /// <summary>An operation whoever asks. Null when there is none.</summary>
    public async Task<Operation?> FindAsync(Session session, OperationId id)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM operations
            WHERE id = @Id
            """;
        return (await session.SingleOrDefaultAsync<OperationRow>(Sql, new { Id = id }))?.ToModel();
    }

    /// <summary>The deletion of an image that is going on by its row; null when none is.</summary>
    public Task<OperationId?> FindDeletionAsync(ImageId image, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT id FROM operations WHERE image_id = @Image AND kind = 'delete_image' AND status = 'running' ORDER BY started_at, id LIMIT 1";
        return database.ReadAsync(s => s.ScalarAsync<OperationId?>(Sql, new { Image = image }), cancellationToken);
    }

    /// <summary>Operations, newest first.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="image">On this image; null for all.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Operation>> ListAsync(string? projectId, ImageId? image, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT started_at FROM operations WHERE id = @Marker AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        const string Sql = $"""
            SELECT {Columns}
            FROM operations
            WHERE (@ProjectId::text IS NULL OR project_id = @ProjectId)
              AND (@Image::uuid IS NULL OR image_id = @Image)
              AND (@After::timestamptz IS NULL OR (started_at, id) < (@After, @Marker::uuid))
            ORDER BY started_at DESC, id DESC
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<Operation>>(
            async s =>
            {
                var after = await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.InvalidRequest, "operation");
                var args = new { ProjectId = projectId, Image = image?.Value, After = after, page.Marker, page.Limit };
                return [.. (await s.ListAsync<OperationRow>(Sql, args)).Select(r => r.ToModel())];
            },
            cancellationToken);
    }

    /// <summary>Writes the row of an operation that begins, and holds it until the transaction ends. False when it is there already, whatever became of it.</summary>
    public async Task<bool> OpenAsync(Session session, Operation operation)
    {
        const string Sql = """
            INSERT INTO operations (id, kind, image_id, project_id, user_id, request_id, status, volumes, started_at)
            VALUES (@Id, @Kind, @ImageId, @ProjectId, @UserId, @RequestId, 'running', @Volumes::jsonb, @StartedAt)
            ON CONFLICT (id) DO NOTHING
            """;
        return await session.ExecuteAsync(Sql, Args(operation)) == 1;
    }

    /// <summary>Whether an operation is going on and nobody has begun to undo it; holds its row until the transaction ends.</summary>
    public async Task<bool> IsOpenAsync(Session session, OperationId id)
    {
        const string Sql = "SELECT true FROM operations WHERE id = @Id AND status = 'running' AND undo_started_at IS NULL FOR UPDATE";
        return await session.ScalarAsync<bool>(Sql, new { Id = id });
    }

    /// <summary>Closes an operation to every forward step, also to one that comes later; writes the row of one that never got one.</summary>
    public Task BeginUndoAsync(Session session, Operation operation)
    {
        const string Sql = """
            INSERT INTO operations (id, kind, image_id, project_id, user_id, request_id, status, started_at, undo_started_at)
            VALUES (@Id, @Kind, @ImageId, @ProjectId, @UserId, @RequestId, 'running', @StartedAt, @StartedAt)
            ON CONFLICT (id) DO UPDATE SET undo_started_at = coalesce(operations.undo_started_at, excluded.undo_started_at)
            """;
        return session.ExecuteAsync(Sql, Args(operation));
    }

    /// <summary>
    /// Records how an operation ended; repeating changes nothing but what is given. Writes the row of one that never began, so that a first step that comes late
    /// finds that it is over.
    /// </summary>
    public Task CloseAsync(Session session, Operation operation)
    {
        const string Sql = """
            INSERT INTO operations (id, kind, image_id, project_id, user_id, request_id, status, reason_kind, reason_message, leftovers, started_at, ended_at)
            VALUES (@Id, @Kind, @ImageId, @ProjectId, @UserId, @RequestId, @Status, @ReasonKind, @ReasonMessage, @Leftovers::jsonb, @StartedAt, @EndedAt)
            ON CONFLICT (id) DO UPDATE SET
                status = excluded.status, reason_kind = excluded.reason_kind, reason_message = excluded.reason_message, leftovers = excluded.leftovers,
                ended_at = CASE WHEN operations.status = excluded.status THEN coalesce(operations.ended_at, excluded.ended_at) ELSE excluded.ended_at END
            """;
        return session.ExecuteAsync(Sql, Args(operation));
    }

    private static object Args(Operation o) => new
    {
        o.Id,
        Kind = o.Kind.ToText(),
        o.ImageId,
        o.ProjectId,
        o.UserId,
        o.RequestId,
        Status = o.Status.ToText(),
        ReasonKind = o.Reason?.Kind.ToText(),
        ReasonMessage = o.Reason?.Message,
        Volumes = JsonSerializer.Serialize(o.Volumes),
        Leftovers = JsonSerializer.Serialize(o.Leftovers),
        o.StartedAt,
        o.EndedAt,
    };

    private sealed record OperationRow
    {
        public OperationId Id { get; init; }

        public string Kind { get; init; } = "";

        public ImageId ImageId { get; init; }

        public string ProjectId { get; init; } = "";

        public string UserId { get; init; } = "";

        public string RequestId { get; init; } = "";

        public string Status { get; init; } = "";

        public string? ReasonKind { get; init; }

        public string? ReasonMessage { get; init; }

        public string Volumes { get; init; } = "[]";

        public string Leftovers { get; init; } = "[]";

        public DateTimeOffset StartedAt { get; init; }

        public DateTimeOffset? EndedAt { get; init; }

        public Operation ToModel() => new()
        {
            Id = Id,
            Kind = EnumText.Parse<OperationKind>(Kind),
            ImageId = ImageId,
            ProjectId = ProjectId,
            UserId = UserId,
            RequestId = RequestId,
            Status = EnumText.Parse<RunStatus>(Status),
            Reason = ReasonKind is null ? null : new Refusal(EnumText.Parse<ErrorKind>(ReasonKind), ReasonMessage ?? ""),
            Volumes = JsonSerializer.Deserialize<List<RestoredVolume>>(Volumes)!,
            Leftovers = JsonSerializer.Deserialize<List<Leftover>>(Leftovers)!,
            StartedAt = StartedAt,
            EndedAt = EndedAt,
        };
    }
}
