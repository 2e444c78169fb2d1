using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>The server's own executable on a database, on a port that stays the same over its lives.</summary>
internal sealed class DurableServer(string connectionString, IReadOnlyList<string>? flags = null) : IAsyncDisposable
{
    private static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly int port = FreePort.Next();
    private ChildProcess? process;
    private long launched;

    public string Address => $"127.0.0.1:{port}";

    /// <summary>How long each of its starts took until it listened.</summary>
    public List<TimeSpan> Starts { get; } = [];

    public ChildProcess Process => process ?? throw new InvalidOperationException("the server is not running");

    /// <summary>Starts the process; it may not listen yet.</summary>
    public async Task LaunchAsync()
    {
        launched = Stopwatch.GetTimestamp();
        process = await ChildProcess.StartAsync(
            Path.Combine(AppContext.BaseDirectory, "temporal-dev"),
            ["server", "start-dev", "--port", port.ToString(CultureInfo.InvariantCulture), "--headless", "--db-connection", connectionString, .. flags ?? []]);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await LaunchAsync();
        await WaitUntilListeningAsync(cancellationToken);
        Starts.Add(Stopwatch.GetElapsedTime(launched));
    }

    public async Task WaitUntilListeningAsync(CancellationToken cancellationToken)
    {
        while (!await AcceptsAsync(cancellationToken))
        {
            Assert.False(Process.HasExited, $"the server ended with {(Process.HasExited ? Process.ExitCode : 0)}:\n{Process.Output}");
            Assert.True(Stopwatch.GetElapsedTime(launched) < LongestStart, $"the server does not listen:\n{Process.Output}");
            await Task.Delay(Pause, cancellationToken);
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        Assert.False(Process.HasExited, $"the server ended by itself:\n{Process.Output}");
        Process.Kill();
        await Process.WaitForExitAsync(CancellationToken.None);
        Assert.True(Process.Output.Length == 0, $"the server had something to complain about:\n{Process.Output}");
        Process.Dispose();
        process = null;
    }

    public ValueTask DisposeAsync()
    {
        process?.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<bool> AcceptsAsync(CancellationToken cancellationToken)
    {
        using var socket = new TcpClient();
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
