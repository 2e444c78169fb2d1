using System.Diagnostics;
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
        WorkflowEnvironment.StartTimeSkippingAsync(new() { TestServer = new() { ExistingPath = Executable } });

    [Fact]
    public async Task A_day_of_sleep_is_skipped()
    {
        await using var environment = await StartTimeSkippingAsync();
        Assert.True(environment.SupportsTimeSkipping);
        await WithWorkerAsync(environment.Client, async () =>
        {
            var watch = Stopwatch.StartNew();
            var slept = await environment.Client.ExecuteWorkflowAsync((SleepWorkflow w) => w.RunAsync(24 * 3600), new("day", "q"));
            Assert.InRange(slept, 24 * 3600, (24 * 3600) + 60);
            Assert.True(watch.Elapsed < TimeSpan.FromMinutes(1));
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
            var watch = Stopwatch.StartNew();
            await environment.Client.ExecuteWorkflowAsync((SleepWorkflow w) => w.RunAsync(2), new("real", "q"));
            Assert.True(watch.Elapsed >= TimeSpan.FromSeconds(2));
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
    public async Task The_local_environment_runs_on_our_executable()
    {
        await using var environment = await WorkflowEnvironment.StartLocalAsync(new()
        {
            Namespace = "mine",
            DevServerOptions = new() { ExistingPath = Executable, ExtraArgs = ["--search-attribute", "Step=Keyword"] },
        });
        await WithWorkerAsync(environment.Client, async () =>
            Assert.Equal("hi", await environment.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("hi"), new("echo", "q"))));
        var handle = environment.Client.GetWorkflowHandle("echo");
        Assert.Equal(WorkflowExecutionStatus.Completed, (await handle.DescribeAsync()).Status);
    }
}
