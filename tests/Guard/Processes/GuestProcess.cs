using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>A demo guest that runs as a process and writes.</summary>
internal sealed class GuestProcess : IAsyncDisposable
{
    private readonly IHostClock clock;
    private readonly string journal;

    private GuestProcess(string directory, IHostClock clock)
    {
        this.clock = clock;
        SocketPath = Path.Combine(directory, $"{Server.ToString()[..8]}.sock");
        journal = Path.Combine(directory, $"{Server}.journal");
        Process = ChildProgram.Start(
            "snapshotflow-demo-guest",
            ["--disk", Path.Combine(directory, $"{Server}.disk"), "--size", "65536", "--agent", SocketPath, "--journal", journal]);
    }

    public ServerId Server { get; } = ServerId.New();

    public string SocketPath { get; }

    public string Address => $"qga:unix:{SocketPath}";

    public ChildProgram Process { get; }

    /// <summary>A client of its own, as another process would be.</summary>
    public IGuestAgent Agent => new QgaGuestAgent(SocketPath, new QgaOptions(), TimeProvider.System);

    public IReadOnlyList<ObservedFreeze> Freezes => Journal.Read(journal, clock);

    public static async Task<GuestProcess> StartAsync(string directory, IHostClock clock, CancellationToken ct)
    {
        var guest = new GuestProcess(directory, clock);
        await guest.Process.LineAsync("demo guest: writing", 1, ct);
        return guest;
    }

    public Task ThawedAsync(CancellationToken ct) => Eventually.IsAsync($"guest {Server} is thawed", () => Freezes is [.., { Until: not null }], ct);

    public ValueTask DisposeAsync() => Process.DisposeAsync();
}
