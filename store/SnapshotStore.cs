using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Volume snapshots and the metadata they carry. Deleted ones stay as tombstones that no read shows.</summary>
public sealed partial class SnapshotStore(Database database)
{
    private const string Columns = """
        id, volume_id, image_id, project_id, user_id, display_name, display_description, status, progress_percent, volume_size_gib, volume_type,
        encryption_key_id, use_quota, created_at, updated_at,
        (SELECT jsonb_object_agg(m.key, m.value) FROM snapshot_metadata AS m WHERE m.snapshot_id = s.id)::text AS metadata
        """;

    private const string Matching = """
        (s.deleted_at IS NULL
         AND (@ProjectId::text IS NULL OR s.project_id = @ProjectId)
         AND (@Name::text IS NULL OR s.display_name = @Name)
         AND (@NameLike::text IS NULL OR position(@NameLike IN s.display_name) > 0)
         AND (@Status::text IS NULL OR s.status = @Status)
         AND (@StatusLike::text IS NULL OR position(@StatusLike IN s.status) > 0)
         AND (@Volume::uuid IS NULL OR s.volume_id = @Volume)
         AND (@VolumeLike::text IS NULL OR position(@VolumeLike IN s.volume_id::text) > 0)
         AND (@Image::uuid IS NULL OR s.image_id = @Image)
         AND (@Id::uuid IS NULL OR s.id = @Id)
         AND (@UserId::text IS NULL OR s.user_id = @UserId)
         AND (@SizeGib::bigint IS NULL OR s.volume_size_gib = @SizeGib)
         AND (@VolumeType::text IS NULL OR s.volume_type = (SELECT t.name FROM volume_types AS t WHERE t.id::text = @VolumeType))
         AND (@Host::text IS NULL OR EXISTS (
             SELECT FROM volumes AS v
             WHERE v.id = s.volume_id AND (v.backend = @Host OR starts_with(v.backend, @Host || '@') OR starts_with(v.backend, @Host || '#'))))
         AND (@ConsumesQuota::boolean IS NULL OR s.use_quota = @ConsumesQuota)
         AND (@Zone::text IS NULL OR EXISTS (SELECT FROM volumes AS v WHERE v.id = s.volume_id AND v.availability_zone = @Zone))
         AND NOT EXISTS (
             SELECT FROM unnest(@MetadataKeys::text[], @MetadataValues::text[]) AS wanted (key, value)
             WHERE NOT EXISTS (SELECT FROM snapshot_metadata AS m WHERE m.snapshot_id = s.id AND m.key = wanted.key AND m.value = wanted.value)))
        """;

    /// <summary>A snapshot as the caller may see it: of the caller's project, or any for an administrator. Null when there is none, or none to be seen.</summary>
    public async Task<Snapshot?> FindVisibleAsync(SnapshotId id, Caller caller, CancellationToken cancellationToken)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM snapshots AS s
            WHERE id = @Id AND deleted_at IS NULL AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        var args = new { Id = id, ProjectId = caller.IsAdmin ? null : caller.ProjectId };
        return (await database.ReadAsync(s => s.SingleOrDefaultAsync<SnapshotRow>(Sql, args), cancellationToken))?.ToModel();
    }

    /// <summary>What lists may be sorted by.</summary>
    private static string SortKey(string key) => $"""
        CASE {key}
          WHEN 'id' THEN s.id::text
          WHEN 'name' THEN coalesce(s.display_name, '')
          WHEN 'display_name' THEN coalesce(s.display_name, '')
          WHEN 'status' THEN s.status
          WHEN 'volume_id' THEN s.volume_id::text
          WHEN 'volume_size' THEN lpad(s.volume_size_gib::text, 12, '0')
          WHEN 'size' THEN lpad(s.volume_size_gib::text, 12, '0')
          WHEN 'updated_at' THEN to_char(s.updated_at AT TIME ZONE 'UTC', {SortOrder.Instant})
          ELSE to_char(s.created_at AT TIME ZONE 'UTC', {SortOrder.Instant})
        END
        """;

    /// <summary>Snapshots, sorted as the filter says.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="filter">Which of them.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.NotFound"/>, as in Block Storage.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Snapshot>> ListAsync(string? projectId, SnapshotFilter filter, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT created_at FROM snapshots WHERE id = @Marker AND deleted_at IS NULL AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        var sql = SortOrder.PageOf("snapshots", "s", Columns, Matching, SortKey);
        return database.ReadAsync<IReadOnlyList<Snapshot>>(
            async s =>
            {
                await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.NotFound, "snapshot");
                return [.. (await s.ListAsync<SnapshotRow>(sql, Args(projectId, filter, page))).Select(r => r.ToModel())];
            },
            cancellationToken);
    }

    /// <summary>How many snapshots match, whatever the page.</summary>
    public Task<int> CountAsync(string? projectId, SnapshotFilter filter, CancellationToken cancellationToken)
    {
        const string Sql = $"SELECT count(*)::integer FROM snapshots AS s WHERE {Matching}";
        return database.ReadAsync(s => s.ScalarAsync<int>(Sql, Args(projectId, filter, new(0))), cancellationToken);
    }

    /// <summary>The live snapshots that the run for an image made, by id.</summary>
    public async Task<IReadOnlyList<Snapshot>> OfImageAsync(Session session, ImageId image)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM snapshots AS s
            WHERE image_id = @Image AND deleted_at IS NULL
            ORDER BY id
            """;
        return [.. (await session.ListAsync<SnapshotRow>(Sql, new { Image = image })).Select(r => r.ToModel())];
    }

    /// <summary>Writes rows; answers those that were not there before, or only as tombstones.</summary>
    public async Task<IReadOnlyList<Snapshot>> AddAsync(Session session, IEnumerable<Snapshot> snapshots)
    {
        // The tombstone of a run that was refused gives way to the next run for the same image id; a live row stays what it is.
        const string Sql = """
            INSERT INTO snapshots (id, volume_id, image_id, project_id, user_id, display_name, display_description, status, progress_percent, volume_size_gib,
                                   volume_type, encryption_key_id, use_quota, created_at)
            VALUES (@Id, @VolumeId, @ImageId, @ProjectId, @UserId, @Name, @Description, @Status, @ProgressPercent, @SizeGib,
                    @VolumeType, @EncryptionKeyId, @ConsumesQuota, @CreatedAt)
            ON CONFLICT (id) DO UPDATE SET
                project_id = excluded.project_id, user_id = excluded.user_id, display_name = excluded.display_name,
                display_description = excluded.display_description, status = excluded.status, progress_percent = excluded.progress_percent,
                volume_size_gib = excluded.volume_size_gib, volume_type = excluded.volume_type, encryption_key_id = excluded.encryption_key_id,
                use_quota = excluded.use_quota, created_at = excluded.created_at, updated_at = NULL, deleted_at = NULL
            WHERE snapshots.deleted_at IS NOT NULL
            """;
        var added = new List<Snapshot>();
        foreach (var s in snapshots.OrderBy(s => s.Id.Value))
        {
            var rows = await session.ExecuteAsync(Sql, new
            {
                s.Id,
                s.VolumeId,
                s.ImageId,
                s.ProjectId,
                s.UserId,
                s.Name,
                s.Description,
                Status = s.Status.ToText(),
                s.ProgressPercent,
                s.SizeGib,
                s.VolumeType,
                s.EncryptionKeyId,
                s.ConsumesQuota,
                s.CreatedAt,
            });
            if (rows == 1)
            {
                added.Add(s);
            }
        }

        return added;
    }

    /// <summary>
    /// The snapshots of an image become available, each with the key its volume has by now (Cinder bug 1756139). Answers those that changed.
    /// </summary>
    public async Task<IReadOnlyList<SnapshotId>> CompleteAsync(Session session, ImageId image, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE snapshots AS s
            SET status = 'available', progress_percent = 100, encryption_key_id = v.encryption_key_id, updated_at = @Now
            FROM volumes AS v
            WHERE s.image_id = @Image AND s.status = 'creating' AND v.id = s.volume_id
            RETURNING s.id
            """;
        return await session.ListAsync<SnapshotId>(Sql, new { Image = image, Now = now });
    }

    /// <summary>The snapshots of an image are deleted, those that their back end still has become <c>error_deleting</c>. Answers those that were deleted now.</summary>
    public async Task<IReadOnlyList<SnapshotId>> RemoveAsync(Session session, ImageId image, IEnumerable<SnapshotId> leftBehind, DateTimeOffset now)
    {
        const string Keep = """
            UPDATE snapshots
            SET status = 'error_deleting', updated_at = @Now
            WHERE image_id = @Image AND id = ANY(@Left) AND status = ANY(@From)
            """;
        const string Delete = """
            UPDATE snapshots
            SET status = 'deleted', deleted_at = @Now, updated_at = @Now
            WHERE image_id = @Image AND NOT id = ANY(@Left) AND status = ANY(@From)
            RETURNING id
            """;
        const string DropMetadata = "DELETE FROM snapshot_metadata WHERE snapshot_id = ANY(@Ids)";
        const string DropGlanceMetadata = "DELETE FROM snapshot_glance_metadata WHERE snapshot_id = ANY(@Ids)";
        var left = leftBehind.Select(i => i.Value).ToArray();
        await session.ExecuteAsync(Keep, new { Image = image, Left = left, Now = now, From = SnapshotStatuses.ThatMayBecome(SnapshotStatus.ErrorDeleting) });
        var deleted = await session.ListAsync<SnapshotId>(
            Delete, new { Image = image, Left = left, Now = now, From = SnapshotStatuses.ThatMayBecome(SnapshotStatus.Deleted) });
        var ids = new { Ids = deleted.Select(i => i.Value).ToArray() };
        await session.ExecuteAsync(DropMetadata, ids);
        await session.ExecuteAsync(DropGlanceMetadata, ids);
        return deleted;
    }

    /// <summary>Copies the image metadata of a volume to its snapshot; copying again changes nothing. False when there is no such live snapshot.</summary>
    public async Task<bool> CopyGlanceMetadataAsync(Session session, VolumeId volume, SnapshotId snapshot)
    {
        // The snapshot's row is locked so that it is not deleted while it is being given metadata.
        const string Hold = "SELECT true FROM snapshots WHERE id = @Snapshot AND volume_id = @Volume AND status IN ('creating', 'available') FOR NO KEY UPDATE";
        const string Copy = """
            INSERT INTO snapshot_glance_metadata (snapshot_id, key, value)
            SELECT @Snapshot, key, value FROM volume_glance_metadata WHERE volume_id = @Volume
            ON CONFLICT (snapshot_id, key) DO UPDATE SET value = excluded.value
            """;
        if (!await session.ScalarAsync<bool>(Hold, new { Snapshot = snapshot, Volume = volume }))
        {
            return false;
        }

        await session.ExecuteAsync(Copy, new { Snapshot = snapshot, Volume = volume });
        return true;
    }

    /// <summary>The image metadata of a snapshot; empty when it has none.</summary>
    public async Task<IReadOnlyDictionary<string, string>> GlanceMetadataAsync(SnapshotId id, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT key, value FROM snapshot_glance_metadata WHERE snapshot_id = @Id";
        return await database.ReadAsync(async s => (await s.ListAsync<TextRow>(Sql, new { Id = id })).ToDictionary(r => r.Key, r => r.Value), cancellationToken);
    }

    private static object Args(string? projectId, SnapshotFilter filter, Page page)
    {
        var keys = filter.Metadata?.Keys.ToArray() ?? [];
        return new
        {
            ProjectId = projectId,
            filter.Name,
            filter.NameLike,
            filter.Status,
            filter.StatusLike,
            Volume = filter.Volume?.Value,
            filter.VolumeLike,
            Image = filter.Image?.Value,
            Id = filter.Id?.Value,
            filter.UserId,
            filter.SizeGib,
            filter.VolumeType,
            filter.Host,
            filter.ConsumesQuota,
            Zone = filter.AvailabilityZone,
            MetadataKeys = keys,
            MetadataValues = keys.Select(k => filter.Metadata![k]).ToArray(),
            Keys = (filter.Order ?? SortOrder.NewestFirst).Names,
            (filter.Order ?? SortOrder.NewestFirst).Descending,
            page.Marker,
            page.Limit,
            page.Offset,
        };
    }

    private sealed record SnapshotRow
    {
        public SnapshotId Id { get; init; }

        public VolumeId VolumeId { get; init; }

        public ImageId? ImageId { get; init; }

        public string ProjectId { get; init; } = "";

        public string UserId { get; init; } = "";

        public string? DisplayName { get; init; }

        public string? DisplayDescription { get; init; }

        public string Status { get; init; } = "";

        public int ProgressPercent { get; init; }

        public int VolumeSizeGib { get; init; }

        public string? VolumeType { get; init; }

        public string? EncryptionKeyId { get; init; }

        public bool UseQuota { get; init; }

        public string? Metadata { get; init; }

        public DateTimeOffset CreatedAt { get; init; }

        public DateTimeOffset? UpdatedAt { get; init; }

        public Snapshot ToModel() => new()
        {
            Id = Id,
            VolumeId = VolumeId,
            ImageId = ImageId,
            ProjectId = ProjectId,
            UserId = UserId,
            Name = DisplayName,
            Description = DisplayDescription,
            Status = EnumText.Parse<SnapshotStatus>(Status),
            ProgressPercent = ProgressPercent,
            SizeGib = VolumeSizeGib,
            VolumeType = VolumeType,
            EncryptionKeyId = EncryptionKeyId,
            ConsumesQuota = UseQuota,
            Metadata = Metadata is null ? new Dictionary<string, string>() : JsonSerializer.Deserialize<Dictionary<string, string>>(Metadata)!,
            CreatedAt = CreatedAt,
            UpdatedAt = UpdatedAt,
        };
    }
}

/// <summary>Which snapshots a list is asked for; null asks for all.</summary>
/// <param name="Name">Exactly this display name.</param>
/// <param name="Status">Exactly this status, in its spelling; an unknown one matches nothing.</param>
/// <param name="Volume">Of this volume.</param>
/// <param name="Image">Made by the run for this image.</param>
/// <param name="NameLike">With this text in the display name.</param>
/// <param name="StatusLike">With this text in the status.</param>
/// <param name="VolumeLike">With this text in the volume's id.</param>
/// <param name="ConsumesQuota">Counting against the quota, or not.</param>
/// <param name="AvailabilityZone">Of volumes in this zone.</param>
/// <param name="Metadata">With all of this metadata.</param>
/// <param name="Order">Sorted so; null for newest first.</param>
/// <param name="Id">Only this one.</param>
/// <param name="UserId">Made by this user.</param>
/// <param name="SizeGib">Exactly so large, in GiB.</param>
/// <param name="VolumeType">Of volumes of the type with this id.</param>
/// <param name="Host">Of volumes on this back end, <c>host@backend</c>, or on any of this host.</param>
public sealed record SnapshotFilter(
    string? Name = null,
    string? Status = null,
    VolumeId? Volume = null,
    ImageId? Image = null,
    string? NameLike = null,
    string? StatusLike = null,
    string? VolumeLike = null,
    bool? ConsumesQuota = null,
    string? AvailabilityZone = null,
    IReadOnlyDictionary<string, string>? Metadata = null,
    SortOrder? Order = null,
    SnapshotId? Id = null,
    string? UserId = null,
    long? SizeGib = null,
    string? VolumeType = null,
    string? Host = null);
