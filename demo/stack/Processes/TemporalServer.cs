using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Common.EnvConfig;
using Temporalio.Exceptions;

namespace SnapshotFlow.Stack.Processes;

/// <summary>The Temporal that the stack works with: one that it started, or one that was there.</summary>
public sealed class TemporalServer : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);

    private TemporalServer(string description, string address, string ns, ChildProcess? process, ITemporalClient client)
    {
        Description = description;
        Address = address;
        Namespace = ns;
        Process = process;
        Client = client;
    }

    /// <summary>Which server it is, for people.</summary>
    public string Description { get; }

    /// <summary>host:port.</summary>
    public string Address { get; }

    /// <summary>The namespace that the processes work in.</summary>
    public string Namespace { get; }

    /// <summary>Null when the server was there.</summary>
    public ChildProcess? Process { get; private set; }

    /// <summary>A client of it.</summary>
    public ITemporalClient Client { get; }

    /// <summary>What the other processes need to find it. TLS and API key settings are inherited.</summary>
    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>
    {
        ["TEMPORAL_ADDRESS"] = Address,
        ["TEMPORAL_NAMESPACE"] = Namespace,
    };

    /// <summary>Starts the one that the settings choose, or connects to the one that the environment names and sets it up.</summary>
    /// <param name="settings">Which server, and what is set up on it.</param>
    /// <param name="state">Where its log goes.</param>
    /// <param name="embeddedProgram">Path of the embedded server, asked for only when it is chosen.</param>
    /// <param name="port">Port for a server that is started.</param>
    /// <param name="histories">Connection string of the database in which an embedded server keeps everything; null to keep it in memory.</param>
    /// <param name="telemetry"><c>OTEL_*</c> variables for an embedded server.</param>
    /// <param name="ct">Ends the start; what was started is stopped.</param>
    public static Task<TemporalServer> StartAsync(
        TemporalDevSettings settings, StackState state, Func<string> embeddedProgram, int port, string? histories, IEnumerable<KeyValuePair<string, string?>> telemetry, CancellationToken ct)
    {
        var ns = Variable("TEMPORAL_NAMESPACE") ?? settings.Namespace;
        if (Variable("TEMPORAL_ADDRESS") is { } address)
        {
            return UseAsync(address, ns, settings, ct);
        }
        var commandLine = OnPath("temporal");
        return settings.Server switch
        {
            TemporalChoice.Address => throw new StackException($"{settings.Path} says server: address; set TEMPORAL_ADDRESS to host:port of a Temporal server"),
            TemporalChoice.Cli when commandLine is null => throw new StackException($"{settings.Path} says server: cli, but there is no 'temporal' on PATH; install the Temporal CLI or choose server: embedded"),
            TemporalChoice.Cli or TemporalChoice.Auto when commandLine is not null => LaunchAsync(CommandLine(commandLine, settings, ns, port), "temporal CLI development server", ns, port, state, ct),
            _ => LaunchAsync(Embedded(embeddedProgram(), settings, ns, port, histories, telemetry), "embedded", ns, port, state, ct),
        };
    }

    /// <summary>Whether the environment names a server, so that none is started.</summary>
    public static bool IsGiven => Variable("TEMPORAL_ADDRESS") is not null;

    /// <summary>Starts it again after its end. Says nothing about readiness; clients connect again by themselves.</summary>
    public async Task StartAgainAsync() =>
        Process = await (Process ?? throw new StackException($"Temporal ({Description}) was not started here")).StartAgainAsync();

    /// <summary>Whether a worker polls a task queue. A server that cannot tell counts as one where somebody does: the first task then waits for its worker.</summary>
    public async Task<bool> IsPolledAsync(string taskQueue, TaskQueueType type, CancellationToken ct)
    {
        try
        {
            var answer = await Client.Connection.WorkflowService.DescribeTaskQueueAsync(
                new DescribeTaskQueueRequest { Namespace = Namespace, TaskQueue = new() { Name = taskQueue }, TaskQueueType = type },
                new() { CancellationToken = ct });
            return answer.Pollers.Count > 0;
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.Unimplemented)
        {
            return true;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Process is not null)
        {
            await Process.StopAsync(StopGrace);
        }
    }

    private static ChildCommand Embedded(
        string program, TemporalDevSettings settings, string ns, int port, string? histories, IEnumerable<KeyValuePair<string, string?>> telemetry) =>
        new("temporal", program, ["server", "start-dev", "--port", $"{port}", "--namespace", ns, "--ip", "127.0.0.1", "--config", settings.Path])
        {
            // It holds a password: a process's arguments can be read by everybody.
            Environment = new Dictionary<string, string?>(telemetry) { ["TEMPORAL_DEV_DB"] = histories },
        };

    private static ChildCommand CommandLine(string program, TemporalDevSettings settings, string ns, int port) =>
        new("temporal", program,
        [
            "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", $"{port}", "--namespace", ns, "--log-level", "warn",
            .. settings.SearchAttributes.SelectMany(a => new[] { "--search-attribute", $"{a.Key}={a.Value}" }),
        ]);

    private static async Task<TemporalServer> LaunchAsync(ChildCommand command, string description, string ns, int port, StackState state, CancellationToken ct)
    {
        var address = $"127.0.0.1:{port}";
        var process = await ChildProcess.StartAsync(command, state.Logs);
        try
        {
            var client = await Wait.ForAsync($"Temporal ({description}) to answer on {address} (log {process.LogFile})", StartDeadline, async token =>
            {
                process.ThrowIfExited();
                return await TryConnectAsync(new(address) { Namespace = ns }, token);
            }, ct);
            return new TemporalServer(description, address, ns, process, client);
        }
        catch
        {
            await process.StopAsync(StopGrace);
            throw;
        }
    }

    private static async Task<ITemporalClient?> TryConnectAsync(TemporalClientConnectOptions options, CancellationToken ct)
    {
        try
        {
            var client = await TemporalClient.ConnectAsync(options);
            await client.Connection.WorkflowService.DescribeNamespaceAsync(new() { Namespace = options.Namespace }, new() { CancellationToken = ct });
            return client;
        }
        catch (Exception e) when (e is InvalidOperationException or RpcException)
        {
            // Not listening yet, or the namespace is still being made.
            return null;
        }
    }

    private static async Task<TemporalServer> UseAsync(string address, string ns, TemporalDevSettings settings, CancellationToken ct)
    {
        ITemporalClient client;
        try
        {
            var options = ClientEnvConfig.LoadClientConnectOptions();
            options.Namespace = ns;
            client = await TemporalClient.ConnectAsync(options);
        }
        catch (Exception e) when (e is InvalidOperationException or RpcException)
        {
            throw new StackException($"TEMPORAL_ADDRESS={address}: {e.Message}; start that server, correct the variable, or unset it to use the embedded server", e);
        }
        await RegisterAsync(client, ns, settings, ct);
        return new TemporalServer("given by TEMPORAL_ADDRESS", address, ns, null, client);
    }

    /// <summary>Namespace and search attributes, where they are missing; waits until the server knows them everywhere.</summary>
    private static async Task RegisterAsync(ITemporalClient client, string ns, TemporalDevSettings settings, CancellationToken ct)
    {
        RpcOptions rpc = new() { CancellationToken = ct };
        try
        {
            await client.Connection.WorkflowService.RegisterNamespaceAsync(
                new() { Namespace = ns, WorkflowExecutionRetentionPeriod = Duration.FromTimeSpan(settings.RetentionPeriod) }, rpc);
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.AlreadyExists)
        {
            // Made by an earlier run, or by its owner.
        }

        ListSearchAttributesRequest list = new() { Namespace = ns };
        var wanted = settings.SearchAttributes.ToDictionary(a => a.Key, a => System.Enum.Parse<IndexedValueType>(a.Value));
        await Wait.UntilAsync($"namespace {ns} to be ready on {client.Connection.Options.TargetHost}", StartDeadline, async token =>
        {
            try
            {
                var known = (await client.Connection.OperatorService.ListSearchAttributesAsync(list, new() { CancellationToken = token })).CustomAttributes;
                var missing = wanted.Where(w => !known.ContainsKey(w.Key)).ToList();
                if (missing.Count == 0)
                {
                    return true;
                }
                AddSearchAttributesRequest add = new() { Namespace = ns };
                missing.ForEach(m => add.SearchAttributes.Add(m.Key, m.Value));
                await client.Connection.OperatorService.AddSearchAttributesAsync(add, new() { CancellationToken = token });
                return false;
            }
            catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound or RpcException.StatusCode.AlreadyExists or RpcException.StatusCode.Unavailable)
            {
                // A namespace takes a moment to reach every part of a real cluster, and so does an attribute.
                return false;
            }
        }, ct);
    }

    private static string? Variable(string name) => System.Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static string? OnPath(string program) =>
        (Variable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(d => Path.Combine(d, program)).FirstOrDefault(File.Exists);
}
