using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>What users are told went wrong after their request had been accepted.</summary>
public sealed class UserMessageStore(Database database)
{
    private const string Columns = "id, project_id, resource_type, resource_id, event_id, text, request_id, created_at";

    /// <summary>Writes a message; does nothing when it is there.</summary>
    public Task AddAsync(Session session, UserMessage message)
    {
        const string Sql = """
            INSERT INTO user_messages (id, project_id, resource_type, resource_id, event_id, text, request_id, created_at)
            VALUES (@Id, @ProjectId, @ResourceType, @ResourceId, @EventId, @Text, @RequestId, @CreatedAt)
            ON CONFLICT (id) DO NOTHING
            """;
        return session.ExecuteAsync(Sql, new
        {
            message.Id, message.ProjectId, message.ResourceType, message.ResourceId, message.EventId, message.Text, message.RequestId, message.CreatedAt,
        });
    }

    /// <summary>The messages of a project that are not too old, newest first.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="filter">Which of them.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.NotFound"/>, as in Block Storage.</param>
    /// <param name="now">Older than <see cref="UserMessage.Lifetime"/> before this are not shown.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<UserMessage>> ListAsync(string? projectId, UserMessageFilter filter, Page page, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Marker = "SELECT created_at FROM user_messages WHERE id = @Marker AND (@ProjectId::text IS NULL OR project_id = @ProjectId)";
        const string Sql = $"""
            SELECT {Columns}
            FROM user_messages
            WHERE created_at > @Oldest
              AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
              AND (@Resource::uuid IS NULL OR resource_id = @Resource)
              AND (@ResourceType::text IS NULL OR resource_type = @ResourceType)
              AND (@EventId::text IS NULL OR event_id = @EventId)
              AND (@RequestId::text IS NULL OR request_id = @RequestId)
              AND (@After::timestamptz IS NULL OR (created_at, id) < (@After, @Marker::uuid))
            ORDER BY created_at DESC, id DESC
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<UserMessage>>(
            async s =>
            {
                var after = await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.NotFound, "message");
                var args = new
                {
                    ProjectId = projectId,
                    filter.Resource,
                    filter.ResourceType,
                    filter.EventId,
                    filter.RequestId,
                    Oldest = now - UserMessage.Lifetime,
                    After = after,
                    page.Marker,
                    page.Limit,
                };
                return [.. (await s.ListAsync<MessageRow>(Sql, args)).Select(r => r.ToModel())];
            },
            cancellationToken);
    }

    /// <summary>A message as the caller may see it; null when there is none, or none to be seen.</summary>
    public async Task<UserMessage?> FindVisibleAsync(Guid id, Caller caller, CancellationToken cancellationToken)
    {
        const string Sql = $"SELECT {Columns} FROM user_messages WHERE id = @Id";
        var found = (await database.ReadAsync(s => s.SingleOrDefaultAsync<MessageRow>(Sql, new { Id = id }), cancellationToken))?.ToModel();
        return found is not null && (caller.IsAdmin || found.ProjectId == caller.ProjectId) ? found : null;
    }

    /// <summary>Deletes a message; does nothing when there is none.</summary>
    public Task DeleteAsync(Guid id, CancellationToken cancellationToken)
    {
        const string Sql = "DELETE FROM user_messages WHERE id = @Id";
        return database.WriteAsync(s => s.ExecuteAsync(Sql, new { Id = id }), cancellationToken);
    }

    private sealed record MessageRow
    {
        public Guid Id { get; init; }

        public string ProjectId { get; init; } = "";

        public string ResourceType { get; init; } = "";

        public Guid ResourceId { get; init; }

        public string EventId { get; init; } = "";

        public string Text { get; init; } = "";

        public string RequestId { get; init; } = "";

        public DateTimeOffset CreatedAt { get; init; }

        public UserMessage ToModel() => new(Id, ProjectId, ResourceType, ResourceId, EventId, Text, RequestId, CreatedAt);
    }
}

/// <summary>Which messages a list is asked for; null asks for all.</summary>
/// <param name="Resource">About this thing.</param>
/// <param name="ResourceType">About this kind of thing.</param>
/// <param name="EventId">Telling this.</param>
/// <param name="RequestId">Caused by this request.</param>
public sealed record UserMessageFilter(Guid? Resource = null, string? ResourceType = null, string? EventId = null, string? RequestId = null);
