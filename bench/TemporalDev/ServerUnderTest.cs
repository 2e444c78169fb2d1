using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using SnapshotFlow.Tests.TemporalDev.Durability;
using Temporalio.Client;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>The server's process and the worker's process.</summary>
internal sealed class ServerUnderTest : IDisposable
{
    private readonly int port = FreePort.Next();
    private readonly string? database;
    private readonly int? databaseProcess;
    private ChildProcess? server;
    private ChildProcess? worker;

    /// <param name="store">Its name in the report.</param>
    /// <param name="database">Null for a server that keeps everything in memory.</param>
    /// <param name="databaseProcess">The database's first process, if it is one whose processor time counts.</param>
    public ServerUnderTest(string store, string? database, int? databaseProcess)
    {
        Store = store;
        this.database = database;
        this.databaseProcess = databaseProcess;
    }

    public string Store { get; }

    /// <summary>The client process's connection; there once the worker is started.</summary>
    public ITemporalClient Client { get; private set; } = null!;

    public string Address => $"127.0.0.1:{port}";

    /// <summary>Resident memory of the server, in MiB.</summary>
    public double ServerMemory
    {
        get
        {
            using var process = Process.GetProcessById(server!.Id);
            return process.WorkingSet64 / 1024.0 / 1024.0;
        }
    }

    /// <summary>Processor time that each process has used since it began.</summary>
    public ProcessorTimes ProcessorTimes() => new(
        server!.ProcessorTime, databaseProcess is { } process ? Bench.TemporalDev.ProcessorTimes.OfFamily(process) : null, worker!.ProcessorTime, Environment.CpuUsage.TotalTime);

    /// <summary>Starts the server and answers how long it took until it accepted a connection.</summary>
    public async Task<TimeSpan> StartAsync()
    {
        var began = Stopwatch.GetTimestamp();
        string[] store = database is null ? [] : ["--db-connection", database];
        server = await ChildProcess.StartAsync(
            Path.Combine(AppContext.BaseDirectory, "temporal-dev"),
            ["server", "start-dev", "--headless", "--port", port.ToString(CultureInfo.InvariantCulture), .. store]);
        while (!await AcceptsAsync())
        {
            if (server.HasExited)
            {
                throw new InvalidOperationException($"the server ended with {server.ExitCode}:\n{server.Output}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(2));
        }

        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>SIGKILL, as the worst way to stop.</summary>
    public async Task KillAsync()
    {
        server!.Kill();
        await server.WaitForExitAsync(CancellationToken.None);
        server.Dispose();
    }

    public async Task StartWorkerAsync(int pollers)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        worker = await ChildProcess.StartAsync(Environment.ProcessPath!, [WorkerRole.Argument, Address, pollers.ToString(CultureInfo.InvariantCulture)], onLine: line =>
        {
            if (line == WorkerRole.Ready)
            {
                ready.TrySetResult();
            }
        });
        await ready.Task.WaitAsync(TimeSpan.FromMinutes(1));
        Client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(Address));
    }

    public void Dispose()
    {
        worker?.Dispose();
        server?.Dispose();
    }

    private async Task<bool> AcceptsAsync()
    {
        using var socket = new TcpClient();
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
