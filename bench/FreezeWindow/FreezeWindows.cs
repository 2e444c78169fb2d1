using System.Globalization;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using SnapshotFlow.Store;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>
/// Images through the API, the product as processes: from the moment at which the guest's agent had frozen to the moment at which it had thawed, split into the slowest driver call,
/// what the agent itself takes, and the rest, which is ours. The guest is the demonstration's.
/// </summary>
internal static class FreezeWindows
{
    // The first images of a process are made by code that is being compiled.
    private const int WarmUp = 5;

    /// <summary>What a cut takes on the back end that stands for one that scales: about what it takes on Ceph.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);

    public static async Task MeasureAsync(string directory, RbdOptions? rbd, int rounds, CancellationToken ct)
    {
        var (paced, faults) = (Directory.CreateDirectory(Path.Combine(directory, "paced")).FullName, Path.Combine(directory, "faults.json"));
        await File.WriteAllTextAsync(faults, FaultRule.Write([new() { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = Pace }]), ct);
        Dictionary<string, string?> settings = new()
        {
            ["Volume__Backends__0__Concurrency"] = "32",
            ["Volume__Backends__1__Name"] = "node-1@paced", ["Volume__Backends__1__Driver"] = "file", ["Volume__Backends__1__Concurrency"] = "32",
            ["Volume__Backends__1__Root"] = paced, ["Volume__Backends__1__FaultFile"] = faults,
        };
        if (rbd is not null)
        {
            settings["Volume__Backends__2__Name"] = "node-1@rbd";
            settings["Volume__Backends__2__Driver"] = "rbd";
            settings["Volume__Backends__2__Rbd__Pool"] = rbd.Pool;
            settings["Volume__Backends__2__Rbd__User"] = rbd.User;
            settings["Volume__Backends__2__Rbd__Conf"] = rbd.Conf;
            settings["Volume__Backends__2__Concurrency"] = "32";
        }

        await using var stack = await DevelopmentStack.StartAsync(new() { StateDirectory = Path.Combine(directory, "state"), Ephemeral = true, Settings = settings }, _ => { }, ct);
        using var tenant = new TenantClient(stack.Api, stack.Tokens.Tenant);
        foreach (var resource in (string[])[Quota.Snapshots, Quota.Gigabytes])
        {
            await new QuotaStore(stack.Database).SetLimitAsync(Tokens.TenantProject, resource, Quota.Unlimited, ct);
        }

        Console.WriteLine($"## Freeze window of createImage: median / p99 ms of {rounds}");
        Console.WriteLine();
        Console.WriteLine(Window.Heading);
        await MeasureAsync(stack, tenant, "file", "file", stack.Storage.Driver, rounds, ct);
        await MeasureAsync(stack, tenant, $"file, each cut {Pace.TotalMilliseconds:0} ms longer", "paced", new FileVolumeDriver(paced, TimeProvider.System), rounds, ct);
        if (rbd is not null)
        {
            using var driver = new RbdVolumeDriver(rbd, TimeProvider.System);
            await MeasureAsync(stack, tenant, "rbd", "rbd", driver, rounds, ct);
        }

        Console.WriteLine();
    }

    private static async Task MeasureAsync(DevelopmentStack stack, TenantClient tenant, string title, string backend, IVolumeDriver driver, int rounds, CancellationToken ct)
    {
        await driver.CheckAsync(ct);
        var windows = new List<Window>();
        foreach (var count in (int[])[1, 4, 8, 16])
        {
            windows.Add(await RegisterAsync(stack, driver, $"{stack.Host}@{backend}", count, ct));
        }

        // In turns, so that no number of volumes has the warmer processes or the quieter machine.
        for (var i = -WarmUp; i < rounds; i++)
        {
            foreach (var window in windows)
            {
                var image = await tenant.CreateImageAsync(window.Server, $"{backend}-{window.Volumes}-{i}", ct);
                var run = await tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), ct);
                var evidence = run is { Status: "completed", Evidence: { Consistency: "application", FreezeMs: not null } found }
                    ? found : throw new InvalidOperationException($"image {image} is {run.Status}, {run.Evidence?.Consistency}: {run.Reason?.Message}{run.Evidence?.Reason}");
                if (i >= 0)
                {
                    // The run's clock is this machine's, read when a task of the run begins.
                    window.Add(evidence, run.Steps.Single(s => s.Step == "Quiesce").EndedAt!.Value, run.Steps.Single(s => s.Step == "Unquiesce").StartedAt);
                }

                await Task.WhenAll(evidence.Cuts.Select(c => driver.DeleteSnapshotAsync(
                    VolumeId.Parse(c.VolumeId, CultureInfo.InvariantCulture), SnapshotId.Parse(c.SnapshotId, CultureInfo.InvariantCulture), ct)));
                await window.AskAgentAsync(counts: i >= 0, ct);
            }
        }

        windows.ForEach(window => Console.WriteLine($"| {title} | {window}"));
    }

    /// <summary>A server with so many volumes in a back end, and a guest that can be frozen.</summary>
    private static async Task<Window> RegisterAsync(DevelopmentStack stack, IVolumeDriver driver, string backend, int count, CancellationToken ct)
    {
        var (id, now) = (ServerId.New(), TimeProvider.System.GetUtcNow());
        var volumes = Enumerable.Range(0, count).Select(_ => VolumeId.New()).ToList();
        await Task.WhenAll(volumes.Select(v => driver.CreateVolumeAsync(v, 64L << 20, ct)));
        var socket = Path.Combine(stack.SocketDirectory, $"{id.ToString()[..8]}.sock");
        var disk = Path.Combine(stack.State.Logs, $"{id}.disk");
        await using (var file = File.Create(disk))
        {
            file.SetLength(1 << 20);
        }

        await stack.StartProcessAsync(
            new ChildCommand($"guest-{id.ToString()[..8]}", stack.Programs.DemoGuest, ["--agent", socket, "--journal", disk + ".journal", "--pause", "00:00:01", "--disk", disk]), ct);
        var agent = new GuestAgents(new(), TimeProvider.System).Open($"qga:unix:{socket}");
        await Wait.UntilAsync("the guest's agent to answer", TimeSpan.FromMinutes(1), async token => (await agent.ProbeAsync(token)).CanFreeze, ct);
        await new ServerStore(stack.Database).RegisterAsync(
            new ServerRegistration(
                new Server
                {
                    Id = id, ProjectId = Tokens.TenantProject, UserId = Tokens.TenantUser, Name = $"bench-{count}", Host = stack.Host, VmState = VmState.Active, RootDeviceName = "/dev/vda",
                    SystemMetadata = new Dictionary<string, string?> { ["image_base_image_ref"] = "", ["image_hw_qemu_guest_agent"] = "yes" },
                    LaunchedAt = now, GuestAgentAddress = $"qga:unix:{socket}", CreatedAt = now,
                },
                [
                    .. volumes.Select((v, i) => new BlockDevice
                    {
                        SourceType = "volume", DestinationType = "volume", BootIndex = i == 0 ? 0 : null, DeviceName = $"/dev/vd{(char)('a' + i)}", DiskBus = "virtio", DeviceType = "disk",
                        VolumeId = v, VolumeSize = 1,
                    }),
                ],
                [
                    .. volumes.Select((v, i) => new VolumeRegistration(
                        new Volume
                        {
                            Id = v, ProjectId = Tokens.TenantProject, UserId = Tokens.TenantUser, Name = $"bench-{i}", Status = VolumeStatus.InUse, SizeGib = 1, Bootable = i == 0, Backend = backend,
                            CreatedAt = now,
                        },
                        i == 0 ? new Dictionary<string, string> { ["image_name"] = "bench" } : [])),
                ]),
            now, ct);
        return new(count, id, agent);
    }
}
