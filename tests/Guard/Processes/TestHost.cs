using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Activities;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>One compute host: its lease directory, its guests, guards and holders, all real processes; this process is a compute worker too.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    /// <summary>Two clocks that count whole milliseconds, and are not read at the same moment.</summary>
    public const long ClockError = 2;

    private readonly List<IAsyncDisposable> processes = [];

    public TestHost()
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("sfguard-").FullName;
        LeaseDirectory = Path.Combine(Directory, "leases");
        Leases = new FreezeLeaseDirectory(LeaseDirectory);
        Agents = new GuestAgents(new QgaOptions(), TimeProvider.System);
        Worker = new GuestActivities(Agents, Leases, Clock, TimeProvider.System, NullLogger<GuestActivities>.Instance);
    }

    public string Directory { get; }

    public string LeaseDirectory { get; }

    public FreezeLeaseDirectory Leases { get; }

    public IHostClock Clock { get; } = new LinuxHostClock(TimeProvider.System);

    public GuestAgents Agents { get; }

    public GuestActivities Worker { get; }

    public async Task<GuestProcess> GuestAsync(CancellationToken ct)
    {
        var guest = await GuestProcess.StartAsync(Directory, Clock, ct);
        processes.Add(guest);
        return guest;
    }

    public async Task<IReadOnlyList<GuestProcess>> GuestsAsync(int count, CancellationToken ct)
    {
        var guests = new List<GuestProcess>();
        for (var i = 0; i < count; i++)
        {
            guests.Add(await GuestAsync(ct));
        }

        return guests;
    }

    /// <summary>Starts a guard without waiting for it.</summary>
    /// <param name="roles">What it is told to be.</param>
    /// <param name="lines">How it writes its log: for people, or as in production.</param>
    public ChildProgram Guard(string roles = "guard", string lines = "simple")
    {
        var guard = ChildProgram.Start("snapshotflow-workers", [], new Dictionary<string, string>
        {
            ["Workers__Roles"] = roles,
            ["Logging__Console__FormatterName"] = lines,
            ["Compute__Host"] = "test",
            ["Compute__LeaseDirectory"] = LeaseDirectory,
        });
        processes.Add(guard);
        return guard;
    }

    /// <summary>Starts a guard and waits for its sign of life.</summary>
    public async Task<ChildProgram> LiveGuardAsync(CancellationToken ct, string lines = "simple")
    {
        var guard = Guard(lines: lines);
        await LeadsAsync(guard, ct);
        return guard;
    }

    public Task LeadsAsync(ChildProgram guard, CancellationToken ct) => Eventually.IsAsync(
        $"guard {guard.Id} is alive",
        () => !guard.IsRunning
            ? throw new InvalidOperationException(guard.Output)
            : GuardHeartbeat.Read(Leases)?.Process.Id == guard.Id && GuardHeartbeat.Doubt(Leases, Clock) is null,
        ct);

    /// <summary>Another compute worker, as a process that can be killed and stopped.</summary>
    public async Task<ChildProgram> HolderAsync(GuestProcess guest, TimeSpan deadline, CancellationToken ct, string token = "run", params string[] options)
    {
        var holder = ChildProgram.Start(
            "SnapshotFlow.Tests.Guard",
            [HolderProgram.Command, LeaseDirectory, guest.Server.ToString(), guest.Address, token, $"{deadline.TotalMilliseconds}", .. options]);
        processes.Add(holder);
        await holder.LineAsync("ready", 1, ct);
        return holder;
    }

    public Task<QuiesceResult> QuiesceAsync(GuestProcess guest, TimeSpan deadline, string token = "run", string? request = null) =>
        QuiesceAsync(guest.Server, guest.Address, deadline, token, request);

    public Task<QuiesceResult> QuiesceAsync(ServerId server, string address, TimeSpan deadline, string token = "run", string? request = null) =>
        new ActivityEnvironment().RunAsync(() => Worker.QuiesceAsync(new(server, address, token, deadline, request, "their-own", "project")));

    public Task<UnquiesceResult> UnquiesceAsync(GuestProcess guest, string token = "run") => UnquiesceAsync(guest.Server, guest.Address, token);

    public Task<UnquiesceResult> UnquiesceAsync(ServerId server, string address, string token = "run", string? movedTo = null) =>
        new ActivityEnvironment().RunAsync(() => Worker.UnquiesceAsync(new(server, address, token, movedTo)));

    public Task<GuestAnswer> ProbeAsync(GuestProcess guest) => new ActivityEnvironment().RunAsync(() => Worker.ProbeGuestAsync(new(guest.Server, guest.Address)));

    public FreezeLease Open(GuestProcess guest) => Leases.ReadOpen(guest.Server) ?? throw new InvalidOperationException($"server {guest.Server} has no open lease");

    public async Task<FreezeLease> EndedAsync(ServerId server, CancellationToken ct, string token = "run")
    {
        await Eventually.IsAsync($"the lease of server {server} is over", () => Leases.ReadEnded(server)?.RunToken == token, ct);
        return Leases.ReadEnded(server)!;
    }

    /// <summary>The promise: the guest's one freeze was over 250 ms after its deadline.</summary>
    public static void AssertThawedInTime(GuestProcess guest, HostInstant deadline)
    {
        var freeze = Assert.Single(guest.Freezes);
        Assert.NotNull(freeze.Until);
        Assert.InRange(freeze.Until.Value - deadline.Milliseconds, -ClockError, (long)FreezeGuard.Promise.TotalMilliseconds);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(processes))
        {
            await process.DisposeAsync();
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
