using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <content>Images on their way out.</content>
public sealed partial class ImageStore
{
    /// <summary>A live image whoever asks, also one that is being deleted, and nobody changes it until the transaction ends. Null when there is none.</summary>
    public async Task<Image?> LockAsync(Session session, ImageId id)
    {
        // Properties are read by a statement of its own: one that had to wait for the lock still sees those that were there when it began.
        const string Hold = "SELECT true FROM images WHERE id = @Id AND deleted_at IS NULL FOR NO KEY UPDATE";
        const string Read = $"""
            SELECT {Columns}
            FROM images AS i
            WHERE id = @Id
            """;
        return await session.ScalarAsync<bool>(Hold, new { Id = id }) ? (await session.SingleOrDefaultAsync<ImageRow>(Read, new { Id = id }))?.ToModel() : null;
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

    /// <summary>Writes what a caller may change of an image: attributes, tags, and all of its custom properties.</summary>
    public async Task UpdateAsync(Session session, Image image, DateTimeOffset now)
    {
        const string Update = """
            UPDATE images
            SET name = @Name, owner = @OwnerProjectId, status = @Status, visibility = @Visibility, protected = @Protected, os_hidden = @Hidden, min_disk = @MinDisk,
                min_ram = @MinRam, tags = @Tags, updated_at = @Now
            WHERE id = @Id AND deleted_at IS NULL
            """;
        const string Clear = "DELETE FROM image_properties WHERE image_id = @Id";
        const string Fill = "INSERT INTO image_properties (image_id, name, value) SELECT @Id, name, value FROM unnest(@Names, @Values) AS given (name, value)";
        var names = image.Properties.Keys.ToArray();
        await session.ExecuteAsync(Update, new
        {
            image.Id,
            image.Name,
            image.OwnerProjectId,
            Status = image.Status.ToText(),
            image.Visibility,
            image.Protected,
            image.Hidden,
            image.MinDisk,
            image.MinRam,
            Tags = image.Tags.ToArray(),
            Now = now,
        });
        await session.ExecuteAsync(Clear, new { image.Id });
        await session.ExecuteAsync(Fill, new { image.Id, Names = names, Values = names.Select(n => image.Properties[n]).ToArray() });
    }

    /// <summary>The projects that an image is shared with, in the order of their names.</summary>
    public async Task<IReadOnlyList<ImageMember>> MembersAsync(Session session, ImageId id)
    {
        const string Sql = "SELECT member, status, created_at, updated_at FROM image_members WHERE image_id = @Id ORDER BY member";
        return await session.ListAsync<ImageMember>(Sql, new { Id = id });
    }

    /// <summary>Shares an image with a project, <c>pending</c>. False when it is shared with it already.</summary>
    public async Task<bool> AddMemberAsync(Session session, ImageId id, string member, DateTimeOffset now)
    {
        const string Sql = """
            INSERT INTO image_members (image_id, member, status, created_at, updated_at) VALUES (@Id, @Member, 'pending', @Now, @Now)
            ON CONFLICT (image_id, member) DO NOTHING
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, Member = member, Now = now }) == 1;
    }

    /// <summary>What a project says to an image that is shared with it. False when it is not.</summary>
    public async Task<bool> SetMemberStatusAsync(Session session, ImageId id, string member, string status, DateTimeOffset now)
    {
        const string Sql = "UPDATE image_members SET status = @Status, updated_at = @Now WHERE image_id = @Id AND member = @Member";
        return await session.ExecuteAsync(Sql, new { Id = id, Member = member, Status = status, Now = now }) == 1;
    }

    /// <summary>Shares an image with a project no longer. False when it was not shared with it.</summary>
    public async Task<bool> RemoveMemberAsync(Session session, ImageId id, string member)
    {
        const string Sql = "DELETE FROM image_members WHERE image_id = @Id AND member = @Member";
        return await session.ExecuteAsync(Sql, new { Id = id, Member = member }) == 1;
    }
}

/// <summary>A project that an image is shared with.</summary>
public sealed record ImageMember
{
    /// <summary>The project.</summary>
    public string Member { get; init; } = "";

    /// <summary><c>pending</c>, <c>accepted</c> or <c>rejected</c>.</summary>
    public string Status { get; init; } = "";

    /// <summary>When it was shared.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its status last changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }
}
