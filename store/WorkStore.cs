using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>What else is under way beside runs, or was done lately: restores and deletions of images, snapshots of single volumes.</summary>
public sealed class WorkStore(Database database)
{
    /// <summary>Restores and deletions of images: those that go on, then those that ended, each newest first.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="mostRunning">The most that go on.</param>
    /// <param name="mostEnded">The most that ended.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Work>> OperationsAsync(string? projectId, int mostRunning, int mostEnded, CancellationToken cancellationToken)
    {
        const string Sql = """
            WITH found AS (
              (SELECT id, kind, image_id, project_id, status, reason_message, started_at, ended_at
               FROM operations
               WHERE status = 'running' AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
               ORDER BY started_at DESC, id DESC
               LIMIT @MostRunning)
              UNION ALL
              (SELECT id, kind, image_id, project_id, status, reason_message, started_at, ended_at
               FROM operations
               WHERE status <> 'running' AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
               ORDER BY started_at DESC, id DESC
               LIMIT @MostEnded)
            )
            SELECT found.id, found.kind, found.image_id AS subject_id, found.project_id, images.name, found.status, found.reason_message AS reason, found.started_at, found.ended_at,
                   found.status = 'running' AS goes_on
            FROM found LEFT JOIN images ON images.id = found.image_id
            ORDER BY goes_on DESC, found.started_at DESC, found.id DESC
            """;
        return ListAsync(Sql, projectId, mostRunning, mostEnded, cancellationToken);
    }

    /// <summary>Snapshots that no run or operation on an image makes or deletes: those that go on, then those that are done, each newest first.</summary>
    /// <inheritdoc cref="OperationsAsync"/>
    public Task<IReadOnlyList<Work>> SnapshotsAsync(string? projectId, int mostRunning, int mostEnded, CancellationToken cancellationToken)
    {
        // The first condition is the index's own.
        const string Sql = """
            WITH found AS (
              (SELECT id, volume_id, project_id, display_name, status, created_at, updated_at
               FROM snapshots
               WHERE status NOT IN ('available', 'error', 'deleted') AND status IN ('creating', 'deleting') AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
                 AND (image_id IS NULL
                      OR NOT EXISTS (SELECT FROM runs WHERE runs.image_id = snapshots.image_id AND runs.status = 'running')
                         AND NOT EXISTS (SELECT FROM operations WHERE operations.image_id = snapshots.image_id AND operations.status = 'running'))
               ORDER BY created_at DESC, id DESC
               LIMIT @MostRunning)
              UNION ALL
              (SELECT id, volume_id, project_id, display_name, status, created_at, updated_at
               FROM snapshots
               WHERE image_id IS NULL AND deleted_at IS NULL AND status NOT IN ('creating', 'deleting') AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
               ORDER BY created_at DESC, id DESC
               LIMIT @MostEnded)
            )
            SELECT id, CASE status WHEN 'deleting' THEN 'delete_snapshot' ELSE 'create_snapshot' END AS kind, volume_id AS subject_id, project_id, display_name AS name, status,
                   CASE status WHEN 'deleting' THEN coalesce(updated_at, created_at) ELSE created_at END AS started_at, status IN ('creating', 'deleting') AS goes_on
            FROM found
            ORDER BY goes_on DESC, created_at DESC, id DESC
            """;
        return ListAsync(Sql, projectId, mostRunning, mostEnded, cancellationToken);
    }

    private Task<IReadOnlyList<Work>> ListAsync(string sql, string? projectId, int mostRunning, int mostEnded, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<Work>>(async s => await s.ListAsync<Work>(sql, new { ProjectId = projectId, MostRunning = mostRunning, MostEnded = mostEnded }), cancellationToken);
}

/// <summary>A restore or deletion of an image, or a snapshot of a single volume.</summary>
public sealed record Work
{
    /// <summary>The operation's, or the snapshot's.</summary>
    public Guid Id { get; init; }

    /// <summary><c>restore_image</c>, <c>delete_image</c>, <c>create_snapshot</c> or <c>delete_snapshot</c>.</summary>
    public string Kind { get; init; } = "";

    /// <summary>The image, or the snapshot's volume.</summary>
    public Guid SubjectId { get; init; }

    /// <summary>Whose it is.</summary>
    public string ProjectId { get; init; } = "";

    /// <summary>Name of the image or snapshot; null when it has none.</summary>
    public string? Name { get; init; }

    /// <summary>The operation's <see cref="RunStatus"/>, or the snapshot's status, as stored.</summary>
    public string Status { get; init; } = "";

    /// <summary>Why an operation did not complete.</summary>
    public string? Reason { get; init; }

    /// <summary>When it began.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When an operation ended; null while it goes on, and for snapshots, which do not say.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Whether it goes on.</summary>
    public bool GoesOn { get; init; }
}
