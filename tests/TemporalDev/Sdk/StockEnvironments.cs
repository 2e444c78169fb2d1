using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>The SDK's own test environments start our executable as if it were the official server.</summary>
public sealed class StockEnvironments
{
    private static readonly string Executable = Path.Combine(AppContext.BaseDirectory, "temporal-dev");

    /// <summary>How long a start is allowed to take where many other things run; how long it does take is a matter of the benchmark.</summary>
    private static readonly TimeSpan BusyMachine = TimeSpan.FromSeconds(60);

    /// <summary>Runs <paramref name="test"/> while a worker serves queue <c>q</c>; a test that waits for ever fails instead.</summary>
    private static async Task WithWorkerAsync(ITemporalClient client, Func<Task> test)
    {
        using var worker = new TemporalWorker(
            client,
            new TemporalWorkerOptions("q")
                .AddWorkflow<SleepWorkflow>().AddWorkflow<TimeoutWorkflow>().AddWorkflow<EchoWorkflow>().AddWorkflow<BackoffWorkflow>()
                .AddWorkflow<MailboxWorkflow>()
                .AddAllActivities(typeof(SampleActivities), null));
        await worker.ExecuteAsync(() => test().WaitAsync(TimeSpan.FromSeconds(40)), TestContext.Current.CancellationToken);
    }

    private static Task<WorkflowEnvironment> StartTimeSkippingAsync() =>
        WorkflowEnvironment.StartTimeSkippingAsync(new() { TestServer = new() { ExistingPath = Executable, StartupTimeout = BusyMachine } });

    private static async Task<TimeSpan> AheadAsync(WorkflowEnvironment environment) =>
        (await environment.GetCurrentTimeAsync()).ToUniversalTime() - TimeProvider.System.GetUtcNow().UtcDateTime;

    [Fact]
    public async Task A_day_of_sleep_is_skipped()
    {
        await using var environment = await StartTimeSkippingAsync();
        Assert.True(environment.SupportsTimeSkipping);
        await WithWorkerAsync(environment.Client, async () =>
        {
            var slept = await environment.Client.ExecuteWorkflowAsync((SleepWorkflow w) => w.RunAsync(24 * 3600), new("day", "q"));
            Assert.InRange(slept, 24 * 3600, (24 * 3600) + 60);
        });
    }

    [Fact]
    public async Task A_delay_of_the_environment_moves_the_clock()
    {
        await using var environment = await StartTimeSkippingAsync();
        var before = await environment.GetCurrentTimeAsync();
        await environment.DelayAsync(TimeSpan.FromHours(5));
        Assert.InRange(await environment.GetCurrentTimeAsync() - before, TimeSpan.FromHours(5), TimeSpan.FromHours(5) + TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task Waiting_for_a_retry_is_skipped()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, async () =>
        {
            var before = await environment.GetCurrentTimeAsync();
            Assert.Equal(6, await environment.Client.ExecuteWorkflowAsync((BackoffWorkflow w) => w.RunAsync(6), new("backoff", "q")));
            var passed = await environment.GetCurrentTimeAsync() - before;
            Assert.InRange(passed, TimeSpan.FromSeconds(1 + 2 + 4 + 8 + 16), TimeSpan.FromSeconds(60));
        });
    }

    [Fact]
    public async Task Time_does_not_skip_where_the_environment_says_so()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, () => environment.WithAutoTimeSkippingDisabledAsync(async () =>
        {
            // The server's clock says how far it is ahead of real time: a skip would have made that more.
            var ahead = await AheadAsync(environment);
            await environment.Client.ExecuteWorkflowAsync((SleepWorkflow w) => w.RunAsync(2), new("real", "q"));
            Assert.InRange(await AheadAsync(environment), ahead - TimeSpan.FromSeconds(1), ahead + TimeSpan.FromSeconds(1));
        }));
    }

    [Fact]
    public async Task A_workflow_that_waits_for_ever_is_skipped_to_its_timeout()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, async () =>
        {
            var options = new WorkflowOptions("timeout", "q") { RunTimeout = TimeSpan.FromDays(30) };
            var error = await Assert.ThrowsAsync<WorkflowFailedException>(() =>
                environment.Client.ExecuteWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options));
            Assert.IsType<TimeoutFailureException>(error.InnerException);
        });
    }

    [Fact]
    public async Task A_running_activity_keeps_time_from_skipping()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, async () =>
        {
            var ahead = await AheadAsync(environment);
            Assert.Equal("StartToClose MaximumAttemptsReached", await environment.Client.ExecuteWorkflowAsync((TimeoutWorkflow w) => w.RunAsync("StartToClose"), new("busy", "q")));
            Assert.InRange(await AheadAsync(environment), ahead - TimeSpan.FromSeconds(1), ahead + TimeSpan.FromSeconds(1));
        });
    }

    [Fact]
    public async Task Time_moves_by_hand_while_a_workflow_sleeps()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, async () =>
        {
            var handle = await environment.Client.StartWorkflowAsync((SleepWorkflow w) => w.RunAsync(3600), new("hand", "q"));
            await environment.DelayAsync(TimeSpan.FromMinutes(30));
            Assert.Equal(WorkflowExecutionStatus.Running, (await handle.DescribeAsync()).Status);
            await environment.DelayAsync(TimeSpan.FromMinutes(31));
            await Until.TrueAsync(async () => (await handle.DescribeAsync()).Status == WorkflowExecutionStatus.Completed);
        });
    }

    [Fact]
    public async Task A_cron_workflow_passes_its_days_at_once()
    {
        await using var environment = await StartTimeSkippingAsync();
        await WithWorkerAsync(environment.Client, async () =>
        {
            await environment.Client.StartWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new("cron", "q") { CronSchedule = "0 12 * * *" });
            await environment.DelayAsync(TimeSpan.FromDays(5));
            await Until.TrueAsync(async () => (await environment.Client.CountWorkflowsAsync("WorkflowId = 'cron' AND ExecutionStatus = 'Completed'")).Count >= 4);
            await environment.Client.GetWorkflowHandle("cron").TerminateAsync();
        });
    }

    [Fact]
    public async Task The_local_environment_runs_on_our_executable()
    {
        await using var environment = await WorkflowEnvironment.StartLocalAsync(new()
        {
            Namespace = "mine",
            SearchAttributes = [AttributesWorkflow.Step],
            UI = true,
            DevServerOptions = new()
            {
                ExistingPath = Executable,
                StartupTimeout = BusyMachine,
                LogLevel = "error",
                ExtraArgs = ["--search-attribute", "Size=Int", "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=50"],
            },
        });
        var attributes = await environment.Client.Connection.OperatorService.ListSearchAttributesAsync(new() { Namespace = "mine" });
        Assert.Equal(["Size", "Step"], attributes.CustomAttributes.Keys.Order());
        await WithWorkerAsync(environment.Client, async () =>
            Assert.Equal("hi", await environment.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("hi"), new("echo", "q"))));
        var handle = environment.Client.GetWorkflowHandle("echo");
        Assert.Equal(WorkflowExecutionStatus.Completed, (await handle.DescribeAsync()).Status);
    }
}
