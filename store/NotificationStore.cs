using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>The outbox: a notification is written in the transaction that makes it true.</summary>
public sealed class NotificationStore(Database database)
{
    /// <summary>Writes notifications, in order.</summary>
    public async Task AddAsync(Session session, IEnumerable<Notification> notifications)
    {
        const string Sql = """
            INSERT INTO notifications (event_type, publisher_id, resource_id, payload, created_at)
            VALUES (@EventType, @PublisherId, @ResourceId, @Payload::jsonb, @CreatedAt)
            """;
        foreach (var n in notifications)
        {
            await session.ExecuteAsync(Sql, new { n.EventType, n.PublisherId, n.ResourceId, n.Payload, n.CreatedAt });
        }
    }

    /// <summary>What was ever told about a resource, oldest first.</summary>
    public async Task<IReadOnlyList<Notification>> OfResourceAsync(string resourceId, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT event_type, publisher_id, resource_id, payload::text AS payload, created_at FROM notifications WHERE resource_id = @ResourceId ORDER BY id
            """;
        var rows = await database.ReadAsync(s => s.ListAsync<NotificationRow>(Sql, new { ResourceId = resourceId }), cancellationToken);
        return [.. rows.Select(r => new Notification(r.EventType, r.PublisherId, r.ResourceId, r.Payload, r.CreatedAt))];
    }

    private sealed record NotificationRow
    {
        public string EventType { get; init; } = "";

        public string PublisherId { get; init; } = "";

        public string ResourceId { get; init; } = "";

        public string Payload { get; init; } = "";

        public DateTimeOffset CreatedAt { get; init; }
    }
}
