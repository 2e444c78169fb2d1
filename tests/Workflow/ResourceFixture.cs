using System.Linq.Expressions;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>A server, and the workers of a site with one back end over <see cref="FakeResources"/>; shared by the tests of one class, which run one after another.</summary>
public sealed class ResourceFixture : IAsyncLifetime
{
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> workers = [];
    private WorkflowEnvironment environment = null!;
    private FakeResources current = new();

    public ITemporalClient Client => environment.Client;

    /// <summary>What <see cref="ReconcileWorkflow"/> sees, and when.</summary>
    public FakeResourceLooks Looks { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        environment = await TemporalEnvironment.StartAsync();
        var control = new TemporalWorkerOptions(Names.ControlQueue) { Interceptors = [new StepDetails()] }
            .AddWorkflow<CreateVolumeSnapshotWorkflow>().AddWorkflow<DeleteSnapshotWorkflow>().AddWorkflow<DeleteImageWorkflow>()
            .AddWorkflow<RestoreImageWorkflow>().AddWorkflow<CreateVolumeWorkflow>().AddWorkflow<DeleteVolumeWorkflow>().AddWorkflow<ReconcileWorkflow>();
        Looks = new(() => current, Client);
        control.AddAllActivities<IReconcileActivities>(Looks).AddAllActivities<IOperationRepairActivities>(Looks);
        var volume = new TemporalWorkerOptions(Names.VolumeQueue(FakeResources.Backend));
        foreach (var activity in Activities())
        {
            control.AddActivity(activity);
            volume.AddActivity(activity);
        }

        foreach (var worker in new[] { new TemporalWorker(Client, control), new TemporalWorker(Client, volume) })
        {
            workers.Add(worker.ExecuteAsync(stop.Token).ContinueWith(_ => worker.Dispose(), TaskScheduler.Default));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await environment.ShutdownAsync();
        stop.Dispose();
    }

    /// <summary>Sets up what the next runs see.</summary>
    public FakeResources Use(FakeResources resources) => current = resources;

    /// <summary>Starts a run as the API does, without waiting for the acceptance.</summary>
    public Task<WorkflowHandle<T, RunEnd>> StartAsync<T>(string id, Expression<Func<T, Task<RunEnd>>> run) => Client.StartWorkflowAsync(run, Options(id));

    /// <summary>Starts a run and waits for the acceptance, as the API does.</summary>
    public Task<TAcceptance> AcceptAsync<T, TAcceptance>(string id, Expression<Func<T, Task<RunEnd>>> run, Expression<Func<T, Task<TAcceptance>>> accept) =>
        Client.ExecuteUpdateWithStartWorkflowAsync(accept, new(WithStartWorkflowOperation.Create(run, Options(id))) { Id = "accept" });

    /// <summary>Looks once, as the schedule does.</summary>
    public async Task<ReconcileResult> LookAsync() => await (await StartLookAsync()).GetResultAsync();

    /// <summary>Starts a look.</summary>
    public Task<WorkflowHandle<ReconcileWorkflow, ReconcileResult>> StartLookAsync() => Client.StartWorkflowAsync(
        (ReconcileWorkflow w) => w.RunAsync(new ReconcileInput(FakeResourceLooks.Interval)), new($"{Names.ReconcileSchedule}-{Guid.NewGuid()}", Names.ControlQueue));

    /// <summary>Cancels a run that is held at an activity, then lets it go.</summary>
    public static async Task CancelAtAsync(WorkflowHandle run, Fault held)
    {
        await held.Reached;
        await run.CancelAsync();
        await Eventually.TrueAsync(async () => (await run.FetchHistoryAsync()).Events.Any(e => e.WorkflowExecutionCancelRequestedEventAttributes is not null));
        held.Release();
    }

    /// <summary>The run ends cancelled.</summary>
    public static async Task EndsCancelledAsync(WorkflowHandle run) =>
        Assert.IsType<CanceledFailureException>((await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync())).InnerException);

    /// <summary>The run fails with this kind.</summary>
    public static async Task FailsAsync(WorkflowHandle run, ErrorKind kind)
    {
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());
        Assert.Equal(kind.ToString(), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
    }

    private static WorkflowOptions Options(string id) => new(id, Names.ControlQueue)
    {
        IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
        IdReusePolicy = WorkflowIdReusePolicy.AllowDuplicate,
    };

    // Each activity asks for the resources of the test that runs.
    private IEnumerable<ActivityDefinition> Activities() => typeof(FakeResources).GetMethods()
        .Where(m => m.IsDefined(typeof(ActivityAttribute), inherit: false))
        .Select(m => ActivityDefinition.Create(m, args => m.Invoke(current, args)));
}
