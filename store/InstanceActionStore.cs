using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>What was asked of servers, and what became of it. Whoever reads has checked that the caller may see the server.</summary>
public sealed class InstanceActionStore(Database database)
{
    /// <summary>Begins an action with its one event; does nothing when the request has begun it before.</summary>
    public async Task StartAsync(Session session, ServerId server, string action, string @event, string requestId, Caller caller, DateTimeOffset now)
    {
        const string Action = """
            INSERT INTO instance_actions (server_id, action, request_id, user_id, project_id, started_at, updated_at)
            VALUES (@Server, @Action, @RequestId, @UserId, @ProjectId, @Now, @Now)
            ON CONFLICT (server_id, request_id) DO NOTHING
            """;
        const string Event = """
            INSERT INTO instance_action_events (action_id, event, started_at)
            SELECT id, @Event, @Now FROM instance_actions WHERE server_id = @Server AND request_id = @RequestId
            ON CONFLICT (action_id, event) DO NOTHING
            """;
        var args = new { Server = server, Action = action, Event = @event, RequestId = requestId, caller.UserId, caller.ProjectId, Now = now };
        await session.ExecuteAsync(Action, args);
        await session.ExecuteAsync(Event, args);
    }

    /// <summary>Ends an action and its open events; does nothing when it has ended or was never begun.</summary>
    /// <param name="session">The transaction.</param>
    /// <param name="server">The server.</param>
    /// <param name="requestId">The request.</param>
    /// <param name="error">Why it failed; null when it did not.</param>
    /// <param name="now">When.</param>
    public async Task FinishAsync(Session session, ServerId server, string requestId, string? error, DateTimeOffset now)
    {
        const string Event = """
            UPDATE instance_action_events AS e
            SET finished_at = @Now, result = CASE WHEN @Error::text IS NULL THEN 'Success' ELSE 'Error' END, details = @Error
            FROM instance_actions AS a
            WHERE a.id = e.action_id AND a.server_id = @Server AND a.request_id = @RequestId AND e.finished_at IS NULL
            """;
        const string Action = """
            UPDATE instance_actions
            SET updated_at = @Now, message = CASE WHEN @Error::text IS NULL THEN NULL ELSE 'Error' END
            WHERE server_id = @Server AND request_id = @RequestId
            """;
        var args = new { Server = server, RequestId = requestId, Error = error, Now = now };
        if (await session.ExecuteAsync(Event, args) > 0)
        {
            await session.ExecuteAsync(Action, args);
        }
    }

    /// <summary>The actions of a server, newest first, without their events.</summary>
    public Task<IReadOnlyList<InstanceAction>> ListAsync(ServerId server, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT id, server_id, action, request_id, user_id, project_id, started_at, updated_at, message
            FROM instance_actions
            WHERE server_id = @Server
            ORDER BY id DESC
            """;
        return database.ReadAsync<IReadOnlyList<InstanceAction>>(
            async s => [.. (await s.ListAsync<ActionRow>(Sql, new { Server = server })).Select(r => r.ToModel([]))], cancellationToken);
    }

    /// <summary>One action with its events; null when there is none.</summary>
    public Task<InstanceAction?> FindAsync(ServerId server, string requestId, CancellationToken cancellationToken)
    {
        const string Action = """
            SELECT id, server_id, action, request_id, user_id, project_id, started_at, updated_at, message
            FROM instance_actions
            WHERE server_id = @Server AND request_id = @RequestId
            """;
        const string Events = """
            SELECT event, started_at, finished_at, result, details FROM instance_action_events WHERE action_id = @Id ORDER BY id
            """;
        return database.ReadAsync(
            async s =>
            {
                var row = await s.SingleOrDefaultAsync<ActionRow>(Action, new { Server = server, RequestId = requestId });
                return row?.ToModel([.. (await s.ListAsync<EventRow>(Events, new { row.Id })).Select(e => e.ToModel())]);
            },
            cancellationToken);
    }

    private sealed record ActionRow
    {
        public long Id { get; init; }

        public ServerId ServerId { get; init; }

        public string Action { get; init; } = "";

        public string RequestId { get; init; } = "";

        public string UserId { get; init; } = "";

        public string ProjectId { get; init; } = "";

        public DateTimeOffset StartedAt { get; init; }

        public DateTimeOffset UpdatedAt { get; init; }

        public string? Message { get; init; }

        public InstanceAction ToModel(IReadOnlyList<InstanceActionEvent> events) =>
            new(ServerId, Action, RequestId, UserId, ProjectId, StartedAt, UpdatedAt, Message, events);
    }

    private sealed record EventRow
    {
        public string Event { get; init; } = "";

        public DateTimeOffset StartedAt { get; init; }

        public DateTimeOffset? FinishedAt { get; init; }

        public string? Result { get; init; }

        public string? Details { get; init; }

        public InstanceActionEvent ToModel() => new(Event, StartedAt, FinishedAt, Result, Details);
    }
}
