using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Volumes and the image metadata they carry.</summary>
public sealed partial class VolumeStore(Database database)
{
    private const string Columns = """
        id, project_id, user_id, display_name AS name, display_description AS description, status, size_gib, volume_type, bootable, encrypted,
        encryption_key_id, multiattach, migration_status, backend, availability_zone, snapshot_id, needs_snapshot,
        metadata::text AS metadata, created_at, updated_at,
        EXISTS (SELECT FROM frozen_backends AS f WHERE f.backend = volumes.backend) AS frozen
        """;

    /// <summary>A volume whoever asks; for workers. Null when there is none.</summary>
    public async Task<Volume?> FindAsync(VolumeId id, CancellationToken cancellationToken) =>
        (await database.ReadAsync(s => FindAsync(s, [id]), cancellationToken)).SingleOrDefault();

    /// <summary>A volume as the caller may see it: of the caller's project, or any for an administrator. Null when there is none, or none to be seen.</summary>
    public async Task<Volume?> FindVisibleAsync(VolumeId id, Caller caller, CancellationToken cancellationToken) =>
        await FindAsync(id, cancellationToken) is { } volume && (caller.IsAdmin || volume.ProjectId == caller.ProjectId) ? volume : null;

    /// <summary>The volumes with these ids, in no order; what is not there is missing from the answer.</summary>
    public async Task<IReadOnlyList<Volume>> FindAsync(Session session, IEnumerable<VolumeId> ids)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM volumes
            WHERE id = ANY(@Ids) AND deleted_at IS NULL
            """;
        return await session.ListAsync<Volume>(Sql, new { Ids = ids.Select(i => i.Value).ToArray() });
    }

    /// <summary>As <see cref="FindAsync(Session, IEnumerable{VolumeId})"/>, and nobody changes them until the transaction ends.</summary>
    public async Task<IReadOnlyList<Volume>> LockAsync(Session session, IEnumerable<VolumeId> ids)
    {
        // In the order of the ids, so that two runs that share volumes wait for each other and never in a circle.
        const string Sql = $"""
            SELECT {Columns}
            FROM volumes
            WHERE id = ANY(@Ids) AND deleted_at IS NULL
            ORDER BY id
            FOR NO KEY UPDATE
            """;
        return await session.ListAsync<Volume>(Sql, new { Ids = ids.Select(i => i.Value).ToArray() });
    }

    /// <summary>The image metadata of a volume; empty when it has none.</summary>
    public async Task<IReadOnlyDictionary<string, string>> GlanceMetadataAsync(VolumeId id, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT key, value FROM volume_glance_metadata WHERE volume_id = @Id";
        return await database.ReadAsync(async s => (await s.ListAsync<TextRow>(Sql, new { Id = id })).ToDictionary(r => r.Key, r => r.Value), cancellationToken);
    }

    internal static async Task UpsertAsync(Session session, VolumeRegistration registration, DateTimeOffset now)
    {
        // A volume never changes its project.
        const string Upsert = """
            INSERT INTO volumes (id, project_id, user_id, display_name, display_description, status, size_gib, volume_type, bootable, encrypted,
                                 encryption_key_id, multiattach, migration_status, backend, availability_zone, created_at)
            VALUES (@Id, @ProjectId, @UserId, @Name, @Description, @Status, @SizeGib, @VolumeType, @Bootable, @Encrypted,
                    @EncryptionKeyId, @Multiattach, @MigrationStatus, @Backend, @AvailabilityZone, @Now)
            ON CONFLICT (id) DO UPDATE SET
                user_id = excluded.user_id, display_name = excluded.display_name, display_description = excluded.display_description, status = excluded.status,
                size_gib = excluded.size_gib, volume_type = excluded.volume_type, bootable = excluded.bootable, encrypted = excluded.encrypted,
                encryption_key_id = excluded.encryption_key_id, multiattach = excluded.multiattach, migration_status = excluded.migration_status,
                backend = excluded.backend, availability_zone = excluded.availability_zone, updated_at = @Now, deleted_at = NULL
            WHERE volumes.project_id = excluded.project_id
            """;
        const string Clear = "DELETE FROM volume_glance_metadata WHERE volume_id = @Id";
        const string Fill = "INSERT INTO volume_glance_metadata (volume_id, key, value) SELECT @Id, key, value FROM unnest(@Keys, @Values) AS given (key, value)";
        var v = registration.Volume;
        var written = await session.ExecuteAsync(Upsert, new
        {
            v.Id,
            v.ProjectId,
            v.UserId,
            v.Name,
            v.Description,
            v.Status,
            v.SizeGib,
            v.VolumeType,
            v.Bootable,
            v.Encrypted,
            v.EncryptionKeyId,
            v.Multiattach,
            v.MigrationStatus,
            v.Backend,
            v.AvailabilityZone,
            Now = now,
        });
        if (written == 0)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"Volume {v.Id} is registered for another project, and a volume cannot change its project.");
        }

        var keys = registration.GlanceMetadata.Keys.ToArray();
        await session.ExecuteAsync(Clear, new { v.Id });
        await session.ExecuteAsync(Fill, new { v.Id, Keys = keys, Values = keys.Select(k => registration.GlanceMetadata[k]).ToArray() });
    }
}

/// <summary>One pair of a metadata table.</summary>
internal sealed record TextRow
{
    public string Key { get; init; } = "";

    public string Value { get; init; } = "";
}
