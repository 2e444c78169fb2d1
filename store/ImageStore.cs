using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Images, their properties and members. Deleted ones stay as tombstones that no read shows.</summary>
public sealed partial class ImageStore(Database database)
{
    private const string Columns = """
        id, name, owner, status, visibility, protected, os_hidden, size_bytes, disk_format, container_format, min_disk, min_ram, checksum,
        os_hash_algo, os_hash_value, tags, created_at, updated_at,
        (SELECT jsonb_object_agg(p.name, p.value) FROM image_properties AS p WHERE p.image_id = i.id)::text AS properties
        """;

    /// <summary>
    /// An image as the caller may see it by its id: the caller's own, public, community, or shared with the caller's project whether accepted or not; any for
    /// an administrator. Null when there is none, or none to be seen.
    /// </summary>
    public Task<Image?> FindVisibleAsync(ImageId id, Caller caller, CancellationToken cancellationToken) =>
        database.ReadAsync(s => FindVisibleAsync(s, id, caller), cancellationToken);

    /// <inheritdoc cref="FindVisibleAsync(ImageId, Caller, CancellationToken)"/>
    public async Task<Image?> FindVisibleAsync(Session session, ImageId id, Caller caller)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE id = @Id AND deleted_at IS NULL AND status <> 'pending_delete'
              AND (@IsAdmin OR owner = @ProjectId OR visibility IN ('public', 'community')
                   OR (visibility = 'shared' AND EXISTS (SELECT FROM image_members AS m WHERE m.image_id = i.id AND m.member = @ProjectId)))
            """;
        var args = new { Id = id, caller.IsAdmin, caller.ProjectId };
        return (await session.SingleOrDefaultAsync<ImageRow>(Sql, args))?.ToModel();
    }

    /// <summary>What lists may be sorted by.</summary>
    private static string SortKey(string key) => $"""
        CASE {key}
          WHEN 'id' THEN i.id::text
          WHEN 'name' THEN coalesce(i.name, '')
          WHEN 'status' THEN i.status
          WHEN 'container_format' THEN coalesce(i.container_format, '')
          WHEN 'disk_format' THEN coalesce(i.disk_format, '')
          WHEN 'size' THEN lpad(coalesce(i.size_bytes, 0)::text, 20, '0')
          WHEN 'updated_at' THEN to_char(i.updated_at AT TIME ZONE 'UTC', {SortOrder.Instant})
          ELSE to_char(i.created_at AT TIME ZONE 'UTC', {SortOrder.Instant})
        END
        """;

    /// <summary>
    /// Images that a list shows the caller: the caller's own, public ones, and shared ones that the caller's project accepted (or as
    /// <see cref="ImageFilter.MemberStatus"/> says); community ones only when asked for by <see cref="ImageFilter.Visibility"/>; an administrator sees all.
    /// </summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="filter">Which of them, in which order.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.InvalidRequest"/>, as in the Image API.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Image>> ListAsync(Caller caller, ImageFilter filter, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT created_at FROM images AS i
            WHERE id = @Marker AND deleted_at IS NULL AND status <> 'pending_delete'
              AND (@IsAdmin OR owner = @ProjectId OR visibility IN ('public', 'community')
                   OR (visibility = 'shared' AND EXISTS (SELECT FROM image_members AS m WHERE m.image_id = i.id AND m.member = @ProjectId)))
            """;
        // The marker is in the order also when it does not match any more: the page begins after its place.
        var sql = $"""
            WITH matching AS (
              SELECT i.id, row_number() OVER (
                ORDER BY
                    {SortOrder.Terms(SortKey)}
              ) AS position
              FROM images AS i
              WHERE (deleted_at IS NULL AND status <> 'pending_delete'
                AND (@IsAdmin OR owner = @ProjectId OR visibility = 'public' OR (visibility = 'community' AND @Visibility::text IN ('community', 'all'))
                     OR (visibility = 'shared'
                         AND EXISTS (SELECT FROM image_members AS m
                                     WHERE m.image_id = i.id AND m.member = @ProjectId AND (m.status = @MemberStatus OR @MemberStatus = 'all'))))
                AND (@Visibility::text IS NULL OR @Visibility = 'all' OR visibility = @Visibility)
                AND (@Ids::uuid[] IS NULL OR id = ANY(@Ids))
                AND (@Names::text[] IS NULL OR name = ANY(@Names))
                AND (@Statuses::text[] IS NULL OR status = ANY(@Statuses))
                AND (@DiskFormats::text[] IS NULL OR disk_format = ANY(@DiskFormats))
                AND (@ContainerFormats::text[] IS NULL OR container_format = ANY(@ContainerFormats))
                AND (@Owner::text IS NULL OR owner = @Owner)
                AND (@Protected::boolean IS NULL OR protected = @Protected)
                AND (@Checksum::text IS NULL OR checksum = @Checksum)
                AND (@HashValue::text IS NULL OR os_hash_value = @HashValue)
                AND (@HashAlgo::text IS NULL OR os_hash_algo = @HashAlgo)
                AND (@SizeMin::bigint IS NULL OR size_bytes >= @SizeMin)
                AND (@SizeMax::bigint IS NULL OR size_bytes <= @SizeMax)
                AND (@MinDisk::integer IS NULL OR min_disk = @MinDisk)
                AND (@MinRam::integer IS NULL OR min_ram = @MinRam)
                AND tags @> @Tags::text[]
                AND (@CreatedOperator::text IS NULL OR CASE @CreatedOperator
                       WHEN 'gt' THEN created_at > @CreatedAt::timestamptz WHEN 'gte' THEN created_at >= @CreatedAt::timestamptz
                       WHEN 'lt' THEN created_at < @CreatedAt::timestamptz WHEN 'lte' THEN created_at <= @CreatedAt::timestamptz
                       WHEN 'neq' THEN created_at <> @CreatedAt::timestamptz ELSE created_at = @CreatedAt::timestamptz END)
                AND (@UpdatedOperator::text IS NULL OR CASE @UpdatedOperator
                       WHEN 'gt' THEN updated_at > @UpdatedAt::timestamptz WHEN 'gte' THEN updated_at >= @UpdatedAt::timestamptz
                       WHEN 'lt' THEN updated_at < @UpdatedAt::timestamptz WHEN 'lte' THEN updated_at <= @UpdatedAt::timestamptz
                       WHEN 'neq' THEN updated_at <> @UpdatedAt::timestamptz ELSE updated_at = @UpdatedAt::timestamptz END)
                AND os_hidden = @Hidden
                AND NOT EXISTS (
                    SELECT FROM unnest(@PropertyNames::text[], @PropertyValues::text[]) AS wanted (name, value)
                    WHERE NOT EXISTS (SELECT FROM image_properties AS p WHERE p.image_id = i.id AND p.name = wanted.name AND p.value = wanted.value)))
                OR (id = @Marker AND deleted_at IS NULL)
            )
            SELECT {Columns}
            FROM images AS i JOIN matching USING (id)
            WHERE position > coalesce((SELECT position FROM matching WHERE id = @Marker), 0)
            ORDER BY position
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<Image>>(
            async s =>
            {
                await page.AfterAsync(s, Marker, new { page.Marker, caller.IsAdmin, caller.ProjectId }, ErrorKind.InvalidRequest, "image");
                var properties = filter.Properties?.Keys.ToArray() ?? [];
                var args = new
                {
                    caller.IsAdmin,
                    caller.ProjectId,
                    Ids = filter.Ids?.Select(i => i.Value).ToArray(),
                    Names = filter.Names?.ToArray() ?? (filter.Name is null ? null : [filter.Name]),
                    Statuses = filter.Statuses?.ToArray() ?? (filter.Status is null ? null : [filter.Status]),
                    DiskFormats = filter.DiskFormats?.ToArray(),
                    ContainerFormats = filter.ContainerFormats?.ToArray(),
                    filter.Visibility,
                    MemberStatus = filter.MemberStatus ?? "accepted",
                    filter.Owner,
                    filter.Protected,
                    filter.Checksum,
                    filter.HashValue,
                    filter.HashAlgo,
                    filter.SizeMin,
                    filter.SizeMax,
                    filter.MinDisk,
                    filter.MinRam,
                    Tags = filter.Tags?.ToArray() ?? [],
                    CreatedOperator = filter.Created?.Operator,
                    CreatedAt = filter.Created?.Time,
                    UpdatedOperator = filter.Updated?.Operator,
                    UpdatedAt = filter.Updated?.Time,
                    filter.Hidden,
                    PropertyNames = properties,
                    PropertyValues = properties.Select(k => filter.Properties![k]).ToArray(),
                    Keys = (filter.Order ?? SortOrder.NewestFirst).Names,
                    (filter.Order ?? SortOrder.NewestFirst).Descending,
                    page.Marker,
                    page.Limit,
                };
                return [.. (await s.ListAsync<ImageRow>(sql, args)).Select(r => r.ToModel())];
            },
            cancellationToken);
    }

    /// <summary>Writes the record of an image to be, <c>queued</c>, in the formats of an image without contents. Does nothing when it is there.</summary>
    public Task AddQueuedAsync(Session session, ImageId id, ImageDraft draft, DateTimeOffset now)
    {
        // The tombstone of a run that was refused gives way to the next run for the same image id.
        const string Sql = """
            INSERT INTO images (id, name, owner, status, visibility, disk_format, container_format, min_disk, min_ram, created_at, updated_at)
            VALUES (@Id, @Name, @OwnerProjectId, 'queued', @Visibility, @DiskFormat, @ContainerFormat, @MinDisk, @MinRam, @Now, @Now)
            ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, owner = excluded.owner, status = excluded.status, visibility = excluded.visibility, protected = false, os_hidden = false,
                size_bytes = NULL, disk_format = excluded.disk_format, container_format = excluded.container_format, min_disk = excluded.min_disk,
                min_ram = excluded.min_ram, checksum = NULL, os_hash_algo = NULL, os_hash_value = NULL, tags = '{}', created_at = excluded.created_at,
                updated_at = excluded.updated_at, deleted_at = NULL
            WHERE images.deleted_at IS NOT NULL
            """;
        return session.ExecuteAsync(Sql, new
        {
            Id = id,
            draft.Name,
            draft.OwnerProjectId,
            draft.Visibility,
            DiskFormat = Image.DiskFormatRaw,
            ContainerFormat = Image.ContainerFormatBare,
            draft.MinDisk,
            draft.MinRam,
            Now = now,
        });
    }

    /// <summary>A queued image gets its properties and member and becomes active, without contents. False when it is not queued.</summary>
    public async Task<bool> ActivateAsync(
        Session session, ImageId id, IReadOnlyDictionary<string, string> properties, string? memberProjectId, DateTimeOffset now)
    {
        // An image that was deleted, or activated, meanwhile is left as it is.
        const string Activate = """
            UPDATE images
            SET status = 'active', size_bytes = 0, checksum = @Checksum, os_hash_algo = @HashAlgorithm, os_hash_value = @Hash, updated_at = @Now
            WHERE id = @Id AND status = 'queued'
            """;
        const string Describe = """
            INSERT INTO image_properties (image_id, name, value)
            SELECT @Id, name, value FROM unnest(@Names, @Values) AS given (name, value)
            ON CONFLICT (image_id, name) DO UPDATE SET value = excluded.value
            """;
        const string Share = """
            INSERT INTO image_members (image_id, member, status, created_at, updated_at)
            VALUES (@Id, @Member, 'pending', @Now, @Now)
            ON CONFLICT (image_id, member) DO NOTHING
            """;
        var args = new { Id = id, Now = now, Checksum = Image.EmptyChecksum, Image.HashAlgorithm, Hash = Image.EmptyHash };
        if (await session.ExecuteAsync(Activate, args) == 0)
        {
            return false;
        }

        var names = properties.Keys.ToArray();
        await session.ExecuteAsync(Describe, new { Id = id, Names = names, Values = names.Select(n => properties[n]).ToArray() });
        if (memberProjectId is not null)
        {
            await session.ExecuteAsync(Share, new { Id = id, Member = memberProjectId, Now = now });
        }

        return true;
    }

    /// <summary>Deletes an image whatever its status, with its properties and members; does nothing when there is none.</summary>
    public async Task RemoveAsync(Session session, ImageId id, DateTimeOffset now)
    {
        const string Delete = """
            UPDATE images
            SET status = 'deleted', deleted_at = @Now, updated_at = @Now
            WHERE id = @Id AND status = ANY(@From)
            """;
        const string DropProperties = "DELETE FROM image_properties WHERE image_id = @Id";
        const string DropMembers = "DELETE FROM image_members WHERE image_id = @Id";
        await session.ExecuteAsync(Delete, new { Id = id, Now = now, From = ImageStatuses.ThatMayBecome(ImageStatus.Deleted) });
        await session.ExecuteAsync(DropProperties, new { Id = id });
        await session.ExecuteAsync(DropMembers, new { Id = id });
    }

    private sealed record ImageRow
    {
        public ImageId Id { get; init; }

        public string? Name { get; init; }

        public string Owner { get; init; } = "";

        public string Status { get; init; } = "";

        public string Visibility { get; init; } = "";

        public bool Protected { get; init; }

        public bool OsHidden { get; init; }

        public long? SizeBytes { get; init; }

        public string? DiskFormat { get; init; }

        public string? ContainerFormat { get; init; }

        public int MinDisk { get; init; }

        public int MinRam { get; init; }

        public string? Checksum { get; init; }

        public string? OsHashAlgo { get; init; }

        public string? OsHashValue { get; init; }

        public string[] Tags { get; init; } = [];

        public string? Properties { get; init; }

        public DateTimeOffset CreatedAt { get; init; }

        public DateTimeOffset UpdatedAt { get; init; }

        public Image ToModel() => new()
        {
            Id = Id,
            Name = Name,
            OwnerProjectId = Owner,
            Status = EnumText.Parse<ImageStatus>(Status),
            Visibility = Visibility,
            Protected = Protected,
            Hidden = OsHidden,
            SizeBytes = SizeBytes,
            DiskFormat = DiskFormat,
            ContainerFormat = ContainerFormat,
            MinDisk = MinDisk,
            MinRam = MinRam,
            Checksum = Checksum,
            HashAlgo = OsHashAlgo,
            HashValue = OsHashValue,
            Tags = Tags,
            Properties = Properties is null ? new Dictionary<string, string>() : JsonSerializer.Deserialize<Dictionary<string, string>>(Properties)!,
            CreatedAt = CreatedAt,
            UpdatedAt = UpdatedAt,
        };
    }
}

/// <summary>Which images a list is asked for; null asks for all.</summary>
/// <param name="Name">Exactly this name.</param>
/// <param name="Status">Exactly this status, in its spelling; an unknown one matches nothing.</param>
/// <param name="Visibility">This visibility, or <c>all</c>.</param>
/// <param name="Owner">Of this project.</param>
/// <param name="Hidden">Hidden ones instead of the others.</param>
/// <param name="Properties">With all of these custom properties.</param>
public sealed record ImageFilter(
    string? Name = null,
    string? Status = null,
    string? Visibility = null,
    string? Owner = null,
    bool Hidden = false,
    IReadOnlyDictionary<string, string>? Properties = null)
{
    /// <summary>One of these.</summary>
    public IReadOnlyList<ImageId>? Ids { get; init; }

    /// <summary>With one of these names; instead of <see cref="Name"/>.</summary>
    public IReadOnlyList<string>? Names { get; init; }

    /// <summary>In one of these statuses; instead of <see cref="Status"/>.</summary>
    public IReadOnlyList<string>? Statuses { get; init; }

    /// <summary>In one of these disk formats.</summary>
    public IReadOnlyList<string>? DiskFormats { get; init; }

    /// <summary>In one of these container formats.</summary>
    public IReadOnlyList<string>? ContainerFormats { get; init; }

    /// <summary>Shared with the caller's project in this state, or <c>all</c>; null for <c>accepted</c>.</summary>
    public string? MemberStatus { get; init; }

    /// <summary>Protected, or not.</summary>
    public bool? Protected { get; init; }

    /// <summary>With this checksum.</summary>
    public string? Checksum { get; init; }

    /// <summary>With this hash.</summary>
    public string? HashValue { get; init; }

    /// <summary>Hashed so.</summary>
    public string? HashAlgo { get; init; }

    /// <summary>Of at least so many bytes.</summary>
    public long? SizeMin { get; init; }

    /// <summary>Of at most so many bytes.</summary>
    public long? SizeMax { get; init; }

    /// <summary>Asking for exactly so many GiB.</summary>
    public int? MinDisk { get; init; }

    /// <summary>Asking for exactly so many MiB.</summary>
    public int? MinRam { get; init; }

    /// <summary>With all of these tags.</summary>
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>Made then.</summary>
    public TimeFilter? Created { get; init; }

    /// <summary>Changed then.</summary>
    public TimeFilter? Updated { get; init; }

    /// <summary>Sorted so; null for newest first.</summary>
    public SortOrder? Order { get; init; }
}

/// <summary>A comparison with a time.</summary>
/// <param name="Operator"><c>eq</c>, <c>neq</c>, <c>gt</c>, <c>gte</c>, <c>lt</c> or <c>lte</c>.</param>
/// <param name="Time">The time.</param>
public sealed record TimeFilter(string Operator, DateTimeOffset Time);
