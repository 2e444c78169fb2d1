using SnapshotFlow.Activities;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Testing;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>Attempts that reach their worker long after Temporal handed them out, because it was stopped or cut off meanwhile.</summary>
public sealed class BeginningLate : IAsyncLifetime
{
    private static readonly TimeSpan Late = TimeSpan.FromSeconds(20);

    private readonly InMemoryVolumeDriver driver = new(new InMemoryStorage(), TimeProvider.System);
    private readonly VolumeId volume = VolumeId.New();
    private readonly SnapshotId snapshot = SnapshotId.New();
    private readonly VolumeActivities cuts;
    private readonly VolumeCloneActivities clones;
    private WorkflowEnvironment environment = null!;

    public BeginningLate()
    {
        cuts = new(driver, TimeProvider.System);
        clones = new(driver, TimeProvider.System);
    }

    public async ValueTask InitializeAsync()
    {
        environment = await TemporalEnvironment.StartAsync();
        await driver.CreateVolumeAsync(volume, 1 << 20, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync() => await environment.ShutdownAsync();

    [Theory]
    [InlineData("cut")]
    [InlineData("group cut")]
    [InlineData("volume from a snapshot")]
    public Task What_Temporal_gave_up_meanwhile_is_not_made(string what) => WithWorkerAsync(async () =>
    {
        var (run, attempt) = await HandOutAsync(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        var refusal = await Assert.ThrowsAsync<ApplicationFailureException>(() => what switch
        {
            "cut" => BeginAsync(attempt),
            "group cut" => WorkerOf(attempt).RunAsync(() => cuts.CreateGroupSnapshotAsync([new(volume, snapshot)])),
            _ => WorkerOf(attempt).RunAsync(() => clones.CreateVolumeFromSnapshotAsync(new(VolumeId.New(), volume, snapshot, "late", 1))),
        });

        Assert.Equal(nameof(ErrorKind.StaleStatus), refusal.ErrorType);
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, CancellationToken.None)).Snapshots);
    });

    [Fact]
    public Task A_cut_that_is_still_wanted_is_made_however_late() => WithWorkerAsync(async () =>
    {
        var (run, attempt) = await HandOutAsync(TimeSpan.FromMinutes(1));

        Assert.Equal(snapshot, (await BeginAsync(attempt)).Snapshot);

        Assert.Equal(snapshot, Assert.Single((await driver.ListSnapshotsAsync(null, 10, CancellationToken.None)).Snapshots).Snapshot);
        await run.TerminateAsync();
    });

    private static string Queue => Names.VolumeQueue("nobody@late");

    /// <summary>A cut as a worker gets it that does nothing with it.</summary>
    private async Task<(WorkflowHandle Run, PollActivityTaskQueueResponse Attempt)> HandOutAsync(TimeSpan timeout)
    {
        var run = await environment.Client.StartWorkflowAsync((OneCut w) => w.RunAsync(new(volume, snapshot), timeout), new($"late-{Guid.NewGuid()}", "late"));
        var attempt = await environment.Client.WorkflowService.PollActivityTaskQueueAsync(
            new() { Namespace = environment.Client.Options.Namespace, TaskQueue = new() { Name = Queue, Kind = TaskQueueKind.Normal }, Identity = "slow" });
        return (run, attempt);
    }

    private Task<VolumeCut> BeginAsync(PollActivityTaskQueueResponse attempt) => WorkerOf(attempt).RunAsync(() => cuts.CreateVolumeSnapshotAsync(new(volume, snapshot)));

    /// <summary>A worker that begins with the attempt only now.</summary>
    private ActivityEnvironment WorkerOf(PollActivityTaskQueueResponse attempt) => new()
    {
        TemporalClient = environment.Client,
        Info = ActivityEnvironment.DefaultInfo with { TaskToken = attempt.TaskToken.ToByteArray(), StartedTime = (TimeProvider.System.GetUtcNow() - Late).UtcDateTime },
    };

    private async Task WithWorkerAsync(Func<Task> test)
    {
        using var worker = new TemporalWorker(environment.Client, new TemporalWorkerOptions("late").AddWorkflow<OneCut>());
        await worker.ExecuteAsync(test, TestContext.Current.CancellationToken);
    }

    /// <summary>One attempt at one cut.</summary>
    [Workflow]
    public sealed class OneCut
    {
        [WorkflowRun]
        public async Task RunAsync(VolumeSnapshotInput input, TimeSpan timeout) => await Temporalio.Workflows.Workflow.ExecuteActivityAsync(
            (IVolumeActivities a) => a.CreateVolumeSnapshotAsync(input),
            new() { TaskQueue = Queue, StartToCloseTimeout = timeout, RetryPolicy = new() { MaximumAttempts = 1 } });
    }
}
