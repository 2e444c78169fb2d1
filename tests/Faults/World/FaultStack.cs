using System.Diagnostics;
using Dapper;
using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Faults.World;

/// <summary>A server of the matrix: its guest, its project, and both projects' callers.</summary>
/// <param name="Guest">Server, volumes and guest.</param>
/// <param name="Project">Whose it is.</param>
/// <param name="Owner">Calls as the owner.</param>
/// <param name="Stranger">Calls as another project.</param>
public sealed record FaultServer(GuestServer Guest, string Project, TenantClient Owner, TenantClient Stranger);

/// <summary>
/// The whole product as real processes, with failpoints open, started once for many cases: every process is started again when it ends, every guest is watched. Its
/// servers belong to two projects in turn.
/// </summary>
public sealed class FaultStack : IAsyncDisposable
{
    private static int started;

    private readonly DirectoryInfo directory;
    private readonly List<IAsyncDisposable> parts = [];
    private readonly Queue<FaultServer> idle = new();

    private FaultStack(DirectoryInfo directory) => this.directory = directory;

    /// <summary>The processes.</summary>
    public DevelopmentStack Stack { get; private set; } = null!;

    /// <summary>Decides at the boundaries.</summary>
    public FailpointServer Failpoints { get; private set; } = null!;

    /// <summary>Watches the guests.</summary>
    public FreezeRecorder Recorder { get; private set; } = null!;

    /// <summary>Starts again what has ended.</summary>
    public Supervisor Supervisor { get; private set; } = null!;

    /// <summary>How many cases can run at the same time.</summary>
    public int Idle => idle.Count;

    private NpgsqlDataSource database = null!;

    /// <summary>Starts everything.</summary>
    /// <param name="servers">How many servers.</param>
    /// <param name="ct">Ends the start.</param>
    public static async Task<FaultStack> StartAsync(int servers, CancellationToken ct)
    {
        // In memory where there is room: what is proved here is the death of processes, not of disks.
        var root = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        var world = new FaultStack(Directory.CreateDirectory(Path.Combine(root, $"snapshotflow-faults-{Environment.ProcessId}-{Interlocked.Increment(ref started)}")));
        try
        {
            await world.StartPartsAsync(servers, ct);
            return world;
        }
        catch
        {
            await world.DisposeAsync();
            throw;
        }
    }

    /// <summary>A server that nothing happens to.</summary>
    public FaultServer Rent() => idle.Dequeue();

    /// <summary>Nothing happens to it any more.</summary>
    public void Return(FaultServer server) => idle.Enqueue(server);

    /// <summary>Asks the database, behind the product's back; insists, because it may just have been started again.</summary>
    public async Task<IReadOnlyList<T>> QueryAsync<T>(string sql, object? arguments, CancellationToken ct)
    {
        IReadOnlyList<T>? rows = null;
        await Wait.UntilAsync("the database to answer", TimeSpan.FromMinutes(1), async token =>
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(token);
                rows = (await connection.QueryAsync<T>(new CommandDefinition(sql, arguments, cancellationToken: token))).AsList();
                return true;
            }
            catch (NpgsqlException e) when (e.IsTransient || e.SqlState is null)
            {
                return false;
            }
        }, ct);
        return rows!;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        for (var i = parts.Count - 1; i >= 0; i--)
        {
            await parts[i].DisposeAsync();
        }

        directory.Delete(recursive: true);
    }

    private async Task StartPartsAsync(int servers, CancellationToken ct)
    {
        var socket = Path.Combine(directory.FullName, "failpoints.sock");
        Failpoints = Part(new FailpointServer(socket));
        Recorder = Part(new FreezeRecorder());
        Stack = Part(await DevelopmentStack.StartAsync(
            new StackOptions
            {
                StateDirectory = Path.Combine(directory.FullName, "stack"),
                Ephemeral = true,
                KeepHistories = true,
                FailpointSocket = socket,
                Settings = new Dictionary<string, string?> { ["Volume__Backends__0__Concurrency"] = "256" },
            },
            _ => { }, ct));
        // Gone first when everything is stopped, so that nothing is started again then.
        Supervisor = new Supervisor(Stack);
        database = Part(NpgsqlDataSource.Create(Stack.ConnectionString));
        var quotas = new QuotaStore(Stack.Database);
        TenantClient[] callers = [Client(Stack.Tokens.Tenant), Client(Stack.Tokens.Other)];
        string[] projects = [Tokens.TenantProject, Tokens.OtherProject];
        foreach (var resource in (string[])[Quota.Snapshots, Quota.Gigabytes, Quota.Volumes])
        {
            await quotas.SetLimitAsync(projects[0], resource, Quota.Unlimited, ct);
            await quotas.SetLimitAsync(projects[1], resource, Quota.Unlimited, ct);
        }

        for (var i = 0; i < servers; i++)
        {
            var guest = await GuestServer.StartAsync(Stack, new() { Name = $"server-{i}", Project = projects[i % 2], Pause = TimeSpan.FromMilliseconds(50) }, ct);
            AnswersAtOnce(guest);
            Recorder.Watch(guest.Journal);
            idle.Enqueue(new(guest, projects[i % 2], callers[i % 2], callers[(i + 1) % 2]));
        }

        parts.Add(Supervisor);
        await Task.WhenAll(idle.Select(server => RehearseAsync(server, ct)));
    }

    /// <summary>A guest has processors of its own, and its agent answers at once: here it gets them before all that happens for its sake, where that is permitted.</summary>
    private static void AnswersAtOnce(GuestServer guest)
    {
        if (Environment.IsPrivilegedProcess)
        {
            using var process = Process.GetProcessById(guest.Guest!.Id);
            process.PriorityClass = ProcessPriorityClass.High;
        }
    }

    /// <summary>One image of each server without a fault: the first of everything is slow.</summary>
    private static async Task RehearseAsync(FaultServer server, CancellationToken ct)
    {
        var image = await server.Owner.CreateImageAsync(server.Guest.Id, "rehearsal", ct);
        await server.Owner.WaitForEndAsync(image, TimeSpan.FromMinutes(2), ct);
    }

    private TenantClient Client(string token) => new(Stack.Api, token);

    private T Part<T>(T part) where T : IAsyncDisposable
    {
        parts.Add(part);
        return part;
    }
}
