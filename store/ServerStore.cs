using System.Text.Json;
using Npgsql;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Servers and their block devices.</summary>
public sealed class ServerStore(Database database)
{
    private const string Columns = """
        id, project_id, user_id, name, host, vm_state, task_state, task_image_id, root_device_name, image_ref,
        system_metadata::text AS system_metadata, locked, launched_at, guest_agent_address, server_group, created_at, updated_at
        """;

    /// <summary>A server whoever asks; for workers. Null when there is none.</summary>
    public Task<Server?> FindAsync(ServerId id, CancellationToken cancellationToken) => database.ReadAsync(s => FindAsync(s, id), cancellationToken);

    /// <summary>A server as the caller may see it: of the caller's project, or any for an administrator. Null when there is none, or none to be seen.</summary>
    public Task<Server?> FindVisibleAsync(ServerId id, Caller caller, CancellationToken cancellationToken) =>
        database.ReadAsync(s => FindVisibleAsync(s, id, caller), cancellationToken);

    /// <inheritdoc cref="FindVisibleAsync(ServerId, Caller, CancellationToken)"/>
    public async Task<Server?> FindVisibleAsync(Session session, ServerId id, Caller caller) =>
        await FindAsync(session, id) is { } server && (caller.IsAdmin || server.ProjectId == caller.ProjectId) ? server : null;

    /// <summary>As <see cref="FindVisibleAsync(Session, ServerId, Caller)"/>, and nobody changes it until the transaction ends.</summary>
    public async Task<Server?> LockVisibleAsync(Session session, ServerId id, Caller caller)
    {
        const string Sql = "SELECT true FROM servers WHERE id = @Id FOR NO KEY UPDATE";
        await session.ScalarAsync<bool>(Sql, new { Id = id });
        return await FindVisibleAsync(session, id, caller);
    }

    /// <summary>Servers, newest first.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="page">Which. An unknown marker is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<Server>> ListAsync(string? projectId, Page page, CancellationToken cancellationToken) => ListAsync(projectId, new(), page, cancellationToken);

    /// <inheritdoc cref="ListAsync(string?, Page, CancellationToken)"/>
    /// <param name="filter">Which of them. A name that is no regular expression is <see cref="ErrorKind.InvalidRequest"/>.</param>
    public async Task<IReadOnlyList<Server>> ListAsync(string? projectId, ServerFilter filter, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT created_at FROM servers WHERE id = @Marker AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        const string Sql = $"""
            SELECT {Columns}
            FROM servers
            WHERE vm_state <> 'deleted'
              AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
              AND (@Name::text IS NULL OR name ~ @Name)
              AND (@VmState::text IS NULL OR vm_state = @VmState)
              AND (@After::timestamptz IS NULL OR (created_at, id) < (@After, @Marker::uuid))
            ORDER BY created_at DESC, id DESC
            LIMIT @Limit
            """;
        try
        {
            return await database.ReadAsync<IReadOnlyList<Server>>(
                async s =>
                {
                    var after = await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.InvalidRequest, "server");
                    var args = new { ProjectId = projectId, filter.Name, VmState = filter.VmState?.ToText(), After = after, page.Marker, page.Limit };
                    return [.. (await s.ListAsync<ServerRow>(Sql, args)).Select(r => r.ToModel())];
                },
                cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InvalidRegularExpression)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"Invalid input for query parameters name. Value: {filter.Name}. It is not a regular expression");
        }
    }

    /// <summary>The server's block devices in the order of their records.</summary>
    public Task<IReadOnlyList<BlockDevice>> BlockDevicesAsync(ServerId id, CancellationToken cancellationToken) =>
        database.ReadAsync(s => BlockDevicesAsync(s, id), cancellationToken);

    /// <inheritdoc cref="BlockDevicesAsync(ServerId, CancellationToken)"/>
    public async Task<IReadOnlyList<BlockDevice>> BlockDevicesAsync(Session session, ServerId id)
    {
        const string Sql = """
            SELECT source_type, destination_type, boot_index, device_name, disk_bus, device_type, guest_format, delete_on_termination, no_device,
                   volume_id, snapshot_id, image_id, volume_size, volume_type, tag, encrypted, encryption_secret_uuid, encryption_format, encryption_options
            FROM block_device_mappings
            WHERE server_id = @Id
            ORDER BY id
            """;
        return await session.ListAsync<BlockDevice>(Sql, new { Id = id });
    }

    /// <summary>The volumes that are attached to servers, each server's in the order of its block devices.</summary>
    public async Task<ILookup<ServerId, AttachedVolume>> AttachedVolumesAsync(IReadOnlyCollection<ServerId> servers, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT server_id, volume_id, delete_on_termination
            FROM block_device_mappings
            WHERE server_id = ANY(@Ids) AND destination_type = 'volume' AND NOT no_device AND volume_id IS NOT NULL
            ORDER BY server_id, id
            """;
        var args = new { Ids = servers.Select(s => s.Value).ToArray() };
        return (await database.ReadAsync(s => s.ListAsync<AttachedVolume>(Sql, args), cancellationToken)).ToLookup(v => v.ServerId);
    }

    /// <summary>The names of servers, whoever asks; those that are not there are absent.</summary>
    public async Task<IReadOnlyDictionary<ServerId, string>> NamesAsync(IReadOnlyCollection<ServerId> servers, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT id, name FROM servers WHERE id = ANY(@Ids)";
        var args = new { Ids = servers.Select(s => s.Value).ToArray() };
        return (await database.ReadAsync(s => s.ListAsync<NameRow>(Sql, args), cancellationToken)).ToDictionary(r => r.Id, r => r.Name);
    }

    /// <summary>How many servers a project has.</summary>
    public Task<long> CountAsync(string projectId, CancellationToken cancellationToken)
    {
        const string Sql = "SELECT count(*) FROM servers WHERE project_id = @ProjectId AND vm_state <> 'deleted'";
        return database.ReadAsync(s => s.ScalarAsync<long>(Sql, new { ProjectId = projectId }), cancellationToken);
    }

    /// <summary>Takes the server's task state for an image; true as well when the image has it already, false when something else is going on.</summary>
    public async Task<bool> TakeTaskStateAsync(Session session, ServerId id, ImageId image, DateTimeOffset now)
    {
        // Of two runs for one server the second finds the task state taken, and loses.
        const string Sql = """
            UPDATE servers
            SET task_state = @Taken, task_image_id = @Image, updated_at = @Now
            WHERE id = @Id AND (task_state IS NULL OR (task_state = @Taken AND task_image_id = @Image))
            """;
        return await session.ExecuteAsync(Sql, new { Id = id, Image = image, Now = now, Taken = TaskState.ImageSnapshot }) == 1;
    }

    /// <summary>Clears the task state if the image still holds it; does nothing otherwise.</summary>
    public Task ReleaseTaskStateAsync(Session session, ServerId id, ImageId image, DateTimeOffset now)
    {
        // Whoever took the server since then keeps it.
        const string Sql = """
            UPDATE servers
            SET task_state = NULL, task_image_id = NULL, updated_at = @Now
            WHERE id = @Id AND task_state = @Taken AND task_image_id = @Image
            """;
        return session.ExecuteAsync(Sql, new { Id = id, Image = image, Now = now, Taken = TaskState.ImageSnapshot });
    }

    /// <summary>
    /// Writes a server with its volumes and block devices, or brings its records up to date; repeating changes nothing. The task state that a run holds is
    /// left alone. <see cref="ErrorKind.InvalidRequest"/> when the parts do not fit together, or belong to another project than before.
    /// </summary>
    public Task RegisterAsync(ServerRegistration registration, DateTimeOffset now, CancellationToken cancellationToken)
    {
        registration.Require();
        return database.WriteAsync(
            async s =>
            {
                await UpsertServerAsync(s, registration.Server, now);
                foreach (var volume in registration.Volumes.OrderBy(v => v.Volume.Id.Value))
                {
                    await VolumeStore.UpsertAsync(s, volume, now);
                }

                await ReplaceBlockDevicesAsync(s, registration.Server.Id, registration.BlockDevices);
            },
            cancellationToken);
    }

    internal static async Task UpsertAsync(Session session, Server server, IReadOnlyList<BlockDevice> devices, DateTimeOffset now)
    {
        await UpsertServerAsync(session, server, now);
        await ReplaceBlockDevicesAsync(session, server.Id, devices);
    }

    private static async Task<Server?> FindAsync(Session session, ServerId id)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM servers
            WHERE id = @Id AND vm_state <> 'deleted'
            """;
        return (await session.SingleOrDefaultAsync<ServerRow>(Sql, new { Id = id }))?.ToModel();
    }

    private static async Task UpsertServerAsync(Session session, Server server, DateTimeOffset now)
    {
        // A server never changes its project; while a run holds it, its task state is the run's.
        const string Sql = """
            INSERT INTO servers (id, project_id, user_id, name, host, vm_state, task_state, root_device_name, image_ref, system_metadata, locked, launched_at,
                                 guest_agent_address, server_group, created_at)
            VALUES (@Id, @ProjectId, @UserId, @Name, @Host, @VmState, @TaskState, @RootDeviceName, @ImageRef, @SystemMetadata::jsonb, @Locked, @LaunchedAt,
                    @GuestAgentAddress, @ServerGroup, @Now)
            ON CONFLICT (id) DO UPDATE SET
                user_id = excluded.user_id, name = excluded.name, host = excluded.host, vm_state = excluded.vm_state,
                task_state = CASE WHEN servers.task_image_id IS NULL THEN excluded.task_state ELSE servers.task_state END,
                root_device_name = excluded.root_device_name, image_ref = excluded.image_ref, system_metadata = excluded.system_metadata,
                locked = excluded.locked, launched_at = excluded.launched_at, guest_agent_address = excluded.guest_agent_address,
                server_group = excluded.server_group, updated_at = @Now
            WHERE servers.project_id = excluded.project_id
            """;
        var written = await session.ExecuteAsync(Sql, new
        {
            server.Id,
            server.ProjectId,
            server.UserId,
            server.Name,
            server.Host,
            VmState = server.VmState.ToText(),
            server.TaskState,
            server.RootDeviceName,
            server.ImageRef,
            SystemMetadata = JsonSerializer.Serialize(server.SystemMetadata),
            server.Locked,
            server.LaunchedAt,
            server.GuestAgentAddress,
            server.ServerGroup,
            Now = now,
        });
        if (written == 0)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"Instance {server.Id} is registered for another project, and a server cannot change its project.");
        }
    }

    private static async Task ReplaceBlockDevicesAsync(Session session, ServerId id, IReadOnlyList<BlockDevice> devices)
    {
        const string Delete = "DELETE FROM block_device_mappings WHERE server_id = @Id";
        const string Insert = """
            INSERT INTO block_device_mappings (
                server_id, source_type, destination_type, boot_index, device_name, disk_bus, device_type, guest_format, delete_on_termination, no_device,
                volume_id, snapshot_id, image_id, volume_size, volume_type, tag, encrypted, encryption_secret_uuid, encryption_format, encryption_options)
            VALUES (
                @ServerId, @SourceType, @DestinationType, @BootIndex, @DeviceName, @DiskBus, @DeviceType, @GuestFormat, @DeleteOnTermination, @NoDevice,
                @VolumeId, @SnapshotId, @ImageId, @VolumeSize, @VolumeType, @Tag, @Encrypted, @EncryptionSecretUuid, @EncryptionFormat, @EncryptionOptions)
            """;
        await session.ExecuteAsync(Delete, new { Id = id });
        foreach (var d in devices)
        {
            await session.ExecuteAsync(Insert, new
            {
                ServerId = id,
                d.SourceType,
                d.DestinationType,
                d.BootIndex,
                d.DeviceName,
                d.DiskBus,
                d.DeviceType,
                d.GuestFormat,
                d.DeleteOnTermination,
                d.NoDevice,
                d.VolumeId,
                d.SnapshotId,
                d.ImageId,
                d.VolumeSize,
                d.VolumeType,
                d.Tag,
                d.Encrypted,
                d.EncryptionSecretUuid,
                d.EncryptionFormat,
                d.EncryptionOptions,
            });
        }
    }

    private sealed record NameRow
    {
        public ServerId Id { get; init; }

        public string Name { get; init; } = "";
    }

    private sealed record ServerRow
    {
        public ServerId Id { get; init; }

        public string ProjectId { get; init; } = "";

        public string UserId { get; init; } = "";

        public string Name { get; init; } = "";

        public string? Host { get; init; }

        public string VmState { get; init; } = "";

        public string? TaskState { get; init; }

        public ImageId? TaskImageId { get; init; }

        public string? RootDeviceName { get; init; }

        public string? ImageRef { get; init; }

        public string SystemMetadata { get; init; } = "{}";

        public bool Locked { get; init; }

        public DateTimeOffset? LaunchedAt { get; init; }

        public string? GuestAgentAddress { get; init; }

        public string? ServerGroup { get; init; }

        public DateTimeOffset CreatedAt { get; init; }

        public DateTimeOffset? UpdatedAt { get; init; }

        public Server ToModel() => new()
        {
            Id = Id,
            ProjectId = ProjectId,
            UserId = UserId,
            Name = Name,
            Host = Host,
            VmState = EnumText.Parse<VmState>(VmState),
            TaskState = TaskState,
            TaskImage = TaskImageId,
            RootDeviceName = RootDeviceName,
            ImageRef = ImageRef,
            SystemMetadata = JsonSerializer.Deserialize<Dictionary<string, string?>>(SystemMetadata)!,
            Locked = Locked,
            LaunchedAt = LaunchedAt,
            GuestAgentAddress = GuestAgentAddress,
            ServerGroup = ServerGroup,
            CreatedAt = CreatedAt,
            UpdatedAt = UpdatedAt,
        };
    }
}

/// <summary>Which servers to list.</summary>
/// <param name="Name">A regular expression that the name holds, as in Nova; null for any.</param>
/// <param name="VmState">The state; null for any.</param>
public sealed record ServerFilter(string? Name = null, VmState? VmState = null);

/// <summary>A volume of a server.</summary>
public sealed record AttachedVolume
{
    /// <summary>The server.</summary>
    public ServerId ServerId { get; init; }

    /// <summary>The volume.</summary>
    public VolumeId VolumeId { get; init; }

    /// <summary>Whether it goes with its server.</summary>
    public bool DeleteOnTermination { get; init; }
}
