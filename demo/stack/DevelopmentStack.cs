using System.Net;
using Npgsql;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack.Processes;
using SnapshotFlow.Store;
using Temporalio.Api.Enums.V1;
using Leases = SnapshotFlow.Drivers.Leases;

namespace SnapshotFlow.Stack;

/// <summary>The roles of a worker process.</summary>
public enum WorkerRole
{
    /// <summary>Thaws guests whose freeze deadline has passed. First, so that it is stopped after everything that freezes.</summary>
    Guard,

    /// <summary>Workflows and record-keeping.</summary>
    Control,

    /// <summary>Freeze and thaw.</summary>
    Compute,

    /// <summary>Cut and delete.</summary>
    Volume,
}

/// <summary>
/// The whole product as real processes on this machine: PostgreSQL, Temporal, one worker process per role, the freeze guard among them, the API. Everything listens on loopback, keeps
/// its state in one directory, is stopped in reverse order by process id, and dies with this process if it comes to that.
/// </summary>
public sealed partial class DevelopmentStack : IAsyncDisposable
{
    /// <summary>Name of the one storage back end on <see cref="StackOptions.Host"/>.</summary>
    public const string BackendName = "file";

    private const string DatabaseName = "snapshotflow";
    private const string TemporalDatabaseName = "temporal";
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);

    private readonly StackOptions options;
    private readonly PublishedPrograms programs;
    private readonly Dictionary<WorkerRole, ChildProcess> workers = [];
    private readonly List<Func<ValueTask>> undo = [];
    private readonly Lazy<string> socketDirectory;

    private DevelopmentStack(StackOptions options, StackState state, TemporalDevSettings settings)
    {
        this.options = options;
        State = state;
        Settings = settings;
        programs = new PublishedPrograms(options.BinDirectory);
        VolumeRoot = state.Subdirectory("volumes");
        Storage = new StorageView(VolumeRoot);
        FaultFile = Path.Combine(state.Directory, "faults.json");
        LeaseDirectory = state.Subdirectory("leases");
        socketDirectory = new(MakeSocketDirectory);
        undo.Add(() =>
        {
            state.Dispose();
            return ValueTask.CompletedTask;
        });
    }

    /// <summary>The state directory.</summary>
    public StackState State { get; }

    /// <summary><c>temporal-dev.yaml</c>.</summary>
    public TemporalDevSettings Settings { get; }

    /// <summary>The database server.</summary>
    public PostgresServer Postgres { get; private set; } = null!;

    /// <summary>The records, past the API.</summary>
    public Database Database { get; private set; } = null!;

    /// <summary>The storage back end, past the workers.</summary>
    public StorageView Storage { get; }

    /// <summary>Temporal.</summary>
    public TemporalServer Temporal { get; private set; } = null!;

    /// <summary>The API's process.</summary>
    public ChildProcess ApiProcess { get; private set; } = null!;

    /// <summary>The API's address.</summary>
    public Uri Api { get; private set; } = null!;

    /// <summary>Who may call, and with which password.</summary>
    public Accounts Accounts { get; private set; } = null!;

    /// <summary>A token of each.</summary>
    public Tokens Tokens { get; private set; } = null!;

    /// <summary>Directory of the storage back end.</summary>
    public string VolumeRoot { get; }

    /// <summary>Where compute worker and guard keep the freeze leases.</summary>
    public string LeaseDirectory { get; }

    /// <summary>Faults that the storage back end injects; see the drivers' <c>FaultRule</c>.</summary>
    public string FaultFile { get; }

    /// <summary>The hypervisor.</summary>
    public string Host => options.Host;

    /// <summary>The back end as volumes record it.</summary>
    public string Backend => $"{options.Host}@{BackendName}";

    /// <summary>Connection string of the product's database.</summary>
    public string ConnectionString => Postgres.ConnectionString(DatabaseName);

    /// <summary>Paths of the programs.</summary>
    public PublishedPrograms Programs => programs;

    /// <summary>Where unix sockets go: their paths may have no more than 107 bytes. Source: unix(7).</summary>
    public string SocketDirectory => socketDirectory.Value;

    /// <summary>Starts everything and returns when every part is ready.</summary>
    /// <param name="options">What to start.</param>
    /// <param name="report">Told in a few words what was started, as it becomes ready.</param>
    /// <param name="ct">Ends the start; everything started is stopped.</param>
    /// <exception cref="StackException">It could not; the message says why, with the end of the log of what failed.</exception>
    public static async Task<DevelopmentStack> StartAsync(StackOptions options, Action<string> report, CancellationToken ct)
    {
        var settings = TemporalDevSettings.Load();
        var stack = new DevelopmentStack(options, StackState.Take(options.StateDirectory, options.Ephemeral), settings);
        try
        {
            await stack.StartAsync(report, ct);
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    /// <summary>The process of a role.</summary>
    public ChildProcess Worker(WorkerRole role) => workers[role];

    /// <summary>SIGKILLs the worker of a role.</summary>
    public Task KillWorkerAsync(WorkerRole role, CancellationToken ct) => workers[role].KillAsync(ct);

    /// <summary>Starts the worker of a role, for the first time or again. Does not wait until it polls.</summary>
    public async Task StartWorkerAsync(WorkerRole role, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        if (!workers.ContainsKey(role))
        {
            undo.Add(() => new ValueTask(workers[role].StopAsync(StopGrace)));
        }
        workers[role] = await ChildProcess.StartAsync(WorkerCommand(role), State.Logs);
    }

    /// <summary>What starts the worker of a role.</summary>
    public ChildCommand WorkerCommand(WorkerRole role)
    {
        var name = role.ToString().ToLowerInvariant();
        Dictionary<string, string?> environment = new(Temporal.Environment.Concat(options.Settings)) { ["Workers__Roles"] = name };
        if (options.FailpointSocket is { } failpoints)
        {
            environment["Workers__FailpointSocket"] = failpoints;
            environment["DOTNET_ENVIRONMENT"] = "Development";
        }
        switch (role)
        {
            case WorkerRole.Control:
                environment["Store__ConnectionString"] = ConnectionString;
                break;
            case WorkerRole.Compute:
                environment["Compute__Host"] = Host;
                environment["Compute__LeaseDirectory"] = LeaseDirectory;
                break;
            case WorkerRole.Guard:
                environment["Compute__LeaseDirectory"] = LeaseDirectory;
                break;
            case WorkerRole.Volume:
                environment["Volume__Backends__0__Name"] = Backend;
                environment["Volume__Backends__0__Driver"] = "file";
                environment["Volume__Backends__0__Root"] = VolumeRoot;
                environment["Volume__Backends__0__FaultFile"] = FaultFile;
                break;
        }
        return new ChildCommand(role is WorkerRole.Guard ? name : $"{name}-worker", programs.Workers, []) { Environment = environment };
    }

    /// <summary>What starts the API.</summary>
    public ChildCommand ApiCommand() => new("api", programs.Api, [])
    {
        Environment = new Dictionary<string, string?>(Temporal.Environment.Concat(options.Settings))
        {
            ["ASPNETCORE_URLS"] = Api.ToString(),
            ["Store__ConnectionString"] = ConnectionString,
            ["Identity__Auth"] = "development",
            ["Identity__Development__UsersFile"] = Accounts.UsersFile(State.Directory),
            // Whoever tries things out for a day keeps the same token.
            ["Identity__Development__TokenLifetime"] = "1.00:00:00",
        },
    };

    /// <summary>Replaces the faults that the storage back end injects from the next call on; none to end them.</summary>
    public async Task InjectAsync(CancellationToken ct, params FaultRule[] rules)
    {
        // The driver reads the file at every call and must never see half of it.
        var next = FaultFile + ".next";
        await File.WriteAllTextAsync(next, FaultRule.Write(rules), ct);
        File.Move(next, FaultFile, overwrite: true);
    }

    /// <summary>Starts a further process that ends with the stack, or before.</summary>
    public async Task<ChildProcess> StartProcessAsync(ChildCommand command, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var process = await ChildProcess.StartAsync(command, State.Logs);
        undo.Add(() => new ValueTask(process.StopAsync(StopGrace)));
        return process;
    }

    /// <summary>Stops one process now.</summary>
    public static Task StopProcessAsync(ChildProcess process) => process.StopAsync(StopGrace);

    /// <summary>Every process of the product that should be running now.</summary>
    public IEnumerable<ChildProcess> Processes
    {
        get
        {
            ChildProcess?[] all = [Postgres?.Process, Temporal?.Process, ApiProcess, .. workers.Values];
            return all.OfType<ChildProcess>();
        }
    }

    /// <summary>Throws, with the end of its log, if a process has ended by itself.</summary>
    public void ThrowIfAnyExited()
    {
        foreach (var process in Processes)
        {
            process.ThrowIfExited();
        }
    }

    /// <summary>Stops everything, the last started first. One part that cannot be stopped does not keep the others.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Exception> failures = [];
        for (var i = undo.Count - 1; i >= 0; i--)
        {
            try
            {
                await undo[i]();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException or StackException)
            {
                failures.Add(e);
            }
        }
        undo.Clear();
        if (failures.Count > 0)
        {
            throw new StackException($"not everything could be stopped: {string.Join("; ", failures.Select(f => f.Message))}", failures[0]);
        }
    }

    private async Task StartAsync(Action<string> report, CancellationToken ct)
    {
        RequirePorts();
        var free = FreePorts.Take(3);
        int Port(int? given, int configured, int index) => given ?? (configured > 0 ? configured : free[index]);
        Accounts = await Accounts.LoadOrCreateAsync(State.Directory, ct);
        await Storage.PrepareAsync(ct);

        Postgres = await PostgresServer.StartAsync(State, Port(options.PostgresPort, Settings.Ports.Postgres, 0), options.Ephemeral, ct);
        undo.Add(Postgres.DisposeAsync);
        await Postgres.EnsureDatabaseAsync(DatabaseName, ct);
        DatabaseMigrations.Apply(ConnectionString);
        var source = NpgsqlDataSource.Create(ConnectionString);
        undo.Add(source.DisposeAsync);
        Database = new Database(source);
        report($"PostgreSQL on 127.0.0.1:{Postgres.Port}");

        string? histories = null;
        if (options.KeepHistories ?? !options.Ephemeral)
        {
            await Postgres.EnsureDatabaseAsync(TemporalDatabaseName, ct);
            histories = Postgres.ConnectionString(TemporalDatabaseName);
        }
        var telemetry = options.Settings.Where(s => s.Key.StartsWith("OTEL_", StringComparison.Ordinal));
        Temporal = await TemporalServer.StartAsync(Settings, State, () => programs.TemporalDev, Port(options.TemporalPort, Settings.Ports.Temporal, 1), histories, telemetry, ct);
        undo.Add(Temporal.DisposeAsync);
        report($"Temporal ({Temporal.Description}) on {Temporal.Address}, namespace {Temporal.Namespace}");

        Api = new Uri($"http://{IPAddress.Loopback}:{Port(options.ApiPort, Settings.Ports.Api, 2)}");
        ApiProcess = await ChildProcess.StartAsync(ApiCommand(), State.Logs);
        undo.Add(() => new ValueTask(ApiProcess.StopAsync(StopGrace)));
        foreach (var role in Enum.GetValues<WorkerRole>())
        {
            await StartWorkerAsync(role, ct);
        }
        await Wait.UntilAsync($"the API to be ready on {Api} (log {ApiProcess.LogFile})", ReadyDeadline, ApiIsReadyAsync, ct);
        Tokens = await Accounts.LogInAsync(Api, ct);
        report($"API on {Api}");
        await WaitForWorkersAsync(ct);
        report($"workers: control, compute ({Host}), volume ({Backend}), and the guard of {Host}'s freezes");
        await State.PublishAsync(new StackAddress(ProcessIdentity.Current(), Api.ToString(), Temporal.Address), ct);
    }

    private void RequirePorts()
    {
        void Require(int? given, int configured, string option, string key) => FreePorts.Require(given ?? (configured > 0 ? configured : null), given is null ? $"{Settings.Path}: ports: {key}:" : option);
        Require(options.PostgresPort, Settings.Ports.Postgres, "--postgres-port", "postgres");
        Require(options.ApiPort, Settings.Ports.Api, "--api-port", "api");
        if (!TemporalServer.IsGiven)
        {
            Require(options.TemporalPort, Settings.Ports.Temporal, "--temporal-port", "temporal");
        }
    }

    private async Task<bool> ApiIsReadyAsync(CancellationToken ct)
    {
        ThrowIfAnyExited();
        try
        {
            using var http = new HttpClient { BaseAddress = Api, Timeout = TimeSpan.FromSeconds(5) };
            using var answer = await http.GetAsync(new Uri("/health/ready", UriKind.Relative), ct);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
        catch (TaskCanceledException) when (!ct.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Waits until every role polls its task queues, and the guard is alive.</summary>
    public Task WaitForWorkersAsync(CancellationToken ct) => Wait.UntilAsync($"the workers to poll (logs {State.Logs})", ReadyDeadline, WorkersPollAsync, ct);

    private Task<bool> WorkersPollAsync(CancellationToken ct)
    {
        ThrowIfAnyExited();
        return ServesAsync(ct);
    }

    /// <summary>Whether every role polls its task queues, and the guard is alive, right now.</summary>
    public async Task<bool> ServesAsync(CancellationToken ct)
    {
        (string Queue, TaskQueueType Type)[] queues =
        [
            (Names.ControlQueue, TaskQueueType.Workflow), (Names.ControlQueue, TaskQueueType.Activity),
            (Names.ComputeQueue(Host), TaskQueueType.Activity), (Names.VolumeQueue(Backend), TaskQueueType.Activity),
        ];
        foreach (var (queue, type) in queues)
        {
            if (!await Temporal.IsPolledAsync(queue, type, ct))
            {
                return false;
            }
        }
        return Leases.GuardHeartbeat.Doubt(new Leases.FreezeLeaseDirectory(LeaseDirectory), new Leases.LinuxHostClock(TimeProvider.System)) is null;
    }

    private string MakeSocketDirectory()
    {
        const int LongestPath = 107, LongestName = 27;
        if (State.Directory.Length + "/run/".Length + LongestName <= LongestPath)
        {
            return State.Subdirectory("run");
        }
        var directory = Directory.CreateTempSubdirectory("snapshotflow-").FullName;
        undo.Insert(1, () =>
        {
            Directory.Delete(directory, recursive: true);
            return ValueTask.CompletedTask;
        });
        return directory;
    }
}
