using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <content>Images on their way out.</content>
public sealed partial class ImageStore
{
    /// <summary>A live image whoever asks, also one that is being deleted, and nobody changes it until the transaction ends. Null when there is none.</summary>
    public async Task<Image?> LockAsync(Session session, ImageId id)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE id = @Id AND deleted_at IS NULL
            FOR NO KEY UPDATE
            """;
        return (await session.SingleOrDefaultAsync<ImageRow>(Sql, new { Id = id }))?.ToModel();
    }

    /// <summary>A live image that is not being deleted, whoever asks. Null when there is none.</summary>
    public async Task<Image?> FindAsync(Session session, ImageId id)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE id = @Id AND deleted_at IS NULL AND status <> 'pending_delete'
            """;
        return (await session.SingleOrDefaultAsync<ImageRow>(Sql, new { Id = id }))?.ToModel();
    }

    /// <summary>An image of the caller's project, or any for an administrator, that is on its way out: for whoever asks for its deletion again. Null when there is none.</summary>
    public async Task<Image?> FindLeavingAsync(ImageId id, Caller caller, CancellationToken cancellationToken)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE id = @Id AND status = 'pending_delete'
            """;
        var image = (await database.ReadAsync(s => s.SingleOrDefaultAsync<ImageRow>(Sql, new { Id = id }), cancellationToken))?.ToModel();
        return image is not null && (caller.IsAdmin || image.OwnerProjectId == caller.ProjectId) ? image : null;
    }

    /// <summary>An image that will be deleted: nobody finds it any more. True when it was not on its way out before.</summary>
    public async Task<bool> BeginDeleteAsync(Session session, ImageId id, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE images
            SET status = 'pending_delete', updated_at = @Now
            WHERE id = @Id AND status = ANY(@From)
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, Now = now, From = ImageStatuses.ThatMayBecome(ImageStatus.PendingDelete) }) == 1;
    }
}
