using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <content>Snapshots that are made and deleted one at a time.</content>
public sealed partial class SnapshotStore
{
    /// <summary>A live snapshot whoever asks, and nobody changes it until the transaction ends. Null when there is none.</summary>
    public async Task<Snapshot?> LockAsync(Session session, SnapshotId id) => (await LockAsync(session, [id])).SingleOrDefault();

    /// <summary>The live ones among these, by id, and nobody changes them until the transaction ends.</summary>
    public async Task<IReadOnlyList<Snapshot>> LockAsync(Session session, IEnumerable<SnapshotId> ids)
    {
        // In the order of the ids, so that two transactions wait for each other and never in a circle. What is in other tables is read by a statement of its own:
        // one that had to wait for the lock still sees there what was true when it began.
        const string Hold = "SELECT id FROM snapshots WHERE id = ANY(@Ids) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE";
        const string Read = $"""
            SELECT {Columns}
            FROM snapshots AS s
            WHERE id = ANY(@Ids)
            ORDER BY id
            """;
        var held = await session.ListAsync<SnapshotId>(Hold, new { Ids = ids.Select(i => i.Value).ToArray() });
        return held.Count == 0 ? [] : [.. (await session.ListAsync<SnapshotRow>(Read, new { Ids = held.Select(i => i.Value).ToArray() })).Select(r => r.ToModel())];
    }

    /// <summary>The live snapshots that the run for an image made, by id, and nobody changes them until the transaction ends.</summary>
    public async Task<IReadOnlyList<Snapshot>> LockOfImageAsync(Session session, ImageId image)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM snapshots AS s
            WHERE image_id = @Image AND deleted_at IS NULL
            ORDER BY id
            FOR NO KEY UPDATE
            """;
        return [.. (await session.ListAsync<SnapshotRow>(Sql, new { Image = image })).Select(r => r.ToModel())];
    }

    /// <summary>How many of the snapshots that the run for an image made have been deleted since.</summary>
    public Task<int> CountDeletedOfImageAsync(Session session, ImageId image)
    {
        const string Sql = "SELECT count(*)::integer FROM snapshots WHERE image_id = @Image AND deleted_at IS NOT NULL";
        return session.ScalarAsync<int>(Sql, new { Image = image });
    }

    /// <summary>Writes the row of a snapshot that is made on its own, with its metadata. False when the id has been used before, also by one that is deleted.</summary>
    public async Task<bool> AddNewAsync(Session session, Snapshot snapshot)
    {
        const string Sql = """
            INSERT INTO snapshots (id, volume_id, project_id, user_id, display_name, display_description, status, progress_percent, volume_size_gib,
                                   volume_type, encryption_key_id, use_quota, created_at)
            VALUES (@Id, @VolumeId, @ProjectId, @UserId, @Name, @Description, @Status, @ProgressPercent, @SizeGib,
                    @VolumeType, @EncryptionKeyId, @ConsumesQuota, @CreatedAt)
            ON CONFLICT (id) DO NOTHING
            """;
        var written = await session.ExecuteAsync(Sql, new
        {
            snapshot.Id,
            snapshot.VolumeId,
            snapshot.ProjectId,
            snapshot.UserId,
            snapshot.Name,
            snapshot.Description,
            Status = snapshot.Status.ToText(),
            snapshot.ProgressPercent,
            snapshot.SizeGib,
            snapshot.VolumeType,
            snapshot.EncryptionKeyId,
            snapshot.ConsumesQuota,
            snapshot.CreatedAt,
        });
        if (written == 1)
        {
            await ReplaceMetadataAsync(session, snapshot.Id, snapshot.Metadata);
        }

        return written == 1;
    }

    /// <summary>
    /// Writes the tombstone of a snapshot that was never made, so that a first step that comes late finds the id used. Does nothing when there is a row, or no volume.
    /// </summary>
    public Task BuryAsync(Session session, SnapshotId id, VolumeId volume, Caller caller, DateTimeOffset now)
    {
        const string Sql = """
            INSERT INTO snapshots (id, volume_id, project_id, user_id, status, progress_percent, volume_size_gib, created_at, updated_at, deleted_at)
            SELECT @Id, v.id, @ProjectId, @UserId, 'deleted', 0, v.size_gib, @Now, @Now, @Now
            FROM volumes AS v
            WHERE v.id = @Volume
            ON CONFLICT (id) DO NOTHING
            """;
        return session.ExecuteAsync(Sql, new { Id = id, Volume = volume, caller.ProjectId, caller.UserId, Now = now });
    }

    /// <summary>Moves a snapshot to another status if it is in one of those from which that is allowed; true when it did.</summary>
    public async Task<bool> MoveAsync(Session session, SnapshotId id, SnapshotStatus to, DateTimeOffset now, params SnapshotStatus[] from)
    {
        // Whoever moved it first decides; a tombstone stays one.
        const string Sql = """
            UPDATE snapshots
            SET status = @To, updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL AND status = ANY(@From)
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, To = to.ToText(), Now = now, From = from.Select(s => s.ToText()).ToArray() }) == 1;
    }

    /// <summary>A snapshot that is being created becomes available, with the key its volume has by now (Cinder bug 1756139); true when it did.</summary>
    public async Task<bool> CompleteAsync(Session session, SnapshotId id, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE snapshots AS s
            SET status = 'available', progress_percent = 100, encryption_key_id = v.encryption_key_id, updated_at = @Now
            FROM volumes AS v
            WHERE s.id = @Id AND s.status = 'creating' AND v.id = s.volume_id
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, Now = now }) == 1;
    }

    /// <summary>A live snapshot is deleted, with what it carries; true when it was there.</summary>
    public async Task<bool> RemoveAsync(Session session, SnapshotId id, DateTimeOffset now)
    {
        const string Delete = """
            UPDATE snapshots
            SET status = 'deleted', deleted_at = @Now, updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        const string DropMetadata = "DELETE FROM snapshot_metadata WHERE snapshot_id = @Id";
        const string DropGlanceMetadata = "DELETE FROM snapshot_glance_metadata WHERE snapshot_id = @Id";
        if (await session.ExecuteAsync(Delete, new { Id = id, Now = now }) == 0)
        {
            return false;
        }

        await session.ExecuteAsync(DropMetadata, new { Id = id });
        await session.ExecuteAsync(DropGlanceMetadata, new { Id = id });
        return true;
    }

    /// <summary>A live snapshot is given up: its row is deleted, its back end keeps it, and no look takes it for left behind. True when it was there.</summary>
    public async Task<bool> UnmanageAsync(Session session, SnapshotId id, DateTimeOffset now)
    {
        const string Sql = "UPDATE snapshots SET unmanaged = true WHERE id = @Id";
        return await RemoveAsync(session, id, now) && await session.ExecuteAsync(Sql, new { Id = id }) == 1;
    }

    /// <summary>The live volumes that keep these snapshots from being deleted.</summary>
    public async Task<IReadOnlyList<DependentVolume>> DependentsAsync(Session session, IEnumerable<SnapshotId> ids)
    {
        const string Sql = """
            SELECT snapshot_id AS snapshot, id AS volume, project_id
            FROM volumes
            WHERE snapshot_id = ANY(@Ids) AND needs_snapshot AND deleted_at IS NULL
            ORDER BY snapshot_id, id
            """;
        return await session.ListAsync<DependentVolume>(Sql, new { Ids = ids.Select(i => i.Value).ToArray() });
    }

    /// <summary>Gives a live snapshot another name or description; null leaves what is there. True when it is there.</summary>
    public async Task<bool> DescribeAsync(Session session, SnapshotId id, Changed<string?>? name, Changed<string?>? description, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE snapshots
            SET display_name = CASE WHEN @SetsName THEN @Name ELSE display_name END,
                display_description = CASE WHEN @SetsDescription THEN @Description ELSE display_description END,
                updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        return await session.ExecuteAsync(Sql, new
        {
            Id = id, SetsName = name is not null, Name = name?.To, SetsDescription = description is not null, Description = description?.To, Now = now,
        }) == 1;
    }

    /// <summary>Sets the progress of a live snapshot.</summary>
    public Task SetProgressAsync(Session session, SnapshotId id, int percent, DateTimeOffset now)
    {
        const string Sql = "UPDATE snapshots SET progress_percent = @Percent, updated_at = @Now WHERE id = @Id AND deleted_at IS NULL";
        return session.ExecuteAsync(Sql, new { Id = id, Percent = percent, Now = now });
    }

    /// <summary>Replaces all metadata of a snapshot.</summary>
    public static async Task ReplaceMetadataAsync(Session session, SnapshotId id, IReadOnlyDictionary<string, string> metadata)
    {
        const string Clear = "DELETE FROM snapshot_metadata WHERE snapshot_id = @Id";
        const string Fill = "INSERT INTO snapshot_metadata (snapshot_id, key, value) SELECT @Id, key, value FROM unnest(@Keys, @Values) AS given (key, value)";
        var keys = metadata.Keys.ToArray();
        await session.ExecuteAsync(Clear, new { Id = id });
        await session.ExecuteAsync(Fill, new { Id = id, Keys = keys, Values = keys.Select(k => metadata[k]).ToArray() });
    }
}

/// <summary>A volume that needs a snapshot.</summary>
public sealed record DependentVolume
{
    /// <summary>The snapshot.</summary>
    public SnapshotId Snapshot { get; init; }

    /// <summary>The volume.</summary>
    public VolumeId Volume { get; init; }

    /// <summary>The volume's project.</summary>
    public string ProjectId { get; init; } = "";
}

/// <summary>What something is changed to.</summary>
public sealed record Changed<T>(T To);
