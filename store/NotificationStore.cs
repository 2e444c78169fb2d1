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

    /// <summary>
    /// Delivers what a sink has not got yet: every notification at least once, those of one resource in their order. One that the sink does not take holds back
    /// the later ones of its resource and no others, and is tried again after a time that doubles up to <paramref name="longestWait"/>. Two that deliver to one
    /// sink at once do it one after the other.
    /// </summary>
    /// <param name="sink">Where to.</param>
    /// <param name="sinks">Every sink there is: a notification is done with once all of them have it.</param>
    /// <param name="deliver">Hands one over; whatever it throws means that it was not taken.</param>
    /// <param name="limit">Most to deliver in one go.</param>
    /// <param name="longestWait">Longest time between two attempts.</param>
    /// <param name="now">Now.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<Delivery> DeliverAsync(
        string sink,
        IReadOnlyCollection<string> sinks,
        Func<OutboxEntry, CancellationToken, Task> deliver,
        int limit,
        TimeSpan longestWait,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        const string Alone = "SELECT pg_try_advisory_xact_lock(hashtextextended('deliver to ' || @Sink, 0))";
        const string Due = """
            SELECT n.id, n.event_type, n.publisher_id, n.resource_id, n.payload::text AS payload, n.created_at, coalesce(d.attempts, 0) AS attempts
            FROM notifications AS n LEFT JOIN notification_deliveries AS d ON d.notification_id = n.id AND d.sink = @Sink
            WHERE n.delivered_at IS NULL AND d.delivered_at IS NULL
              AND NOT EXISTS (
                SELECT FROM notification_deliveries AS w JOIN notifications AS waiting ON waiting.id = w.notification_id
                WHERE w.sink = @Sink AND w.delivered_at IS NULL AND w.next_attempt_at > @Now AND waiting.resource_id = n.resource_id AND waiting.id <= n.id)
            ORDER BY n.id
            LIMIT @Limit
            """;
        const string Record = """
            INSERT INTO notification_deliveries (notification_id, sink, attempts, next_attempt_at, delivered_at) VALUES (@Id, @Sink, @Attempts, @NextAttemptAt, @DeliveredAt)
            ON CONFLICT (notification_id, sink) DO UPDATE SET
                attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, delivered_at = excluded.delivered_at
            """;
        const string Finish = """
            UPDATE notifications AS n
            SET delivered_at = @Now
            WHERE n.id = ANY(@Ids)
              AND NOT EXISTS (
                SELECT FROM unnest(@Sinks::text[]) AS s (name)
                WHERE NOT EXISTS (SELECT FROM notification_deliveries AS d WHERE d.notification_id = n.id AND d.sink = s.name AND d.delivered_at IS NOT NULL))
            RETURNING n.id
            """;
        const string Forget = "DELETE FROM notification_deliveries WHERE notification_id = ANY(@Ids)";
        return database.WriteAsync(
            async session =>
            {
                if (!await session.ScalarAsync<bool>(Alone, new { Sink = sink }))
                {
                    return new(0, []);
                }

                var delivered = new List<long>();
                var held = new Dictionary<string, Exception>();
                foreach (var row in await session.ListAsync<OutboxRow>(Due, new { Sink = sink, Now = now, Limit = limit }))
                {
                    if (held.ContainsKey(row.ResourceId))
                    {
                        continue;
                    }

                    var refusal = await TakesAsync(deliver, row.ToModel(), cancellationToken);
                    if (refusal is null)
                    {
                        delivered.Add(row.Id);
                    }
                    else
                    {
                        held.Add(row.ResourceId, refusal);
                    }

                    await session.ExecuteAsync(Record, new
                    {
                        row.Id,
                        Sink = sink,
                        Attempts = row.Attempts + 1,
                        NextAttemptAt = refusal is null ? (DateTimeOffset?)null : now + Wait(row.Attempts, longestWait),
                        DeliveredAt = refusal is null ? now : (DateTimeOffset?)null,
                    });
                }

                var finished = await session.ListAsync<long>(Finish, new { Ids = delivered.ToArray(), Sinks = sinks.ToArray(), Now = now });
                await session.ExecuteAsync(Forget, new { Ids = finished.ToArray() });
                return new Delivery(delivered.Count, [.. held.Select(h => new Refused(h.Key, h.Value))]);
            },
            cancellationToken);
    }

    /// <summary>Null when the sink has taken it, else why not.</summary>
    private static async Task<Exception?> TakesAsync(Func<OutboxEntry, CancellationToken, Task> deliver, OutboxEntry entry, CancellationToken cancellationToken)
    {
        try
        {
            await deliver(entry, cancellationToken);
            return null;
        }
        // Whatever is wrong with a sink, it is tried again later; who gives up on all of it does not call that a failure of the sink.
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return e;
        }
    }

    private static TimeSpan Wait(int attempts, TimeSpan longest)
    {
        var wait = TimeSpan.FromSeconds(Math.Pow(2, Math.Min(attempts, 30)));
        return wait < longest ? wait : longest;
    }

    private sealed record OutboxRow
    {
        public long Id { get; init; }

        public string EventType { get; init; } = "";

        public string PublisherId { get; init; } = "";

        public string ResourceId { get; init; } = "";

        public string Payload { get; init; } = "";

        public DateTimeOffset CreatedAt { get; init; }

        public int Attempts { get; init; }

        public OutboxEntry ToModel() => new(Id, new(EventType, PublisherId, ResourceId, Payload, CreatedAt));
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

/// <summary>A notification in the outbox.</summary>
/// <param name="Id">Grows; the same for every attempt, so that whoever gets it twice can tell.</param>
/// <param name="Notification">What happened.</param>
public sealed record OutboxEntry(long Id, Notification Notification);

/// <summary>How one go at a sink went.</summary>
/// <param name="Delivered">How many notifications it has taken.</param>
/// <param name="Refused">What it has not taken, one for each resource whose later ones wait behind it.</param>
public sealed record Delivery(int Delivered, IReadOnlyList<Refused> Refused);

/// <summary>A notification that a sink has not taken.</summary>
/// <param name="ResourceId">What it is about.</param>
/// <param name="Reason">What the sink threw.</param>
public sealed record Refused(string ResourceId, Exception Reason);
