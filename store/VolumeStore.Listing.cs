using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <content>Lists of volumes.</content>
public sealed partial class VolumeStore
{
    private const string Matching = """
        (volumes.deleted_at IS NULL
         AND (@ProjectId::text IS NULL OR volumes.project_id = @ProjectId)
         AND (@Id::uuid IS NULL OR volumes.id = @Id)
         AND (@Name::text IS NULL OR volumes.display_name = @Name)
         AND (@NameLike::text IS NULL OR position(@NameLike IN volumes.display_name) > 0)
         AND (@Status::text IS NULL OR volumes.status = @Status)
         AND (@StatusLike::text IS NULL OR position(@StatusLike IN volumes.status) > 0)
         AND (@Bootable::boolean IS NULL OR volumes.bootable = @Bootable)
         AND (@Multiattach::boolean IS NULL OR volumes.multiattach = @Multiattach)
         AND (@SizeGib::bigint IS NULL OR volumes.size_gib = @SizeGib)
         AND (@MigrationStatus::text IS NULL OR coalesce(volumes.migration_status, 'none') = @MigrationStatus)
         AND (@Zone::text IS NULL OR volumes.availability_zone = @Zone)
         AND (@ZoneLike::text IS NULL OR position(@ZoneLike IN volumes.availability_zone) > 0)
         AND (@Snapshot::uuid IS NULL OR volumes.snapshot_id = @Snapshot)
         AND (@UserId::text IS NULL OR volumes.user_id = @UserId)
         AND (@Host::text IS NULL OR volumes.backend = @Host OR starts_with(volumes.backend, @Host || '@') OR starts_with(volumes.backend, @Host || '#'))
         AND (@VolumeType::text IS NULL OR volumes.volume_type = (SELECT t.name FROM volume_types AS t WHERE t.id::text = @VolumeType))
         AND (@Metadata::jsonb IS NULL OR volumes.metadata @> @Metadata::jsonb)
         AND NOT EXISTS (
             SELECT FROM unnest(@GlanceKeys::text[], @GlanceValues::text[]) AS wanted (key, value)
             WHERE NOT EXISTS (SELECT FROM volume_glance_metadata AS m WHERE m.volume_id = volumes.id AND m.key = wanted.key AND m.value = wanted.value))
         AND NOT EXISTS (
             SELECT FROM unnest(@TimeColumns::text[], @TimeOperators::text[], @Times::timestamptz[]) AS wanted (which, operator, at),
                  LATERAL (SELECT CASE wanted.which WHEN 'created_at' THEN volumes.created_at ELSE volumes.updated_at END AS stamp) AS held
             WHERE NOT coalesce(
                 CASE wanted.operator
                   WHEN 'gt' THEN held.stamp > wanted.at WHEN 'gte' THEN held.stamp >= wanted.at
                   WHEN 'lt' THEN held.stamp < wanted.at WHEN 'lte' THEN held.stamp <= wanted.at
                   WHEN 'neq' THEN held.stamp <> wanted.at ELSE held.stamp = wanted.at
                 END, false)))
        """;

    /// <summary>What lists may be sorted by.</summary>
    private static string SortKey(string key) => $"""
        CASE {key}
          WHEN 'id' THEN volumes.id::text
          WHEN 'name' THEN coalesce(volumes.display_name, '')
          WHEN 'display_name' THEN coalesce(volumes.display_name, '')
          WHEN 'status' THEN volumes.status
          WHEN 'size' THEN lpad(volumes.size_gib::text, 12, '0')
          WHEN 'availability_zone' THEN coalesce(volumes.availability_zone, '')
          WHEN 'bootable' THEN volumes.bootable::integer::text
          WHEN 'snapshot_id' THEN coalesce(volumes.snapshot_id::text, '')
          WHEN 'user_id' THEN volumes.user_id
          WHEN 'project_id' THEN volumes.project_id
          WHEN 'host' THEN coalesce(volumes.backend, '')
          WHEN 'updated_at' THEN to_char(volumes.updated_at AT TIME ZONE 'UTC', {SortOrder.Instant})
          ELSE to_char(volumes.created_at AT TIME ZONE 'UTC', {SortOrder.Instant})
        END
        """;

    /// <summary>Volumes, sorted as the filter says.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="filter">Which of them.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.NotFound"/>, as in Block Storage.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Volume>> ListAsync(string? projectId, VolumeFilter filter, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT created_at FROM volumes WHERE id = @Marker AND deleted_at IS NULL AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        var sql = SortOrder.PageOf("volumes", "volumes", Columns, Matching, SortKey);
        return database.ReadAsync<IReadOnlyList<Volume>>(
            async s =>
            {
                await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.NotFound, "volume");
                return await s.ListAsync<Volume>(sql, Args(projectId, filter, page));
            },
            cancellationToken);
    }

    /// <summary>How many volumes match, whatever the page.</summary>
    public Task<int> CountAsync(string? projectId, VolumeFilter filter, CancellationToken cancellationToken)
    {
        const string Sql = $"SELECT count(*)::integer FROM volumes WHERE {Matching}";
        return database.ReadAsync(s => s.ScalarAsync<int>(Sql, Args(projectId, filter, new(0))), cancellationToken);
    }

    /// <summary>How many volumes there are, how large they are together, and what their metadata says.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<VolumeTotals> TotalsAsync(string? projectId, CancellationToken cancellationToken)
    {
        const string Totals = """
            SELECT count(*)::integer AS count, coalesce(sum(size_gib), 0)::bigint AS size_gib
            FROM volumes
            WHERE deleted_at IS NULL AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        const string Said = """
            SELECT DISTINCT m.key, m.value
            FROM volumes, jsonb_each_text(volumes.metadata) AS m
            WHERE volumes.deleted_at IS NULL AND (@ProjectId::text IS NULL OR volumes.project_id = @ProjectId)
            ORDER BY m.key, m.value
            """;
        var args = new { ProjectId = projectId };
        return database.ReadAsync(
            async s => (await s.SingleOrDefaultAsync<VolumeTotals>(Totals, args))! with
            {
                Metadata = (await s.ListAsync<TextRow>(Said, args)).GroupBy(r => r.Key, r => r.Value).ToDictionary(g => g.Key, IReadOnlyList<string> (g) => [.. g]),
            },
            cancellationToken);
    }

    private static object Args(string? projectId, VolumeFilter filter, Page page)
    {
        var times = filter.Created.Select(t => (Column: "created_at", Filter: t)).Concat(filter.Updated.Select(t => (Column: "updated_at", Filter: t))).ToList();
        var glance = filter.GlanceMetadata?.Keys.ToArray() ?? [];
        var order = filter.Order ?? SortOrder.NewestFirst;
        return new
        {
            ProjectId = projectId,
            Id = filter.Id?.Value,
            filter.Name,
            filter.NameLike,
            filter.Status,
            filter.StatusLike,
            filter.Bootable,
            filter.Multiattach,
            filter.SizeGib,
            filter.MigrationStatus,
            Zone = filter.AvailabilityZone,
            ZoneLike = filter.AvailabilityZoneLike,
            Snapshot = filter.Snapshot?.Value,
            filter.UserId,
            filter.Host,
            filter.VolumeType,
            Metadata = filter.Metadata is null ? null : JsonSerializer.Serialize(filter.Metadata),
            GlanceKeys = glance,
            GlanceValues = glance.Select(k => filter.GlanceMetadata![k]).ToArray(),
            TimeColumns = times.Select(t => t.Column).ToArray(),
            TimeOperators = times.Select(t => t.Filter.Operator).ToArray(),
            Times = times.Select(t => t.Filter.Time.UtcDateTime).ToArray(),
            Keys = order.Names,
            order.Descending,
            page.Marker,
            page.Limit,
            page.Offset,
        };
    }
}

/// <summary>Volumes all together.</summary>
public sealed record VolumeTotals
{
    /// <summary>How many.</summary>
    public int Count { get; init; }

    /// <summary>How large, in GiB.</summary>
    public long SizeGib { get; init; }

    /// <summary>Every key of their metadata with its values, each once and in order.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Metadata { get; init; } = new Dictionary<string, IReadOnlyList<string>>();
}

/// <summary>Which volumes a list is asked for; null asks for all.</summary>
public sealed record VolumeFilter
{
    /// <summary>Only this one.</summary>
    public VolumeId? Id { get; init; }

    /// <summary>Exactly this display name.</summary>
    public string? Name { get; init; }

    /// <summary>With this text in the display name.</summary>
    public string? NameLike { get; init; }

    /// <summary>Exactly this status.</summary>
    public string? Status { get; init; }

    /// <summary>With this text in the status.</summary>
    public string? StatusLike { get; init; }

    /// <summary>Bootable, or not.</summary>
    public bool? Bootable { get; init; }

    /// <summary>For several servers at once, or not.</summary>
    public bool? Multiattach { get; init; }

    /// <summary>Exactly so large, in GiB.</summary>
    public long? SizeGib { get; init; }

    /// <summary>Exactly this progress of a migration; <c>none</c> for those without.</summary>
    public string? MigrationStatus { get; init; }

    /// <summary>In this zone.</summary>
    public string? AvailabilityZone { get; init; }

    /// <summary>With this text in the name of the zone.</summary>
    public string? AvailabilityZoneLike { get; init; }

    /// <summary>Made from this snapshot.</summary>
    public SnapshotId? Snapshot { get; init; }

    /// <summary>Made by this user.</summary>
    public string? UserId { get; init; }

    /// <summary>On this back end, <c>host@backend</c>, or on any of this host.</summary>
    public string? Host { get; init; }

    /// <summary>Of the volume type with this id.</summary>
    public string? VolumeType { get; init; }

    /// <summary>With all of this metadata.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>With all of this image metadata.</summary>
    public IReadOnlyDictionary<string, string>? GlanceMetadata { get; init; }

    /// <summary>Registered or made at such times; all must hold.</summary>
    public IReadOnlyList<TimeFilter> Created { get; init; } = [];

    /// <summary>Last changed at such times; all must hold.</summary>
    public IReadOnlyList<TimeFilter> Updated { get; init; } = [];

    /// <summary>Sorted so; null for newest first.</summary>
    public SortOrder? Order { get; init; }
}
