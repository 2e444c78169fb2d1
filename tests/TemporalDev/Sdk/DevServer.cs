using SnapshotFlow.TemporalDev.Hosting;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>
/// One developer server inside the test process, shared by all tests that do not need a clock of their own. With
/// <c>TEMPORAL_ADDRESS</c> set the same tests run against that server, namespace <c>default</c>.
/// </summary>
public sealed class DevServer : IAsyncLifetime
{
    private TemporalDevServer? server;

    public TemporalClient Client { get; private set; } = null!;

    /// <summary>Whether the tests run against another server than ours.</summary>
    public bool IsOfficial => server is null;

    public async ValueTask InitializeAsync()
    {
        var address = Environment.GetEnvironmentVariable("TEMPORAL_ADDRESS");
        if (string.IsNullOrEmpty(address))
        {
            server = await TemporalDevServer.StartAsync(new ServerOptions());
            address = server.Address;
        }

        Client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(address));
        var known = await Client.Connection.OperatorService.ListSearchAttributesAsync(new() { Namespace = "default" });
        if (!known.CustomAttributes.ContainsKey("Step"))
        {
            await Client.Connection.OperatorService.AddSearchAttributesAsync(new()
            {
                Namespace = "default",
                SearchAttributes = { ["Step"] = IndexedValueType.Keyword, ["Size"] = IndexedValueType.Int },
            });
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            await server.DisposeAsync();
        }
    }

    /// <summary>The whole answer, with what the SDK keeps to itself.</summary>
    public Task<Temporalio.Api.WorkflowService.V1.DescribeWorkflowExecutionResponse> DescribeRawAsync(string workflowId) =>
        Client.Connection.WorkflowService.DescribeWorkflowExecutionAsync(new() { Namespace = "default", Execution = new() { WorkflowId = workflowId } });

    public static string NewQueue() => $"queue-{Guid.NewGuid()}";

    public static string NewId() => $"workflow-{Guid.NewGuid()}";

    /// <summary>A test that waits for something that never comes fails after this long instead of holding up the others.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(40);

    /// <summary>Runs <paramref name="test"/> while a worker serves the queue.</summary>
    public async Task WithWorkerAsync(Action<TemporalWorkerOptions> configure, Func<string, Task> test)
    {
        var options = new TemporalWorkerOptions(NewQueue());
        configure(options);
        using var worker = new TemporalWorker(Client, options);
        await worker.ExecuteAsync(() => test(options.TaskQueue!).WaitAsync(Deadline), TestContext.Current.CancellationToken);
    }
}

[CollectionDefinition(nameof(DevServer))]
public sealed class DevServerCollection : ICollectionFixture<DevServer>;
