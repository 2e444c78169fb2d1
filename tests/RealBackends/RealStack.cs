using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.RealBackends;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(RealStack))]
// Guests are emulated: two at once would only wait for each other.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>Which real back end.</summary>
public enum RealBackend
{
    /// <summary>Ceph RBD.</summary>
    Rbd,

    /// <summary>qcow2 files, cut by QEMU.</summary>
    Qemu,
}

/// <summary>
/// The whole product as processes, with the back ends <c>rbd</c> and <c>qemu</c> beside its own, and what guests boot from. Started by the first test that needs it;
/// <c>./snapshotflow test --real</c> brings up what it needs and names it in the environment.
/// </summary>
public sealed class RealStack : IAsyncDisposable
{
    private const string Images = "SNAPSHOTFLOW_TEST_GUEST_IMAGES", Prefix = "SNAPSHOTFLOW_TEST_CEPH_";

    private const string Missing = "needs a Ceph cluster and QEMU guests: ./snapshotflow test --real brings both up (as root, on Debian or Ubuntu)";

    private readonly SemaphoreSlim starting = new(1);
    private readonly List<IDisposable> drivers = [];
    private DirectoryInfo? directory;
    private bool failed;

    /// <summary>The processes.</summary>
    public DevelopmentStack Stack { get; private set; } = null!;

    /// <summary>A member of the project that the servers belong to.</summary>
    public TenantClient Tenant { get; private set; } = null!;

    /// <summary>Where guests and their sockets are: a short path, because that of a socket has 107 bytes at most.</summary>
    public string Guests => Path.Combine(directory!.FullName, "g");

    /// <summary>Directory with kernel, initial RAM disk and root file system.</summary>
    public static string GuestImages => Environment.GetEnvironmentVariable(Images)!;

    /// <summary>The cluster.</summary>
    public static RbdOptions Ceph => new() { Conf = Value("CONF")!, Pool = Value("POOL")!, User = Value("USER")! };

    /// <summary>The drivers as the tests use them, beside the workers.</summary>
    public IVolumeDriver Driver(RealBackend backend) => backend switch
    {
        RealBackend.Rbd => (IVolumeDriver)drivers[0],
        _ => new QemuVolumeDriver(QemuRoot, new() { QmpDirectory = QmpDirectory, QmpTimeout = TimeSpan.FromSeconds(30) }, TimeProvider.System),
    };

    /// <summary>The back end as volumes are recorded with it.</summary>
    public string BackendName(RealBackend backend) => $"{Stack.Host}@{backend.ToString().ToLowerInvariant()}";

    /// <summary>Directory of the qcow2 volumes.</summary>
    public string QemuRoot => Path.Combine(directory!.FullName, "q");

    /// <summary>Where guests put the QMP sockets that are for the driver.</summary>
    public string QmpDirectory => Path.Combine(directory!.FullName, "qmp");

    /// <summary>Faults that the real back ends inject.</summary>
    public string FaultFile => Path.Combine(directory!.FullName, "faults.json");

    /// <summary>Skips the test when there is no cluster.</summary>
    public static void NeedCeph() => Assert.SkipWhen(Value("CONF") is null, Missing);

    /// <summary>Starts everything, once; skips the test when there is nothing real to test with.</summary>
    public async Task NeedAsync()
    {
        Assert.SkipWhen(Value("CONF") is null || Environment.GetEnvironmentVariable(Images) is null, Missing);
        await starting.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            Assert.False(failed, "the product did not start; the first test that needed it says why");
            if (directory is null)
            {
                failed = true;
                directory = Directory.CreateTempSubdirectory("sf-real-");
                foreach (var part in (string[])[Guests, QemuRoot, QmpDirectory])
                {
                    Directory.CreateDirectory(part);
                }

                await StartAsync();
                failed = false;
            }
        }
        finally
        {
            starting.Release();
        }
    }

    /// <summary>Stops everything.</summary>
    public async ValueTask DisposeAsync()
    {
        starting.Dispose();
        drivers.ForEach(d => d.Dispose());
        if (Stack is not null)
        {
            Tenant?.Dispose();
            await Stack.DisposeAsync();
        }

        directory?.Delete(recursive: true);
    }

    private async Task StartAsync()
    {
        var settings = new Dictionary<string, string?>
        {
            ["Volume__Backends__1__Name"] = "node-1@rbd",
            ["Volume__Backends__1__Driver"] = "rbd",
            ["Volume__Backends__1__Rbd__Pool"] = Ceph.Pool,
            ["Volume__Backends__1__Rbd__User"] = Ceph.User,
            ["Volume__Backends__1__Rbd__Conf"] = Ceph.Conf,
            ["Volume__Backends__1__FaultFile"] = FaultFile,
            ["Volume__Backends__1__Concurrency"] = "16",
            ["Volume__Backends__2__Name"] = "node-1@qemu",
            ["Volume__Backends__2__Driver"] = "qemu",
            ["Volume__Backends__2__Root"] = QemuRoot,
            ["Volume__Backends__2__Qemu__QmpDirectory"] = QmpDirectory,
            ["Volume__Backends__2__FaultFile"] = FaultFile,
            // An emulated guest on a busy machine is slow; what is proven here is what it says, not when.
            ["Volume__Backends__2__Qemu__QmpTimeout"] = "00:00:30",
            ["GuestAgent__CallTimeout"] = "00:00:30",
            ["GuestAgent__FreezeTimeout"] = "00:00:30",
        };
        Stack = await DevelopmentStack.StartAsync(
            new StackOptions { StateDirectory = Path.Combine(directory!.FullName, "state"), Ephemeral = true, Settings = settings }, _ => { }, TestContext.Current.CancellationToken);
        Tenant = new TenantClient(Stack.Api, Stack.Tokens.Tenant);
        await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Snapshots, Quota.Unlimited, CancellationToken.None);
        await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Gigabytes, Quota.Unlimited, CancellationToken.None);
        drivers.Add(new RbdVolumeDriver(Ceph, TimeProvider.System));
    }

    private static string? Value(string name) => Environment.GetEnvironmentVariable(Prefix + name) is { Length: > 0 } value ? value : null;
}
