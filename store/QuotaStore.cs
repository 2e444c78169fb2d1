using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>
/// Limits, usage and reservations. Usage is never stored: it is added up from live rows and open reservations, so it cannot drift. A reservation has the name
/// of the image it is for, which makes reserving, committing and releasing repeatable.
/// </summary>
public sealed class QuotaStore(Database database, bool noSnapshotGbQuota = false)
{
    /// <summary>How long a reservation counts when nobody commits or releases it. Source: Cinder, <c>reservation_expire</c>, 86400 s.</summary>
    public static readonly TimeSpan ReservationLifetime = TimeSpan.FromDays(1);

    /// <summary>Of what snapshots add, that which counts: without GiB when <see cref="StoreOptions.NoSnapshotGbQuota"/> says so.</summary>
    public IReadOnlyList<QuotaDelta> OfSnapshots(IReadOnlyList<QuotaDelta> deltas) =>
        noSnapshotGbQuota ? [.. deltas.Where(d => !d.Resource.StartsWith(Quota.Gigabytes, StringComparison.Ordinal))] : deltas;

    /// <summary>
    /// Reserves all of the additions, or none and answers what is over. The same image again has its reservation already. Reservations of one project happen
    /// one after the other, so that together they never pass a limit.
    /// </summary>
    public async Task<IReadOnlyList<QuotaOverrun>> ReserveAsync(Session session, ImageId image, IReadOnlyList<QuotaDelta> deltas, DateTimeOffset now)
    {
        const string Exists = "SELECT EXISTS (SELECT FROM quota_reservations WHERE image_id = @Image AND expires_at > @Now)";
        const string Insert = """
            INSERT INTO quota_reservations (image_id, project_id, resource, delta, expires_at)
            SELECT @Image, project_id, resource, delta, @ExpiresAt FROM unnest(@Projects, @Resources, @Amounts) AS added (project_id, resource, delta)
            ON CONFLICT (image_id, project_id, resource) DO UPDATE SET delta = excluded.delta, expires_at = excluded.expires_at
            """;
        await LockAsync(session, deltas);
        if (await session.ScalarAsync<bool>(Exists, new { Image = image, Now = now }))
        {
            return [];
        }

        var overruns = await OverrunsAsync(session, deltas, now);
        if (overruns.Count == 0)
        {
            await session.ExecuteAsync(Insert, new
            {
                Image = image,
                ExpiresAt = now + ReservationLifetime,
                Projects = deltas.Select(d => d.ProjectId).ToArray(),
                Resources = deltas.Select(d => d.Resource).ToArray(),
                Amounts = deltas.Select(d => d.Amount).ToArray(),
            });
        }

        return overruns;
    }

    /// <summary>
    /// What would be over; empty when all fit. Until the transaction ends nobody else admits or reserves for these projects, so the rows that the caller
    /// inserts in it are reserved and committed at once.
    /// </summary>
    public async Task<IReadOnlyList<QuotaOverrun>> AdmitAsync(Session session, IReadOnlyList<QuotaDelta> deltas, DateTimeOffset now)
    {
        await LockAsync(session, deltas);
        return await OverrunsAsync(session, deltas, now);
    }

    /// <summary>What would be over if the additions were made now; empty when they all fit. Promises nothing for later.</summary>
    public async Task<IReadOnlyList<QuotaOverrun>> OverrunsAsync(Session session, IReadOnlyList<QuotaDelta> deltas, DateTimeOffset now) =>
        Quota.Overruns(deltas, await LevelsAsync(session, deltas.Select(d => (d.ProjectId, d.Resource)), now));

    /// <summary>GiB of the largest volume that a project may make; null for no limit.</summary>
    public async Task<int?> LargestVolumeAsync(Session session, string projectId)
    {
        const string Sql = "SELECT hard_limit FROM quotas WHERE project_id = @ProjectId AND resource = @Resource AND hard_limit >= 0";
        return await session.ScalarAsync<int?>(Sql, new { ProjectId = projectId, Resource = Quota.PerVolumeGigabytes });
    }

    /// <summary>
    /// Ends the reservation of an image. Where its snapshot rows are live they count as in use from now on, which commits it; where they are gone or never
    /// were, it is released. Does nothing when there is none.
    /// </summary>
    public Task CloseAsync(Session session, ImageId image)
    {
        const string Sql = "DELETE FROM quota_reservations WHERE image_id = @Image";
        return session.ExecuteAsync(Sql, new { Image = image });
    }

    /// <summary>How a project stands: <c>snapshots</c>, <c>gigabytes</c>, <c>volumes</c>, and every per-type resource that has a limit, a use or a reservation. By name.</summary>
    public Task<IReadOnlyList<QuotaLevel>> LevelsAsync(string projectId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Named = """
            SELECT resource FROM quotas WHERE project_id = @ProjectId
            UNION SELECT resource FROM quota_reservations WHERE project_id = @ProjectId AND expires_at > @Now
            UNION SELECT r || '_' || volume_type FROM snapshots, unnest(ARRAY['snapshots', 'gigabytes']) AS r
                  WHERE project_id = @ProjectId AND volume_type IS NOT NULL AND deleted_at IS NULL
            UNION SELECT r || '_' || volume_type FROM volumes, unnest(ARRAY['volumes', 'gigabytes']) AS r
                  WHERE project_id = @ProjectId AND volume_type IS NOT NULL AND deleted_at IS NULL
            """;
        return database.ReadAsync<IReadOnlyList<QuotaLevel>>(
            async s =>
            {
                var named = await s.ListAsync<string>(Named, new { ProjectId = projectId, Now = now });
                var resources = named.Union([Quota.Snapshots, Quota.Gigabytes, Quota.Volumes]);
                return [.. (await LevelsAsync(s, resources.Select(r => (projectId, r)), now)).OrderBy(l => l.Resource, StringComparer.Ordinal)];
            },
            cancellationToken);
    }

    /// <summary>How every project stands that has a limit, a use or a reservation: <c>snapshots</c>, <c>gigabytes</c>, <c>volumes</c>. By project and name.</summary>
    public Task<IReadOnlyList<QuotaLevel>> LevelsOfAllAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Projects = """
            SELECT project_id FROM quotas
            UNION SELECT project_id FROM quota_reservations WHERE expires_at > @Now
            UNION SELECT project_id FROM snapshots WHERE deleted_at IS NULL
            UNION SELECT project_id FROM volumes WHERE deleted_at IS NULL
            """;
        return database.ReadAsync<IReadOnlyList<QuotaLevel>>(
            async s =>
            {
                var projects = await s.ListAsync<string>(Projects, new { Now = now });
                var levels = await LevelsAsync(s, projects.SelectMany(p => new[] { Quota.Snapshots, Quota.Gigabytes, Quota.Volumes }.Select(r => (p, r))), now);
                return [.. levels.OrderBy(l => l.ProjectId, StringComparer.Ordinal).ThenBy(l => l.Resource, StringComparer.Ordinal)];
            },
            cancellationToken);
    }

    /// <summary>Sets a project's limit of one resource. <see cref="ErrorKind.InvalidRequest"/> below −1.</summary>
    public async Task SetLimitAsync(string projectId, string resource, int limit, CancellationToken cancellationToken)
    {
        const string Sql = """
            INSERT INTO quotas (project_id, resource, hard_limit) VALUES (@ProjectId, @Resource, @Limit)
            ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit
            """;
        if (limit < Quota.Unlimited)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"The limit of {resource} must be -1 (none) or more, not {limit}.");
        }

        await database.WriteAsync(s => s.ExecuteAsync(Sql, new { ProjectId = projectId, Resource = resource, Limit = limit }), cancellationToken);
    }

    /// <summary>Gives a project the built-in limits back.</summary>
    public Task ResetLimitsAsync(string projectId, CancellationToken cancellationToken)
    {
        const string Sql = "DELETE FROM quotas WHERE project_id = @ProjectId";
        return database.WriteAsync(s => s.ExecuteAsync(Sql, new { ProjectId = projectId }), cancellationToken);
    }

    private static Task LockAsync(Session session, IReadOnlyList<QuotaDelta> deltas)
    {
        // One lock per project, until the transaction ends; taken in the order of the keys, so that no two transactions wait for each other in a circle.
        const string Sql = """
            SELECT count(pg_advisory_xact_lock(key))
            FROM (SELECT DISTINCT hashtextextended('quota of ' || project, 0) AS key FROM unnest(@Projects) AS project ORDER BY key) AS keys
            """;
        return session.ScalarAsync<long>(Sql, new { Projects = deltas.Select(d => d.ProjectId).Distinct().ToArray() });
    }

    private async Task<IReadOnlyList<QuotaLevel>> LevelsAsync(Session session, IEnumerable<(string ProjectId, string Resource)> wanted, DateTimeOffset now)
    {
        // A snapshot row whose image has an open reservation is counted there, and not a second time as a row.
        const string Sql = """
            WITH used AS (
              SELECT s.project_id, s.volume_type, 1 AS snapshots, 0 AS volumes, CASE WHEN @NoSnapshotGb THEN 0 ELSE s.volume_size_gib END AS gigabytes
              FROM snapshots AS s
              WHERE s.project_id = ANY(@Projects) AND s.use_quota AND s.deleted_at IS NULL
                AND NOT EXISTS (
                  SELECT FROM quota_reservations AS r WHERE r.image_id = s.image_id AND r.project_id = s.project_id AND r.expires_at > @Now)
              UNION ALL
              SELECT v.project_id, v.volume_type, 0, 1, v.size_gib FROM volumes AS v WHERE v.project_id = ANY(@Projects) AND v.deleted_at IS NULL
            ),
            counted AS (
              SELECT project_id, resource, amount
              FROM used, LATERAL (VALUES ('snapshots', snapshots), ('volumes', volumes), ('gigabytes', gigabytes)) AS total (resource, amount)
              UNION ALL
              SELECT project_id, resource || '_' || volume_type, amount
              FROM used, LATERAL (VALUES ('snapshots', snapshots), ('volumes', volumes), ('gigabytes', gigabytes)) AS total (resource, amount)
              WHERE volume_type IS NOT NULL
            )
            SELECT w.project_id, w.resource, q.hard_limit,
                   (SELECT coalesce(sum(c.amount), 0) FROM counted AS c WHERE c.project_id = w.project_id AND c.resource = w.resource)::bigint AS in_use,
                   (SELECT coalesce(sum(r.delta), 0) FROM quota_reservations AS r
                    WHERE r.project_id = w.project_id AND r.resource = w.resource AND r.expires_at > @Now)::bigint AS reserved
            FROM unnest(@Projects, @Resources) AS w (project_id, resource)
            LEFT JOIN quotas AS q ON q.project_id = w.project_id AND q.resource = w.resource
            """;
        var pairs = wanted.ToList();
        var rows = await session.ListAsync<LevelRow>(Sql, new
        {
            Projects = pairs.Select(p => p.ProjectId).ToArray(),
            Resources = pairs.Select(p => p.Resource).ToArray(),
            NoSnapshotGb = noSnapshotGbQuota,
            Now = now,
        });
        return [.. rows.Select(r => new QuotaLevel(r.ProjectId, r.Resource, r.HardLimit ?? Quota.DefaultLimit(r.Resource), r.InUse, r.Reserved))];
    }

    private sealed record LevelRow
    {
        public string ProjectId { get; init; } = "";

        public string Resource { get; init; } = "";

        public int? HardLimit { get; init; }

        public long InUse { get; init; }

        public long Reserved { get; init; }
    }
}
