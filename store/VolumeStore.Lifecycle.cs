using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <content>Volumes that are made and deleted here.</content>
public sealed partial class VolumeStore
{
    /// <summary>A volume whoever asks, and nobody changes it until the transaction ends. Null when there is none.</summary>
    public async Task<Volume?> LockAsync(Session session, VolumeId id) => (await LockAsync(session, [id])).SingleOrDefault();

    /// <summary>Writes the row of a volume that is being made. False when the id has been used before, also by one that is deleted.</summary>
    public async Task<bool> AddNewAsync(Session session, Volume volume)
    {
        const string Sql = """
            INSERT INTO volumes (id, project_id, user_id, display_name, display_description, status, size_gib, volume_type, bootable, encrypted,
                                 encryption_key_id, multiattach, backend, availability_zone, snapshot_id, needs_snapshot, metadata, created_at)
            VALUES (@Id, @ProjectId, @UserId, @Name, @Description, @Status, @SizeGib, @VolumeType, @Bootable, @Encrypted,
                    @EncryptionKeyId, @Multiattach, @Backend, @AvailabilityZone, @SnapshotId, @NeedsSnapshot, @Metadata::jsonb, @CreatedAt)
            ON CONFLICT (id) DO NOTHING
            """;
        return await session.ExecuteAsync(Sql, new
        {
            volume.Id,
            volume.ProjectId,
            volume.UserId,
            volume.Name,
            volume.Description,
            volume.Status,
            volume.SizeGib,
            volume.VolumeType,
            volume.Bootable,
            volume.Encrypted,
            volume.EncryptionKeyId,
            volume.Multiattach,
            volume.Backend,
            volume.AvailabilityZone,
            SnapshotId = volume.SnapshotId?.Value,
            volume.NeedsSnapshot,
            Metadata = System.Text.Json.JsonSerializer.Serialize(volume.Metadata),
            volume.CreatedAt,
        }) == 1;
    }

    /// <summary>Writes the tombstone of a volume that was never made, so that a first step that comes late finds the id used. Does nothing when there is a row.</summary>
    public Task BuryAsync(Session session, VolumeId id, Caller caller, DateTimeOffset now)
    {
        const string Sql = """
            INSERT INTO volumes (id, project_id, user_id, status, size_gib, created_at, updated_at, deleted_at)
            VALUES (@Id, @ProjectId, @UserId, 'deleted', 1, @Now, @Now, @Now)
            ON CONFLICT (id) DO NOTHING
            """;
        return session.ExecuteAsync(Sql, new { Id = id, caller.ProjectId, caller.UserId, Now = now });
    }

    /// <summary>Moves a volume to another status if it is in one of those given; true when it did.</summary>
    public async Task<bool> MoveAsync(Session session, VolumeId id, string to, DateTimeOffset now, params string[] from)
    {
        const string Sql = """
            UPDATE volumes
            SET status = @To, updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL AND status = ANY(@From)
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, To = to, Now = now, From = from }) == 1;
    }

    /// <summary>
    /// A volume that is being made becomes available and gets the image metadata of its snapshot; true when it did. <paramref name="needsSnapshot"/> says whether the
    /// back end's clone goes on needing the snapshot.
    /// </summary>
    public async Task<bool> CompleteAsync(Session session, VolumeId id, bool needsSnapshot, DateTimeOffset now)
    {
        const string Complete = """
            UPDATE volumes
            SET status = 'available', needs_snapshot = @NeedsSnapshot, updated_at = @Now
            WHERE id = @Id AND status = 'creating'
            """;
        const string Describe = """
            INSERT INTO volume_glance_metadata (volume_id, key, value)
            SELECT v.id, m.key, m.value FROM volumes AS v JOIN snapshot_glance_metadata AS m ON m.snapshot_id = v.snapshot_id
            WHERE v.id = @Id
            ON CONFLICT (volume_id, key) DO UPDATE SET value = excluded.value
            """;
        if (await session.ExecuteAsync(Complete, new { Id = id, NeedsSnapshot = needsSnapshot, Now = now }) == 0)
        {
            return false;
        }

        await session.ExecuteAsync(Describe, new { Id = id });
        return true;
    }

    /// <summary>A volume that could not be made is in error and needs its snapshot no longer; true when it changed.</summary>
    public async Task<bool> FailAsync(Session session, VolumeId id, DateTimeOffset now)
    {
        // Available too: the step that completed it may have been done although nobody heard of it.
        const string Sql = """
            UPDATE volumes
            SET status = 'error', needs_snapshot = false, updated_at = @Now
            WHERE id = @Id AND status IN ('creating', 'available')
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, Now = now }) == 1;
    }

    /// <summary>A live volume is deleted, with what it carries; true when it was there.</summary>
    public async Task<bool> RemoveAsync(Session session, VolumeId id, DateTimeOffset now)
    {
        const string Delete = """
            UPDATE volumes
            SET status = 'deleted', deleted_at = @Now, updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        const string DropGlanceMetadata = "DELETE FROM volume_glance_metadata WHERE volume_id = @Id";
        if (await session.ExecuteAsync(Delete, new { Id = id, Now = now }) == 0)
        {
            return false;
        }

        await session.ExecuteAsync(DropGlanceMetadata, new { Id = id });
        return true;
    }

    /// <summary>Gives a live volume another name, description or metadata; null leaves what is there. True when it is there.</summary>
    public async Task<bool> DescribeAsync(
        Session session, VolumeId id, Changed<string?>? name, Changed<string?>? description, IReadOnlyDictionary<string, string>? metadata, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE volumes
            SET display_name = CASE WHEN @SetsName THEN @Name ELSE display_name END,
                display_description = CASE WHEN @SetsDescription THEN @Description ELSE display_description END,
                metadata = coalesce(@Metadata::jsonb, metadata),
                updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        return await session.ExecuteAsync(Sql, new
        {
            Id = id,
            SetsName = name is not null,
            Name = name?.To,
            SetsDescription = description is not null,
            Description = description?.To,
            Metadata = metadata is null ? null : System.Text.Json.JsonSerializer.Serialize(metadata),
            Now = now,
        }) == 1;
    }

    /// <summary>Writes what an administrator or owner says of a live volume, whatever it was; null leaves what is there. True when it is there.</summary>
    public async Task<bool> ResetAsync(Session session, VolumeId id, string? status, Changed<string?>? migrationStatus, bool? bootable, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE volumes
            SET status = coalesce(@Status, status),
                migration_status = CASE WHEN @SetsMigration THEN @MigrationStatus ELSE migration_status END,
                bootable = coalesce(@Bootable, bootable),
                updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        return await session.ExecuteAsync(Sql, new
        {
            Id = id, Status = status, SetsMigration = migrationStatus is not null, MigrationStatus = migrationStatus?.To, Bootable = bootable, Now = now,
        }) == 1;
    }

    /// <summary>Whether a volume has live snapshots.</summary>
    public Task<bool> HasSnapshotsAsync(Session session, VolumeId id)
    {
        const string Sql = "SELECT EXISTS (SELECT FROM snapshots WHERE volume_id = @Id AND deleted_at IS NULL)";
        return session.ScalarAsync<bool>(Sql, new { Id = id });
    }

    /// <summary>The servers that each of these volumes is attached to.</summary>
    public async Task<ILookup<VolumeId, VolumeAttachment>> AttachmentsAsync(IReadOnlyCollection<VolumeId> ids, CancellationToken cancellationToken) =>
        await database.ReadAsync(s => AttachmentsAsync(s, ids), cancellationToken);

    /// <inheritdoc cref="AttachmentsAsync(IReadOnlyCollection{VolumeId}, CancellationToken)"/>
    public async Task<ILookup<VolumeId, VolumeAttachment>> AttachmentsAsync(Session session, IReadOnlyCollection<VolumeId> ids)
    {
        const string Sql = """
            SELECT b.volume_id AS volume, b.server_id AS server, b.device_name, s.host
            FROM block_device_mappings AS b JOIN servers AS s ON s.id = b.server_id
            WHERE b.volume_id = ANY(@Ids) AND b.destination_type = 'volume' AND NOT b.no_device AND s.vm_state <> 'deleted'
            ORDER BY b.id
            """;
        return (await session.ListAsync<VolumeAttachment>(Sql, new { Ids = ids.Select(i => i.Value).ToArray() })).ToLookup(a => a.Volume);
    }
}

/// <summary>A volume at a server.</summary>
public sealed record VolumeAttachment
{
    /// <summary>The volume.</summary>
    public VolumeId Volume { get; init; }

    /// <summary>The server.</summary>
    public ServerId Server { get; init; }

    /// <summary>Where the server sees it; null when unknown.</summary>
    public string? DeviceName { get; init; }

    /// <summary>The server's hypervisor.</summary>
    public string? Host { get; init; }
}
