using SnapshotFlow.TemporalDev.Hosting;
using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>One developer server inside the test process, shared by all tests that do not need a clock of their own.</summary>
public sealed class DevServer : IAsyncLifetime
{
    private TemporalDevServer? server;

    public TemporalClient Client { get; private set; } = null!;

    public string Address => server!.Address;

    public async ValueTask InitializeAsync()
    {
        server = await TemporalDevServer.StartAsync(new ServerOptions
        {
            SearchAttributes = new Dictionary<string, string> { ["Step"] = "Keyword", ["Size"] = "Int" },
        });
        Client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(Address));
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            await server.DisposeAsync();
        }
    }

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
