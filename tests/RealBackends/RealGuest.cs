using System.Diagnostics;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>A Linux in QEMU with a root disk and data disks on a real back end, the real guest agent, and the witness that writes to all data disks as fast as it can.</summary>
internal sealed class RealGuest : IAsyncDisposable
{
    /// <summary>Size of a data disk.</summary>
    public const long DiskBytes = 32L << 20;

    private const long RootBytes = 96L << 20;
    private static readonly TimeSpan BootDeadline = TimeSpan.FromMinutes(3);

    private readonly RealStack real;
    private readonly RealBackend backend;
    private readonly string name = Guid.NewGuid().ToString("N")[..6];
    private ChildProcess? process;

    private RealGuest(RealStack real, RealBackend backend, IReadOnlyList<VolumeId> volumes)
    {
        this.real = real;
        this.backend = backend;
        Volumes = volumes;
        AgentSocket = Path.Combine(real.Guests, $"{name}.qga");
    }

    /// <summary>The server that it is recorded as.</summary>
    public ServerId Id { get; } = ServerId.New();

    /// <summary>Root first.</summary>
    public IReadOnlyList<VolumeId> Volumes { get; }

    /// <summary>Where its agent listens.</summary>
    public string AgentSocket { get; }

    /// <summary>Its QEMU.</summary>
    public ChildProcess Process => process!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Makes volumes with file systems, boots from them and registers the server.</summary>
    public static async Task<RealGuest> MakeAsync(RealStack real, RealBackend backend, int dataDisks = 3)
    {
        var guest = new RealGuest(real, backend, [.. Enumerable.Range(0, dataDisks + 1).Select(_ => VolumeId.New())]);
        var driver = real.Driver(backend);
        await driver.CheckAsync(Ct);
        var empty = Path.Combine(real.Guests, $"{guest.name}.raw");
        for (var i = 0; i < guest.Volumes.Count; i++)
        {
            await driver.CreateVolumeAsync(guest.Volumes[i], i == 0 ? RootBytes : DiskBytes, Ct);
            if (i > 0)
            {
                await using (var file = File.Create(empty))
                {
                    file.SetLength(DiskBytes);
                }

                await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-E", "root_owner=0:0,lazy_itable_init=0", empty);
            }

            await guest.FillAsync(guest.Volumes[i], i == 0 ? Path.Combine(RealStack.GuestImages, "root.raw") : empty);
        }

        File.Delete(empty);
        await guest.BootAsync();
        await guest.RegisterAsync();
        return guest;
    }

    /// <summary>Boots from volumes that exist, such as those made from an image.</summary>
    public static async Task<RealGuest> BootAsync(RealStack real, RealBackend backend, IReadOnlyList<VolumeId> volumes)
    {
        var guest = new RealGuest(real, backend, volumes);
        await guest.BootAsync();
        return guest;
    }

    /// <summary>Runs a line of shell in the guest.</summary>
    public Task<string> ShellAsync(string line) => AgentShell.RunAsync(AgentSocket, line, Ct);

    /// <summary>Lets the witness write to every data disk, and waits until it does.</summary>
    public async Task StartWitnessAsync()
    {
        var disks = string.Join(' ', Enumerable.Range(0, Volumes.Count - 1).Select(i => $"/data/data{i}"));
        await ShellAsync($"setsid witness {disks} >/run/witness.log 2>&1 </dev/null &");
        await Wait.UntilAsync("the witness to write", BootDeadline, async _ => (await NumbersAsync()) is { } numbers && numbers.All(n => n > 5), Ct);
    }

    /// <summary>The witness's number on each data disk, as the guest sees it.</summary>
    public async Task<IReadOnlyList<long>?> NumbersAsync()
    {
        var said = await ShellAsync("for d in /data/data*; do [ -f $d/durable ] && tr -d '\\000' <$d/durable || echo 0; done");
        var numbers = said.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return numbers.Length == Volumes.Count - 1 ? [.. numbers.Select(long.Parse)] : null;
    }

    /// <summary>Ends it as a power cut would.</summary>
    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            await process.KillAsync(CancellationToken.None);
        }

        File.Delete(QmpSocket);
        File.Delete(AgentSocket);
    }

    private string QmpSocket => Path.Combine(real.QmpDirectory, $"{name}.qmp");

    /// <summary>What QEMU calls a volume: as a disk to read and write, or as a target to copy to.</summary>
    private string Rbd(VolumeId volume) => $"rbd:{RealStack.Ceph.Pool}/{Names.Volume(volume)}:conf={RealStack.Ceph.Conf}:id={RealStack.Ceph.User}";

    private Task FillAsync(VolumeId volume, string raw) => backend switch
    {
        RealBackend.Rbd => Tool.RunAsync("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", raw, Rbd(volume)),
        _ => Tool.RunAsync("qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", raw, Path.Combine(real.QemuRoot, "volumes", Names.Volume(volume))),
    };

    private async Task BootAsync()
    {
        List<string> arguments =
        [
            "-name", name, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,accel=tcg", "-m", "192", "-smp", "1", "-no-reboot",
            "-kernel", Path.Combine(RealStack.GuestImages, "vmlinuz"), "-initrd", Path.Combine(RealStack.GuestImages, "initrd"),
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check", "-serial", $"file:{Path.Combine(real.Guests, $"{name}.console")}",
            "-chardev", $"socket,id=qmp,path={QmpSocket},server=on,wait=off", "-mon", "chardev=qmp,mode=control",
            "-device", "virtio-serial-pci", "-chardev", $"socket,id=qga,path={AgentSocket},server=on,wait=off",
            "-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0",
        ];
        foreach (var (volume, i) in Volumes.Select((v, i) => (v, i)))
        {
            var disk = i == 0 ? "root" : $"data{i - 1}";
            arguments.AddRange(["-blockdev", backend switch
            {
                RealBackend.Rbd => $"driver=rbd,node-name={disk},pool={RealStack.Ceph.Pool},image={Names.Volume(volume)},conf={RealStack.Ceph.Conf},user={RealStack.Ceph.User}",
                _ => $"driver=qcow2,node-name={disk},file.driver=file,file.filename={Path.Combine(real.QemuRoot, "volumes", Names.Volume(volume))}",
            }]);
            arguments.AddRange(["-device", $"virtio-blk-pci,id=vd-{disk},drive={disk},serial={disk}"]);
        }

        process = await real.Stack.StartProcessAsync(new ChildCommand($"qemu-{name}", "/usr/bin/qemu-system-x86_64", arguments), Ct);
        await Wait.UntilAsync($"the guest's agent on {AgentSocket} (log {process.LogFile})", BootDeadline, async ct =>
        {
            process.ThrowIfExited();
            using var soon = CancellationTokenSource.CreateLinkedTokenSource(ct);
            soon.CancelAfter(TimeSpan.FromSeconds(10));
            try
            {
                await AgentShell.AskAsync(AgentSocket, "guest-ping", soon.Token);
                return true;
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException || (e is OperationCanceledException && !ct.IsCancellationRequested))
            {
                return false;
            }
        }, Ct);
    }

    private Task RegisterAsync()
    {
        var now = TimeProvider.System.GetUtcNow();
        return new ServerStore(real.Stack.Database).RegisterAsync(
            new ServerRegistration(
                new Server
                {
                    Id = Id,
                    ProjectId = Tokens.TenantProject,
                    UserId = Tokens.TenantUser,
                    Name = $"real-{name}",
                    Host = real.Stack.Host,
                    VmState = VmState.Active,
                    RootDeviceName = "/dev/vda",
                    SystemMetadata = new Dictionary<string, string?> { ["image_base_image_ref"] = "", ["image_min_disk"] = "1", ["image_min_ram"] = "192", ["image_hw_qemu_guest_agent"] = "yes" },
                    LaunchedAt = now,
                    GuestAgentAddress = $"qga:unix:{AgentSocket}",
                    CreatedAt = now,
                },
                [
                    .. Volumes.Select((volume, i) => new BlockDevice
                    {
                        SourceType = "volume", DestinationType = "volume", BootIndex = i == 0 ? 0 : null, DeviceName = $"/dev/vd{(char)('a' + i)}", DiskBus = "virtio", DeviceType = "disk",
                        VolumeId = volume, VolumeSize = 1,
                    }),
                ],
                [
                    .. Volumes.Select((volume, i) => new VolumeRegistration(
                        new Volume
                        {
                            Id = volume,
                            ProjectId = Tokens.TenantProject,
                            UserId = Tokens.TenantUser,
                            Name = $"{name}-{i}",
                            Status = VolumeStatus.InUse,
                            SizeGib = 1,
                            Bootable = i == 0,
                            Backend = real.BackendName(backend),
                            CreatedAt = now,
                        },
                        i == 0 ? new Dictionary<string, string> { ["image_name"] = "tiny", ["min_disk"] = "1", ["min_ram"] = "192" } : [])),
                ]),
            now, Ct);
    }
}

/// <summary>Programs of the machine.</summary>
internal static class Tool
{
    /// <summary>Runs one to its end and returns what it printed; a failure is one of the test.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (code, said) = await TryAsync(program, arguments);
        return code == 0 ? said : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: exit code {code}: {said}");
    }

    /// <summary>Runs one to its end.</summary>
    public static async Task<(int Code, string Said)> TryAsync(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var said = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, process.ExitCode == 0 ? said : said + await errors);
    }
}
