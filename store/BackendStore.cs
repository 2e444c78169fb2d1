using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>The storage back ends that volumes live on, and which of them an administrator has frozen.</summary>
public sealed class BackendStore(Database database)
{
    /// <summary>Every back end that a live volume is on, and every frozen one, by name.</summary>
    public async Task<IReadOnlyList<StorageBackend>> ListAsync(CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT backend AS name, max(availability_zone) AS availability_zone, max(frozen_at) AS frozen_at
            FROM (SELECT v.backend, v.availability_zone, NULL::timestamptz AS frozen_at FROM volumes AS v WHERE v.backend <> '' AND v.deleted_at IS NULL
                  UNION ALL
                  SELECT f.backend, NULL, f.frozen_at FROM frozen_backends AS f) AS known
            GROUP BY backend
            ORDER BY backend
            """;
        return await database.ReadAsync(s => s.ListAsync<StorageBackend>(Sql), cancellationToken);
    }

    /// <summary>Nothing is made or deleted on a back end any more; what has begun goes on. Freezing again changes nothing. False when no volume is there.</summary>
    public async Task<bool> FreezeAsync(string name, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Freeze = """
            INSERT INTO frozen_backends (backend, frozen_at)
            SELECT @Name, @Now WHERE EXISTS (SELECT FROM volumes WHERE backend = @Name AND deleted_at IS NULL)
            ON CONFLICT (backend) DO NOTHING
            """;
        return await database.WriteAsync(
            async s => await s.ExecuteAsync(Freeze, new { Name = name, Now = now }) == 1 || await IsFrozenAsync(s, name), cancellationToken);
    }

    /// <summary>The end of it; thawing again changes nothing. False when there is no such back end.</summary>
    public async Task<bool> ThawAsync(string name, CancellationToken cancellationToken)
    {
        const string Thaw = "DELETE FROM frozen_backends WHERE backend = @Name";
        const string Known = "SELECT EXISTS (SELECT FROM volumes WHERE backend = @Name AND deleted_at IS NULL)";
        return await database.WriteAsync(
            async s => await s.ExecuteAsync(Thaw, new { Name = name }) == 1 || await s.ScalarAsync<bool>(Known, new { Name = name }), cancellationToken);
    }

    private static Task<bool> IsFrozenAsync(Session session, string name)
    {
        const string Sql = "SELECT EXISTS (SELECT FROM frozen_backends WHERE backend = @Name)";
        return session.ScalarAsync<bool>(Sql, new { Name = name });
    }
}

/// <summary>A storage back end.</summary>
public sealed record StorageBackend
{
    /// <summary><c>host@backend</c>.</summary>
    public string Name { get; init; } = "";

    /// <summary>Availability zone of its volumes; null when unknown.</summary>
    public string? AvailabilityZone { get; init; }

    /// <summary>Since when an administrator has it frozen; null when it is not.</summary>
    public DateTimeOffset? FrozenAt { get; init; }
}
