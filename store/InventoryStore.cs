using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>What an administrator registers, each list in the order in which it was given.</summary>
/// <param name="VolumeTypes">By name: registered again, they are brought up to date and keep their id.</param>
/// <param name="Volumes">A null status keeps what is recorded, or is <c>available</c> at first.</param>
/// <param name="Servers">With the block devices that replace those recorded before.</param>
/// <param name="Limits">Quotas of projects.</param>
public sealed record Inventory(
    IReadOnlyList<VolumeType> VolumeTypes,
    IReadOnlyList<(VolumeRegistration Registration, bool KeepsStatus)> Volumes,
    IReadOnlyList<(Server Server, IReadOnlyList<BlockDevice> BlockDevices)> Servers,
    IReadOnlyList<(string ProjectId, string Resource, int Limit)> Limits);

/// <summary>Volume types, and the registration of everything that this product does not make itself.</summary>
public sealed class InventoryStore(Database database)
{
    /// <summary>
    /// Registers all of it or nothing; repeating changes nothing. <see cref="ErrorKind.InvalidRequest"/> when something names what is not there or belongs to
    /// another project; the message begins with its place, for example <c>servers[0].block_devices[1].volume_id</c>.
    /// </summary>
    public Task RegisterAsync(Inventory inventory, DateTimeOffset now, CancellationToken cancellationToken) => database.WriteAsync(
        async s =>
        {
            foreach (var type in inventory.VolumeTypes)
            {
                await UpsertTypeAsync(s, type, now);
            }

            for (var i = 0; i < inventory.Volumes.Count; i++)
            {
                await UpsertVolumeAsync(s, $"volumes[{i}]", inventory.Volumes[i], now);
            }

            for (var i = 0; i < inventory.Servers.Count; i++)
            {
                await UpsertServerAsync(s, $"servers[{i}]", inventory.Servers[i], now);
            }

            foreach (var (project, resource, limit) in inventory.Limits)
            {
                await SetLimitAsync(s, project, resource, limit);
            }
        },
        cancellationToken);

    /// <summary>The volume types that a project may use, by name; all for an administrator.</summary>
    public Task<IReadOnlyList<VolumeType>> VolumeTypesAsync(bool all, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT id, name, description, is_public, extra_specs::text AS extra_specs FROM volume_types WHERE is_public OR @All ORDER BY name";
        return database.ReadAsync<IReadOnlyList<VolumeType>>(
            async s => [.. (await s.ListAsync<TypeRow>(Sql, new { All = all })).Select(r => r.ToModel())], cancellationToken);
    }

    private static async Task UpsertTypeAsync(Session session, VolumeType type, DateTimeOffset now)
    {
        const string Sql = """
            INSERT INTO volume_types (id, name, description, is_public, extra_specs, created_at)
            VALUES (@Id, @Name, @Description, @IsPublic, @ExtraSpecs::jsonb, @Now)
            ON CONFLICT (name) DO UPDATE SET
                description = excluded.description, is_public = excluded.is_public, extra_specs = excluded.extra_specs, updated_at = @Now
            """;
        await session.ExecuteAsync(Sql, new { type.Id, type.Name, type.Description, type.IsPublic, ExtraSpecs = JsonSerializer.Serialize(type.ExtraSpecs), Now = now });
    }

    private static async Task UpsertVolumeAsync(Session session, string place, (VolumeRegistration Registration, bool KeepsStatus) given, DateTimeOffset now)
    {
        const string Known = "SELECT EXISTS (SELECT FROM volume_types WHERE name = @Name)";
        const string Recorded = "SELECT status FROM volumes WHERE id = @Id AND deleted_at IS NULL FOR UPDATE";
        var volume = given.Registration.Volume;
        if (volume.VolumeType is { } type && !await session.ScalarAsync<bool>(Known, new { Name = type }))
        {
            throw Wrong($"{place}.volume_type", $"There is no volume type '{type}': register it first, or in the same file.");
        }

        var recorded = await session.ScalarAsync<string>(Recorded, new { volume.Id });
        var registration = given.KeepsStatus && recorded is not null ? given.Registration with { Volume = volume with { Status = recorded } } : given.Registration;
        await PlacedAsync(place, () => VolumeStore.UpsertAsync(session, registration, now));
    }

    private static async Task UpsertServerAsync(Session session, string place, (Server Server, IReadOnlyList<BlockDevice> BlockDevices) given, DateTimeOffset now)
    {
        const string Owners = "SELECT id, project_id FROM volumes WHERE id = ANY(@Ids) AND deleted_at IS NULL";
        var (server, devices) = given;
        var owners = (await session.ListAsync<OwnerRow>(Owners, new { Ids = devices.Select(d => d.VolumeId).OfType<VolumeId>().Select(v => v.Value).ToArray() }))
            .ToDictionary(r => r.Id, r => r.ProjectId);
        for (var i = 0; i < devices.Count; i++)
        {
            if (devices[i].VolumeId is not { } volume)
            {
                continue;
            }

            if (!owners.TryGetValue(volume, out var owner))
            {
                throw Wrong($"{place}.block_devices[{i}].volume_id", $"There is no volume {volume}: register it first, or in the same file.");
            }

            if (owner != server.ProjectId)
            {
                throw Wrong($"{place}.block_devices[{i}].volume_id", $"Volume {volume} is of project {owner}, instance {server.Id} of project {server.ProjectId}: they must be the same.");
            }
        }

        await PlacedAsync(place, () => ServerStore.UpsertAsync(session, server, devices, now));
    }

    private static async Task SetLimitAsync(Session session, string project, string resource, int limit)
    {
        const string Sql = """
            INSERT INTO quotas (project_id, resource, hard_limit) VALUES (@ProjectId, @Resource, @Limit)
            ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit
            """;
        await session.ExecuteAsync(Sql, new { ProjectId = project, Resource = resource, Limit = limit });
    }

    private static async Task PlacedAsync(string place, Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (SnapshotFlowException e) when (e.Kind is ErrorKind.InvalidRequest)
        {
            throw Wrong(place, e.Message);
        }
    }

    private static SnapshotFlowException Wrong(string place, string why) => new(ErrorKind.InvalidRequest, $"{place}: {why}");

    private sealed record OwnerRow
    {
        public VolumeId Id { get; init; }

        public string ProjectId { get; init; } = "";
    }

    private sealed record TypeRow
    {
        public Guid Id { get; init; }

        public string Name { get; init; } = "";

        public string? Description { get; init; }

        public bool IsPublic { get; init; }

        public string ExtraSpecs { get; init; } = "{}";

        public VolumeType ToModel() => new()
        {
            Id = Id, Name = Name, Description = Description, IsPublic = IsPublic, ExtraSpecs = JsonSerializer.Deserialize<Dictionary<string, string>>(ExtraSpecs)!,
        };
    }
}
