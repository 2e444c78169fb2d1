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

    /// <summary>
    /// Images that a list shows the caller, newest first: the caller's own, public ones, and shared ones that the caller's project accepted; community ones only
    /// when asked for by <see cref="ImageFilter.Visibility"/>; an administrator sees all.
    /// </summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="filter">Which of them.</param>
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
        const string Sql = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE deleted_at IS NULL AND status <> 'pending_delete'
              AND (@IsAdmin OR owner = @ProjectId OR visibility = 'public' OR (visibility = 'community' AND @Visibility::text IN ('community', 'all'))
                   OR (visibility = 'shared'
                       AND EXISTS (SELECT FROM image_members AS m WHERE m.image_id = i.id AND m.member = @ProjectId AND m.status = 'accepted')))
              AND (@Visibility::text IS NULL OR @Visibility = 'all' OR visibility = @Visibility)
              AND (@Name::text IS NULL OR name = @Name)
              AND (@Status::text IS NULL OR status = @Status)
              AND (@Owner::text IS NULL OR owner = @Owner)
              AND os_hidden = @Hidden
              AND NOT EXISTS (
                  SELECT FROM unnest(@Keys::text[], @Values::text[]) AS wanted (name, value)
                  WHERE NOT EXISTS (SELECT FROM image_properties AS p WHERE p.image_id = i.id AND p.name = wanted.name AND p.value = wanted.value))
              AND (@After::timestamptz IS NULL OR (created_at, id) < (@After, @Marker::uuid))
            ORDER BY created_at DESC, id DESC
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<Image>>(
            async s =>
            {
                var after = await page.AfterAsync(s, Marker, new { page.Marker, caller.IsAdmin, caller.ProjectId }, ErrorKind.InvalidRequest, "image");
                var keys = filter.Properties?.Keys.ToArray() ?? [];
                var args = new
                {
                    caller.IsAdmin,
                    caller.ProjectId,
                    filter.Name,
                    filter.Status,
                    filter.Visibility,
                    filter.Owner,
                    filter.Hidden,
                    Keys = keys,
                    Values = keys.Select(k => filter.Properties![k]).ToArray(),
                    After = after,
                    page.Marker,
                    page.Limit,
                };
                return [.. (await s.ListAsync<ImageRow>(Sql, args)).Select(r => r.ToModel())];
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
    IReadOnlyDictionary<string, string>? Properties = null);
