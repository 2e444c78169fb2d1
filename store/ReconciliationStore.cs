using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Reads across all records for what runs may have left behind. Writes nothing but the two guarded releases.</summary>
public sealed class ReconciliationStore(Database database)
{
    /// <summary>
    /// Whether a run of its own has put a snapshot s into its status, and nobody has changed the row since: what is being made has never been changed; the beginning of a
    /// deletion tells of it in the same transaction.
    /// </summary>
    private const string ByItsRun = """
        (CASE s.status
           WHEN 'creating' THEN s.updated_at IS NULL
           WHEN 'deleting' THEN EXISTS (
             SELECT FROM notifications AS n WHERE n.resource_id = s.id::text AND n.event_type = 'snapshot.delete.start' AND n.created_at = s.updated_at)
           ELSE false END)
        """;

    /// <summary>Every compute host that a server is recorded with, by name.</summary>
    public Task<IReadOnlyList<string>> HostsAsync(CancellationToken cancellationToken)
    {
        const string Sql = "SELECT DISTINCT host FROM servers WHERE host IS NOT NULL ORDER BY host";
        return ListAsync<string>(Sql, null, cancellationToken);
    }

    /// <summary>Every back end that a volume is recorded with, deleted volumes included: their snapshots may be there still. By name.</summary>
    public Task<IReadOnlyList<string>> BackendsAsync(CancellationToken cancellationToken)
    {
        const string Sql = "SELECT DISTINCT backend FROM volumes WHERE backend IS NOT NULL ORDER BY backend";
        return ListAsync<string>(Sql, null, cancellationToken);
    }

    /// <summary>Images whose run is not over, lists leftovers or did not complete though the row lives; that are in transition; or that have lost snapshots.</summary>
    public Task<IReadOnlyList<ImageId>> SuspiciousImagesAsync(CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT image_id FROM runs WHERE status = 'running' OR (status = 'compensation_failed' AND leftovers <> '[]')
            UNION
            SELECT i.id FROM images AS i LEFT JOIN runs AS r ON r.image_id = i.id
            WHERE i.deleted_at IS NULL
              AND (i.status NOT IN ('active', 'deactivated', 'killed') OR r.status <> 'completed'
                   OR EXISTS (SELECT FROM snapshots AS s WHERE s.image_id = i.id AND s.deleted_at IS NOT NULL))
            """;
        return ListAsync<ImageId>(Sql, null, cancellationToken);
    }

    /// <summary>Live snapshot rows that are in transition, or whose run did not complete.</summary>
    public Task<IReadOnlyList<SnapshotFact>> SuspiciousSnapshotsAsync(CancellationToken cancellationToken)
    {
        const string Sql = $"""
            SELECT s.id, v.backend, s.image_id, s.status, coalesce(s.updated_at, s.created_at) AS changed_at, {ByItsRun} AS by_its_run
            FROM snapshots AS s JOIN volumes AS v ON v.id = s.volume_id LEFT JOIN runs AS r ON r.image_id = s.image_id
            WHERE s.deleted_at IS NULL AND (s.status NOT IN ('available', 'error') OR r.status <> 'completed')
            ORDER BY s.id
            """;
        return SnapshotFactsAsync(Sql, null, missing: false, cancellationToken);
    }

    /// <summary>Live rows of finished snapshots of a back end, with ids in a range, that are not among those that the back end has.</summary>
    /// <param name="backend">The back end.</param>
    /// <param name="after">The range begins after this id; null for the beginning.</param>
    /// <param name="through">The range ends with this id; null for no end.</param>
    /// <param name="there">What the back end has in this range.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<SnapshotFact>> MissingAsync(
        string backend, SnapshotId? after, SnapshotId? through, IEnumerable<SnapshotId> there, CancellationToken cancellationToken)
    {
        // PostgreSQL orders UUIDs by their bytes, which is the order of their text.
        const string Sql = """
            SELECT s.id, v.backend, s.image_id, s.status, coalesce(s.updated_at, s.created_at) AS changed_at
            FROM snapshots AS s JOIN volumes AS v ON v.id = s.volume_id
            WHERE v.backend = @Backend AND s.status = 'available'
              AND (@After::uuid IS NULL OR s.id > @After) AND (@Through::uuid IS NULL OR s.id <= @Through)
              AND NOT s.id = ANY(@There)
            ORDER BY s.id
            """;
        var args = new { Backend = backend, After = after?.Value, Through = through?.Value, There = there.Select(s => s.Value).ToArray() };
        return SnapshotFactsAsync(Sql, args, missing: true, cancellationToken);
    }

    /// <summary>Which of these snapshots have a row: live ones without a tombstone, deleted ones with; one that was given up is left alone like a live one.</summary>
    public async Task<IReadOnlyDictionary<SnapshotId, SnapshotTombstone?>> RowsAsync(IEnumerable<SnapshotId> snapshots, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT id, volume_id, image_id, CASE WHEN NOT unmanaged THEN deleted_at END AS deleted_at FROM snapshots WHERE id = ANY(@Ids)";
        var rows = await ListAsync<TombstoneRow>(Sql, new { Ids = snapshots.Select(s => s.Value).ToArray() }, cancellationToken);
        return rows.ToDictionary(r => r.Id, r => r.DeletedAt is { } at ? new SnapshotTombstone(r.VolumeId, r.ImageId, at) : null);
    }

    /// <summary>Every open quota reservation.</summary>
    public async Task<IReadOnlyList<ReservationFact>> ReservationsAsync(CancellationToken cancellationToken)
    {
        const string Sql = "SELECT image_id, max(expires_at) AS expires_at FROM quota_reservations GROUP BY image_id ORDER BY image_id";
        return [.. (await ListAsync<ReservationRow>(Sql, null, cancellationToken)).Select(r => new ReservationFact(r.ImageId, r.ExpiresAt - QuotaStore.ReservationLifetime))];
    }

    /// <summary>Every server that an image is being made of.</summary>
    public async Task<IReadOnlyList<TaskStateFact>> TaskStatesAsync(CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT id, task_image_id, coalesce(updated_at, created_at) AS changed_at
            FROM servers
            WHERE task_state = @TaskState
            ORDER BY id
            """;
        return [.. (await ListAsync<TaskStateRow>(Sql, new { TaskState = TaskState.ImageSnapshot }, cancellationToken))
            .Select(r => new TaskStateFact(r.Id, r.TaskImageId, r.ChangedAt))];
    }

    /// <summary>Deletions and restores of images that are going on by their rows; nobody has asked Temporal about them yet.</summary>
    public async Task<IReadOnlyList<OperationFact>> OperationsAsync(CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT id, kind, image_id, started_at,
                   (SELECT count(*) FROM jsonb_array_elements(o.volumes) AS m JOIN volumes AS v ON v.id = (m ->> 'Volume')::uuid
                    WHERE v.deleted_at IS NULL AND v.status NOT IN ('creating', 'error', 'error_deleting'))::integer AS in_use
            FROM operations AS o
            WHERE status = 'running'
            ORDER BY id
            """;
        return [.. (await ListAsync<OperationFactRow>(Sql, null, cancellationToken))
            .Select(r => new OperationFact(r.Id, EnumText.Parse<OperationKind>(r.Kind), r.ImageId, r.StartedAt, r.InUse, NotAsked))];
    }

    /// <summary>Live volumes that are being deleted, and those that are being made here; nobody has asked Temporal about them yet.</summary>
    public async Task<IReadOnlyList<VolumeFact>> VolumesInTransitionAsync(CancellationToken cancellationToken)
    {
        // Only what is made here is made from a snapshot.
        const string Sql = """
            SELECT v.id, v.status, v.snapshot_id IS NOT NULL AS made_here, coalesce(v.updated_at, v.created_at) AS changed_at, v.updated_at IS NULL AS unchanged,
                   (SELECT o.id FROM operations AS o
                    WHERE o.status = 'running' AND o.kind = 'restore_image' AND o.volumes @> jsonb_build_array(jsonb_build_object('Volume', v.id))
                    ORDER BY o.id LIMIT 1) AS restore
            FROM volumes AS v
            WHERE v.deleted_at IS NULL AND (v.status = 'deleting' OR (v.status = 'creating' AND v.snapshot_id IS NOT NULL))
            ORDER BY v.id
            """;
        return [.. (await ListAsync<VolumeFactRow>(Sql, null, cancellationToken)).Select(r => new VolumeFact(r.Id, r.Status, r.MadeHere, r.Restore, r.ChangedAt, NotAsked, r.Unchanged))];
    }

    /// <summary>Whether a snapshot is still in the status that a run of its own has put it into; its row is held by the transaction.</summary>
    public Task<bool> IsByItsRunAsync(Session session, SnapshotId snapshot)
    {
        const string Sql = $"SELECT {ByItsRun} FROM snapshots AS s WHERE s.id = @Snapshot AND s.deleted_at IS NULL";
        return session.ScalarAsync<bool>(Sql, new { Snapshot = snapshot });
    }

    /// <summary>Whether nobody has changed a volume's row since it was written; it is held by the transaction.</summary>
    public Task<bool> IsUnchangedAsync(Session session, VolumeId volume)
    {
        const string Sql = "SELECT updated_at IS NULL FROM volumes WHERE id = @Volume AND deleted_at IS NULL";
        return session.ScalarAsync<bool>(Sql, new { Volume = volume });
    }

    /// <summary>Every volume that a restore has, or had, a row for, and nobody changes them until the transaction ends.</summary>
    /// <returns>Its back end, and whether it must not be touched now: somebody uses it, or an administrator has frozen its back end.</returns>
    public async Task<IReadOnlyList<(VolumeId Volume, string? Backend, bool InUse)>> LockVolumesOfRestoreAsync(Session session, OperationId restore)
    {
        // A row that says that it was made from another snapshot is not the restore's.
        const string Sql = """
            SELECT v.id, v.backend,
                   (v.deleted_at IS NULL AND v.status NOT IN ('creating', 'error', 'error_deleting'))
                   OR EXISTS (SELECT FROM frozen_backends AS f WHERE f.backend = v.backend) AS in_use
            FROM volumes AS v
            WHERE EXISTS (
              SELECT FROM operations AS o CROSS JOIN jsonb_array_elements(o.volumes) AS m
              WHERE o.id = @Restore AND v.id = (m ->> 'Volume')::uuid AND v.snapshot_id = (m ->> 'Snapshot')::uuid)
            ORDER BY v.id
            FOR NO KEY UPDATE
            """;
        return [.. (await session.ListAsync<RestoredRow>(Sql, new { Restore = restore })).Select(r => (r.Id, r.Backend, r.InUse))];
    }

    /// <summary>The runs of these images that have a row, with whether an undo has begun.</summary>
    public async Task<IReadOnlyDictionary<ImageId, RunFact>> RunsAsync(IEnumerable<ImageId> images, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT image_id, status, started_at, undo_started_at IS NOT NULL AS undo_begun, jsonb_array_length(leftovers) AS leftovers
            FROM runs
            WHERE image_id = ANY(@Ids)
            """;
        return (await ListAsync<RunFactRow>(Sql, Ids(images), cancellationToken)).ToDictionary(
            r => r.ImageId, r => new RunFact(r.ImageId, false, "", EnumText.Parse<RunStatus>(r.Status), r.StartedAt, r.UndoBegun, r.Leftovers));
    }

    /// <summary>The live rows of these images.</summary>
    public async Task<IReadOnlyList<ImageFact>> ImagesAsync(IEnumerable<ImageId> images, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT id, status, updated_at,
                   (SELECT count(*) FROM snapshots AS s WHERE s.image_id = i.id AND s.deleted_at IS NOT NULL)::integer AS deleted_snapshots
            FROM images AS i
            WHERE id = ANY(@Ids) AND deleted_at IS NULL
            ORDER BY id
            """;
        return [.. (await ListAsync<ImageFactRow>(Sql, Ids(images), cancellationToken))
            .Select(r => new ImageFact(r.Id, EnumText.Parse<ImageStatus>(r.Status), r.UpdatedAt, r.DeletedSnapshots))];
    }

    /// <summary>
    /// Closes the door of a run that is neither completed nor refused, and holds the row until the transaction ends. False when there is no such run, or its
    /// image is active though no undo had begun: somebody may use it.
    /// </summary>
    public async Task<bool> CloseDoorAsync(Session session, ImageId image, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE runs
            SET undo_started_at = coalesce(undo_started_at, @Now)
            WHERE image_id = @Image AND status NOT IN ('completed', 'refused')
              AND (undo_started_at IS NOT NULL
                   OR NOT EXISTS (SELECT FROM images AS i WHERE i.id = runs.image_id AND i.status IN ('active', 'deactivated')))
            """;
        return await session.ExecuteAsync(Sql, new { Image = image, Now = now }) == 1;
    }

    /// <summary>Every snapshot that the run for an image has, or had, a row for, with the back end of its volume.</summary>
    public async Task<IReadOnlyList<(string? Backend, VolumeId Volume, SnapshotId Snapshot)>> EverySnapshotOfAsync(Session session, ImageId image)
    {
        const string Sql = """
            SELECT s.id, s.volume_id, v.backend
            FROM snapshots AS s JOIN volumes AS v ON v.id = s.volume_id
            WHERE s.image_id = @Image
            ORDER BY s.id
            """;
        return [.. (await session.ListAsync<PlaceRow>(Sql, new { Image = image })).Select(r => (r.Backend, r.VolumeId, r.Id))];
    }

    /// <summary>
    /// Whether a snapshot has a tombstone for this volume, and no run can bring its row back: it was made on its own, or its run is over for good.
    /// A refused run does not count: its image id may be used again.
    /// </summary>
    public Task<bool> IsGivenUpAsync(VolumeId volume, SnapshotId snapshot, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT EXISTS (
              SELECT FROM snapshots AS s LEFT JOIN runs AS r ON r.image_id = s.image_id
              WHERE s.id = @Snapshot AND s.volume_id = @Volume AND s.deleted_at IS NOT NULL
                AND (s.image_id IS NULL OR r.status IN ('completed', 'failed', 'cancelled', 'compensation_failed')))
            """;
        return database.ReadAsync(s => s.ScalarAsync<bool>(Sql, new { Volume = volume, Snapshot = snapshot }), cancellationToken);
    }

    /// <summary>Drops the reservation of an image unless its run is going on. False when there was nothing to drop.</summary>
    public async Task<bool> ReleaseReservationAsync(Session session, ImageId image)
    {
        const string Sql = """
            DELETE FROM quota_reservations
            WHERE image_id = @Image AND NOT EXISTS (SELECT FROM runs WHERE runs.image_id = @Image AND runs.status = 'running')
            """;
        await HoldRunAsync(session, image);
        return await session.ExecuteAsync(Sql, new { Image = image }) > 0;
    }

    /// <summary>Clears the task state that an image holds unless its run is going on. False when there was nothing to clear.</summary>
    public async Task<bool> ReleaseServerAsync(Session session, ServerId server, ImageId image, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE servers
            SET task_state = NULL, task_image_id = NULL, updated_at = @Now
            WHERE id = @Server AND task_state = @TaskState AND task_image_id = @Image
              AND NOT EXISTS (SELECT FROM runs WHERE runs.image_id = @Image AND runs.status = 'running')
            """;
        await HoldRunAsync(session, image);
        return await session.ExecuteAsync(Sql, new { Server = server, Image = image, TaskState = TaskState.ImageSnapshot, Now = now }) == 1;
    }

    private static WorkFact NotAsked { get; } = new(false, "", null);

    private static Task HoldRunAsync(Session session, ImageId image)
    {
        // The next run for a refused image id opens this very row: it waits, and then finds things released.
        const string Sql = "SELECT true FROM runs WHERE image_id = @Image FOR UPDATE";
        return session.ScalarAsync<bool>(Sql, new { Image = image });
    }

    private async Task<IReadOnlyList<SnapshotFact>> SnapshotFactsAsync(string sql, object? args, bool missing, CancellationToken cancellationToken) =>
        [.. (await ListAsync<SnapshotFactRow>(sql, args, cancellationToken))
            .Select(r => new SnapshotFact(r.Id, r.Backend, r.ImageId, EnumText.Parse<SnapshotStatus>(r.Status), r.ChangedAt, missing, null, r.ByItsRun))];

    private async Task<IReadOnlyList<T>> ListAsync<T>(string sql, object? args, CancellationToken cancellationToken) =>
        await database.ReadAsync(s => s.ListAsync<T>(sql, args), cancellationToken);

    private static object Ids(IEnumerable<ImageId> images) => new { Ids = images.Select(i => i.Value).ToArray() };

    private sealed record SnapshotFactRow
    {
        public SnapshotId Id { get; init; }

        public string? Backend { get; init; }

        public ImageId? ImageId { get; init; }

        public string Status { get; init; } = "";

        public DateTimeOffset ChangedAt { get; init; }

        public bool ByItsRun { get; init; }
    }

    private sealed record TombstoneRow
    {
        public SnapshotId Id { get; init; }

        public VolumeId VolumeId { get; init; }

        public ImageId? ImageId { get; init; }

        public DateTimeOffset? DeletedAt { get; init; }
    }

    private sealed record ReservationRow
    {
        public ImageId ImageId { get; init; }

        public DateTimeOffset ExpiresAt { get; init; }
    }

    private sealed record TaskStateRow
    {
        public ServerId Id { get; init; }

        public ImageId? TaskImageId { get; init; }

        public DateTimeOffset ChangedAt { get; init; }
    }

    private sealed record RunFactRow
    {
        public ImageId ImageId { get; init; }

        public string Status { get; init; } = "";

        public DateTimeOffset StartedAt { get; init; }

        public bool UndoBegun { get; init; }

        public int Leftovers { get; init; }
    }

    private sealed record ImageFactRow
    {
        public ImageId Id { get; init; }

        public string Status { get; init; } = "";

        public DateTimeOffset UpdatedAt { get; init; }

        public int DeletedSnapshots { get; init; }
    }

    private sealed record OperationFactRow
    {
        public OperationId Id { get; init; }

        public string Kind { get; init; } = "";

        public ImageId ImageId { get; init; }

        public DateTimeOffset StartedAt { get; init; }

        public int InUse { get; init; }
    }

    private sealed record VolumeFactRow
    {
        public VolumeId Id { get; init; }

        public string Status { get; init; } = "";

        public bool MadeHere { get; init; }

        public bool Unchanged { get; init; }

        public OperationId? Restore { get; init; }

        public DateTimeOffset ChangedAt { get; init; }
    }

    private sealed record RestoredRow
    {
        public VolumeId Id { get; init; }

        public string? Backend { get; init; }

        public bool InUse { get; init; }
    }

    private sealed record PlaceRow
    {
        public SnapshotId Id { get; init; }

        public VolumeId VolumeId { get; init; }

        public string? Backend { get; init; }
    }
}
