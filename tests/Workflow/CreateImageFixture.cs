using System.Diagnostics.Metrics;
using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.Model;
using SnapshotFlow.Telemetry;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>A server, and the workers of a small site with two hypervisors over a <see cref="FakeCloud"/>; shared by the tests of one class, which run one after another.</summary>
public class CreateImageFixture : IAsyncLifetime
{
    private readonly FakeActivities activities = new();
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> workers = [];
    private WorkflowEnvironment environment = null!;
    private ITemporalClient ofWorkers = null!;

    public ITemporalClient Client => environment.Client;

    public WorkflowEnvironment Environment => environment;

    /// <summary>What the workers measure.</summary>
    public Meter Meter { get; } = new("SnapshotFlow.Tests");

    /// <summary>What the workers' calls pass through.</summary>
    public Turnstile Turnstile { get; private set; } = null!;

    /// <summary>What <see cref="ReconcileWorkflow"/> sees, and when.</summary>
    public FakeReconcileActivities Looks { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        environment = await TemporalEnvironment.StartAsync();
        Turnstile = await Turnstile.StartAsync(Client.Connection.Options.TargetHost!);
        Prepare(Turnstile);
        ofWorkers = await TemporalClient.ConnectAsync(new(Turnstile.Address) { Namespace = Client.Options.Namespace, Runtime = TelemetryRegistration.Runtime(Meter) });
        Looks = new(activities, Client);
        Work(new TemporalWorkerOptions(Names.ControlQueue)
            .AddAllActivities<IRecordActivities>(activities).AddAllActivities<IReconcileActivities>(Looks)
            .AddWorkflow<CreateImageWorkflow>().AddWorkflow<PlanImageWorkflow>().AddWorkflow<ReconcileWorkflow>());
        Work(new TemporalWorkerOptions(Names.ComputeQueue("host-1")).AddAllActivities<IGuestActivities>(activities).AddAllActivities<ILeaseActivities>(Looks));
        Work(new TemporalWorkerOptions(Names.ComputeQueue("host-2")).AddAllActivities<IGuestActivities>(activities));
        Work(new TemporalWorkerOptions(Names.VolumeQueue("host-1@file")).AddAllActivities<IVolumeActivities>(activities));
    }

    public async ValueTask DisposeAsync()
    {
        Release(Turnstile);
        await stop.CancelAsync();
        await Task.WhenAll(workers.Select(w => w.ContinueWith(_ => { }, TaskScheduler.Default)));
        await Turnstile.DisposeAsync();
        await environment.ShutdownAsync();
        stop.Dispose();
        Meter.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Called before the first worker starts.</summary>
    protected virtual void Prepare(Turnstile turnstile)
    {
    }

    /// <summary>Called before the workers are told to stop.</summary>
    protected virtual void Release(Turnstile turnstile)
    {
    }

    /// <summary>Sets up the cloud that the next runs see.</summary>
    public FakeCloud Use(FakeCloud cloud) => activities.Cloud = cloud;

    /// <summary>Starts a run as the API does, without waiting for the acceptance.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="atMost">The overall deadline of the run; null for the product's.</param>
    public Task<WorkflowHandle<CreateImageWorkflow, CreateImageResult>> StartAsync(CreateImageInput request, TimeSpan? atMost = null)
    {
        var options = Options(request);
        options.RunTimeout = atMost ?? options.RunTimeout;
        return Client.StartWorkflowAsync((CreateImageWorkflow w) => w.RunAsync(request), options);
    }

    /// <summary>Lets time pass although one task that nobody takes, or that does not end, holds the clock.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        var clock = Client.Connection.TestService;
        await clock.UnlockTimeSkippingAsync(new());
        try
        {
            await clock.UnlockTimeSkippingWithSleepAsync(new() { Duration = Duration.FromTimeSpan(time) });
        }
        finally
        {
            await clock.LockTimeSkippingAsync(new());
        }
    }

    /// <summary>Starts a run and waits for the acceptance, as the API does.</summary>
    public Task<Acceptance> AcceptAsync(CreateImageInput request)
    {
        var start = WithStartWorkflowOperation.Create((CreateImageWorkflow w) => w.RunAsync(request), Options(request));
        return Client.ExecuteUpdateWithStartWorkflowAsync((CreateImageWorkflow w) => w.AcceptAsync(), new(start) { Id = "accept" });
    }

    /// <summary>Looks once, as the schedule does.</summary>
    public async Task<ReconcileResult> LookAsync(TimeSpan interval) => await (await StartLookAsync(interval)).GetResultAsync();

    /// <summary>Starts a look.</summary>
    public Task<WorkflowHandle<ReconcileWorkflow, ReconcileResult>> StartLookAsync(TimeSpan interval) => Client.StartWorkflowAsync(
        (ReconcileWorkflow w) => w.RunAsync(new ReconcileInput(interval)), new($"{Names.ReconcileSchedule}-{Guid.NewGuid()}", Names.ControlQueue));

    /// <summary>Asks what would become of a request.</summary>
    public Task<WorkflowHandle<PlanImageWorkflow, ImagePlan>> StartPlanAsync(CreateImageInput request) => Client.StartWorkflowAsync(
        (PlanImageWorkflow w) => w.RunAsync(request), new($"plan-image/{request.Image}", Names.ControlQueue));

    /// <summary>The run of an image.</summary>
    public WorkflowHandle<CreateImageWorkflow, CreateImageResult> Run(CreateImageInput request) =>
        Client.GetWorkflowHandle<CreateImageWorkflow, CreateImageResult>(Names.CreateImageWorkflow(request.Image));

    private static WorkflowOptions Options(CreateImageInput request) => new(Names.CreateImageWorkflow(request.Image), Names.ControlQueue)
    {
        IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
        IdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate,
        TaskTimeout = TimeSpan.FromSeconds(2),
        RunTimeout = CreateImageWorkflow.LongestRun,
        TypedSearchAttributes = SearchAttributes.ForStart(request.Caller, request.Server, request.Image),
    };

    private void Work(TemporalWorkerOptions options)
    {
        var worker = new TemporalWorker(ofWorkers, options);
        workers.Add(worker.ExecuteAsync(stop.Token).ContinueWith(_ => worker.Dispose(), TaskScheduler.Default));
    }
}
