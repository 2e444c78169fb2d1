using System.Globalization;
using System.Text.Json;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using SnapshotFlow.Stack.Processes;
using SnapshotFlow.Store;

namespace SnapshotFlow.Stack;

/// <summary>What a server of the demo or of a test is like.</summary>
public sealed record GuestServerOptions
{
    /// <summary>Display name.</summary>
    public string Name { get; init; } = "db-1";

    /// <summary>Nova's state.</summary>
    public VmState State { get; init; } = VmState.Active;

    /// <summary>Whether a guest runs in it; without one its agent address leads nowhere.</summary>
    public bool WithGuest { get; init; } = true;

    /// <summary>Image property <c>os_require_quiesce</c>.</summary>
    public bool RequireQuiesce { get; init; }

    /// <summary>Image property <c>snapshotflow_freeze_deadline</c>; the default when null.</summary>
    public TimeSpan? FreezeDeadline { get; init; }

    /// <summary>How long the guest pauses after each number that it has written to all its disks. None by default: it writes as fast as it can.</summary>
    public TimeSpan Pause { get; init; }

    /// <summary>Take the server of this name that is registered already, if there is one.</summary>
    public bool Existing { get; init; }

    /// <summary>The project it belongs to.</summary>
    public string Project { get; init; } = Tokens.TenantProject;

    /// <summary>The server group that it belongs to; none by default.</summary>
    public string? Group { get; init; }
}

/// <summary>A registered server with a root and two data volumes, and the guest that writes to them all the time.</summary>
public sealed class GuestServer : IAsyncDisposable
{
    private const int VolumeGib = 1;
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(1);

    private readonly DevelopmentStack stack;
    private readonly string agentSocket;

    private GuestServer(DevelopmentStack stack, ServerId id, IReadOnlyList<VolumeId> volumes)
    {
        this.stack = stack;
        Id = id;
        Volumes = volumes;
        agentSocket = Path.Combine(stack.SocketDirectory, $"{id.ToString()[..8]}.sock");
        Journal = Path.Combine(stack.State.Logs, $"guest-{id.ToString()[..8]}.journal");
    }

    /// <summary>The server.</summary>
    public ServerId Id { get; }

    /// <summary>Root first.</summary>
    public IReadOnlyList<VolumeId> Volumes { get; }

    /// <summary>Where the guest writes down when it was frozen and thawed.</summary>
    public string Journal { get; }

    /// <summary>The guest's process; null when none runs in it.</summary>
    public ChildProcess? Guest { get; private set; }

    /// <summary>Address of the guest agent as servers are recorded with it.</summary>
    public string AgentAddress => $"qga:unix:{agentSocket}";

    /// <summary>Makes volumes and records, and starts the guest.</summary>
    public static async Task<GuestServer> StartAsync(DevelopmentStack stack, GuestServerOptions options, CancellationToken ct)
    {
        var server = (options.Existing ? await FindAsync(stack, options, ct) : null) ?? new GuestServer(stack, ServerId.New(), [VolumeId.New(), VolumeId.New(), VolumeId.New()]);
        foreach (var volume in server.Volumes)
        {
            await stack.Storage.Driver.CreateVolumeAsync(volume, VolumeGib * 1024L * 1024 * 1024, ct);
        }
        if (options.WithGuest)
        {
            await server.StartGuestAsync(options.Pause, ct);
        }
        await server.RegisterAsync(options, ct);
        return server;
    }

    /// <summary>What the guest wrote down: <c>frozen</c> and <c>thawed</c>, in turn. Looks at nothing but the file, so it disturbs no worker's talk with the agent.</summary>
    public async Task<IReadOnlyList<string>> ReadJournalAsync(CancellationToken ct) => !File.Exists(Journal)
        ? []
        : [.. (await File.ReadAllLinesAsync(Journal, ct)).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("event").GetString()!)];

    /// <summary>Whether the last thing the guest wrote down is that it was frozen.</summary>
    public async Task<bool> IsFrozenAsync(CancellationToken ct) => (await ReadJournalAsync(ct)).LastOrDefault() == "frozen";

    /// <summary>Whether its agent, asked now, says that it is frozen.</summary>
    public async Task<bool> AgentSaysFrozenAsync(CancellationToken ct) => await Agent.StatusAsync(ct) is GuestFreezeStatus.Frozen;

    /// <summary>Stops the guest; its records and volumes stay.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Guest is not null)
        {
            await DevelopmentStack.StopProcessAsync(Guest);
        }
    }

    private IGuestAgent Agent => new GuestAgents(new QgaOptions(), TimeProvider.System).Open(AgentAddress);

    private static async Task<GuestServer?> FindAsync(DevelopmentStack stack, GuestServerOptions options, CancellationToken ct)
    {
        var servers = new ServerStore(stack.Database);
        var known = (await servers.ListAsync(options.Project, new Page(1000, null), ct)).FirstOrDefault(s => s.Name == options.Name);
        return known is null ? null : new GuestServer(stack, known.Id, [.. (await servers.BlockDevicesAsync(known.Id, ct)).Select(d => d.VolumeId).OfType<VolumeId>()]);
    }

    private async Task StartGuestAsync(TimeSpan pause, CancellationToken ct)
    {
        Guest = await stack.StartProcessAsync(
            new ChildCommand($"guest-{Id.ToString()[..8]}", stack.Programs.DemoGuest,
                ["--agent", agentSocket, "--journal", Journal, "--pause", $"{pause:c}", .. Volumes.SelectMany(v => new[] { "--disk", stack.Storage.VolumeFile(v) })]),
            ct);
        await Wait.UntilAsync($"the guest's agent to answer on {agentSocket} (log {Guest.LogFile})", StartDeadline, async token =>
        {
            Guest.ThrowIfExited();
            return (await Agent.ProbeAsync(token)).CanFreeze;
        }, ct);
    }

    private Task RegisterAsync(GuestServerOptions options, CancellationToken ct)
    {
        var now = TimeProvider.System.GetUtcNow();
        string[] devices = ["/dev/vda", "/dev/vdb", "/dev/vdc"];
        Dictionary<string, string?> systemMetadata = new()
        {
            ["image_base_image_ref"] = "", ["image_min_disk"] = $"{VolumeGib}", ["image_min_ram"] = "512", ["image_hw_qemu_guest_agent"] = "yes", ["image_os_distro"] = "debian",
        };
        if (options.RequireQuiesce)
        {
            systemMetadata["image_os_require_quiesce"] = "yes";
        }
        if (options.FreezeDeadline is { } deadline)
        {
            systemMetadata["image_snapshotflow_freeze_deadline"] = deadline.TotalSeconds.ToString(CultureInfo.InvariantCulture);
        }
        return new ServerStore(stack.Database).RegisterAsync(
            new ServerRegistration(
                new Server
                {
                    Id = Id,
                    ProjectId = options.Project,
                    UserId = Tokens.TenantUser,
                    Name = options.Name,
                    Host = stack.Host,
                    VmState = options.State,
                    RootDeviceName = devices[0],
                    SystemMetadata = systemMetadata,
                    LaunchedAt = now,
                    GuestAgentAddress = AgentAddress,
                    ServerGroup = options.Group,
                    CreatedAt = now,
                },
                [
                    .. Volumes.Select((volume, i) => new BlockDevice
                    {
                        SourceType = "volume", DestinationType = "volume", BootIndex = i == 0 ? 0 : null, DeviceName = devices[i], DiskBus = "virtio", DeviceType = "disk",
                        VolumeId = volume, VolumeSize = VolumeGib,
                    }),
                ],
                [
                    .. Volumes.Select((volume, i) => new VolumeRegistration(
                        new Volume
                        {
                            Id = volume,
                            ProjectId = options.Project,
                            UserId = Tokens.TenantUser,
                            Name = $"{options.Name}-{Path.GetFileName(devices[i])}",
                            Status = VolumeStatus.InUse,
                            SizeGib = VolumeGib,
                            Bootable = i == 0,
                            Backend = stack.Backend,
                            CreatedAt = now,
                        },
                        i == 0 ? new Dictionary<string, string> { ["image_name"] = "debian-12", ["min_disk"] = $"{VolumeGib}", ["min_ram"] = "512" } : [])),
                ]),
            now, ct);
    }
}
