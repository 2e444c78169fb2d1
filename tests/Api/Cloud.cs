using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.Tests.Store;
using SnapshotFlow.Workflows;
using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Api;

/// <summary>Everything behind the api in this process: Temporal, the control worker with the real record-keeping, and hosts that do what the test says.</summary>
public sealed class Cloud(PrivatePostgres postgres) : IAsyncLifetime
{
    private readonly List<TemporalWorker> workers = [];
    private readonly CancellationTokenSource stop = new();
    private TemporalDevServer temporal = null!;
    private ITemporalClient client = null!;

    public ITemporalClient Client => client;

    /// <summary>Connection string of the api's database.</summary>
    public string Database { get; private set; } = "";

    private Task running = Task.CompletedTask;

    public ApiUnderTest Api { get; private set; } = null!;

    public FakeHosts Hosts { get; } = new();

    public async ValueTask InitializeAsync()
    {
        var database = await postgres.CreateDatabaseAsync(migrated: true);
        Database = database;
        temporal = await TemporalDevServer.StartAsync(new() { SearchAttributes = SearchAttributes.All.ToDictionary(a => a.Name, _ => "Keyword") });
        Api = await ApiUnderTest.StartAsync(database, temporal.Address);
        client = await TemporalClient.ConnectAsync(new(temporal.Address));
        workers.Add(ControlWorker(client, Api));
        workers.Add(new(client, new TemporalWorkerOptions(Names.ComputeQueue("host1")).AddAllActivities(Hosts)));
        workers.Add(new(client, new TemporalWorkerOptions(Names.VolumeQueue("host1@file")).AddAllActivities(Hosts)));
        foreach (var resource in new[] { "snapshots", "gigabytes" })
        {
            await Api.Service<QuotaStore>().SetLimitAsync(Api.Tokens.Project, resource, -1, CancellationToken.None);
        }

        running = Task.WhenAll(workers.Select(w => w.ExecuteAsync(stop.Token)));
    }

    /// <summary>The workflows and the real record-keeping, on the database of an api.</summary>
    public static TemporalWorker ControlWorker(ITemporalClient client, ApiUnderTest api)
    {
        var (database, servers, volumes, snapshots, images, quotas, notifications, messages) = (
            api.Service<Database>(), api.Service<ServerStore>(), api.Service<VolumeStore>(), api.Service<SnapshotStore>(), api.Service<ImageStore>(), api.Service<QuotaStore>(),
            api.Service<NotificationStore>(), api.Service<UserMessageStore>());
        return new(
            client,
            new TemporalWorkerOptions(Names.ControlQueue)
                .AddWorkflow<CreateImageWorkflow>().AddWorkflow<PlanImageWorkflow>().AddWorkflow<CreateVolumeSnapshotWorkflow>().AddWorkflow<DeleteSnapshotWorkflow>()
                .AddWorkflow<DeleteImageWorkflow>().AddWorkflow<RestoreImageWorkflow>().AddWorkflow<CreateVolumeWorkflow>().AddWorkflow<DeleteVolumeWorkflow>()
                .AddAllActivities(new RecordActivities(
                    database, servers, volumes, snapshots, images, quotas, api.Service<InstanceActionStore>(), api.Service<RunStore>(), notifications, TimeProvider.System))
                .AddAllActivities(new SnapshotActivities(database, volumes, snapshots, images, quotas, notifications, messages, TimeProvider.System))
                .AddAllActivities(new ImageActivities(database, images, snapshots, volumes, quotas, api.Service<OperationStore>(), notifications, messages, TimeProvider.System))
                .AddAllActivities(new VolumeRecordActivities(database, volumes, snapshots, quotas, messages, TimeProvider.System)));
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running.ContinueWith(_ => { }, TaskScheduler.Default);
        workers.ForEach(w => w.Dispose());
        await Api.DisposeAsync();
        await temporal.DisposeAsync();
        stop.Dispose();
    }
}
