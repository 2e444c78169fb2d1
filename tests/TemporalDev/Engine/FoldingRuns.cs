using System.Text;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Engine;

/// <summary>A run is its history and a small side record: what is built from these two is the run that wrote them.</summary>
public sealed class FoldingRuns
{
    private readonly MemoryStore store = new(retain: true);

    private static TemporalWorkerOptions Worker(string queue) => new TemporalWorkerOptions(queue)
        .AddWorkflow<EchoWorkflow>().AddWorkflow<MailboxWorkflow>().AddWorkflow<SleepWorkflow>().AddWorkflow<ParentWorkflow>()
        .AddWorkflow<BackoffWorkflow>().AddWorkflow<CountdownWorkflow>().AddWorkflow<FailingWorkflow>().AddWorkflow<AttributesWorkflow>()
        .AddWorkflow<AsyncCompletionWorkflow>().AddWorkflow<RetriedWorkflow>().AddWorkflow<TimeoutWorkflow>()
        .AddAllActivities(typeof(SampleActivities), null);

    [Fact]
    public async Task Every_run_folds_to_itself()
    {
        await using var server = await TemporalDevServer.StartAsync(Options(0), TestContext.Current.CancellationToken);
        var client = await TemporalClient.ConnectAsync(new(server.Address));
        using (var worker = new TemporalWorker(client, Worker("q")))
        {
            await worker.ExecuteAsync(() => StartAllKindsAsync(client), TestContext.Current.CancellationToken);
        }

        // Signals of stopped workflows, and a start that no worker ever takes, leave scheduled tasks behind.
        await client.GetWorkflowHandle("mailbox").SignalAsync("Put", ["late"]);
        await client.StartWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new("untouched", "nobody"));
        await client.StartWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new("delayed", "q") { StartDelay = TimeSpan.FromHours(1) });

        var state = await store.LoadAsync(CancellationToken.None);
        Assert.NotEmpty(state.Live);
        foreach (var chain in server.Engine.Chains)
        {
            foreach (var run in chain.Runs.Values)
            {
                await AssertFoldsAsync(server.Engine, run);
            }
        }
    }

    [Fact]
    public async Task A_server_started_on_the_same_store_goes_on_where_the_former_one_stopped()
    {
        var first = await TemporalDevServer.StartAsync(Options(0), TestContext.Current.CancellationToken);
        var port = int.Parse(first.Address.Split(':')[1]);
        var client = await TemporalClient.ConnectAsync(new(first.Address));
        await using var servers = new Servers();
        using var worker = new TemporalWorker(client, Worker("q"));
        await worker.ExecuteAsync(
            async () =>
            {
                await StartAllKindsAsync(client);
                await first.DisposeAsync();
                servers.Second = await TemporalDevServer.StartAsync(Options(port));
                await FinishAllKindsAsync(client).WaitAsync(TimeSpan.FromSeconds(40));
                foreach (var id in (string[])["echo", "mailbox", "sleep", "parent", "parent-child", "backoff", "countdown", "later"])
                {
                    var history = await client.GetWorkflowHandle(id).FetchHistoryAsync();
                    Assert.Equal(Enumerable.Range(1, history.Events.Count).Select(i => (long)i), history.Events.Select(e => e.EventId));
                }
            },
            TestContext.Current.CancellationToken);
    }

    /// <summary>The second server outlives the worker, which needs a server for its own shutdown.</summary>
    private sealed class Servers : IAsyncDisposable
    {
        public TemporalDevServer? Second { get; set; }

        public ValueTask DisposeAsync() => Second?.DisposeAsync() ?? ValueTask.CompletedTask;
    }

    private ServerOptions Options(int port) => new()
    {
        Port = port,
        Store = store,
        SearchAttributes = new Dictionary<string, string> { ["Step"] = "Keyword", ["Size"] = "Int" },
    };

    private static async Task StartAllKindsAsync(TemporalClient client)
    {
        await client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new("echo", "q"));
        await client.ExecuteWorkflowAsync((CountdownWorkflow w) => w.RunAsync(3), new("countdown", "q"));
        await client.ExecuteWorkflowAsync((AttributesWorkflow w) => w.RunAsync(), new("attributes", "q"));
        var mailbox = await client.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), new("mailbox", "q"));
        await mailbox.SignalAsync(w => w.PutAsync("a"), new());
        await mailbox.ExecuteUpdateAsync(w => w.AddAsync("b"), new() { Id = "done" });
        await mailbox.StartUpdateAsync(w => w.NeverAsync(), new(WorkflowUpdateStage.Accepted) { Id = "accepted" });
        await client.StartWorkflowAsync((SleepWorkflow w) => w.RunAsync(4), new("sleep", "q") { RunTimeout = TimeSpan.FromHours(1) });
        await client.StartWorkflowAsync((ParentWorkflow w) => w.RunAsync("wait"), new("parent", "q"));
        await client.StartWorkflowAsync((BackoffWorkflow w) => w.RunAsync(3), new("backoff", "q"));
        await client.StartWorkflowAsync((AsyncCompletionWorkflow w) => w.RunAsync(), new("later", "q"));
        await client.StartWorkflowAsync((RetriedWorkflow w) => w.RunAsync(2), new("retried", "q") { RetryPolicy = new() { InitialInterval = TimeSpan.FromHours(1) } });
        await Until.TrueAsync(async () => await IsPendingAsync(client, "backoff", a => a.Attempt > 1)
            && await IsPendingAsync(client, "later", a => a.State == PendingActivityState.Started)
            && (await DescribeAsync(client, "parent")).PendingChildren.Any(c => c.RunId.Length > 0));
    }

    private static async Task FinishAllKindsAsync(TemporalClient client)
    {
        Assert.Equal(4, Math.Round(await client.GetWorkflowHandle<SleepWorkflow, double>("sleep").GetResultAsync(), 0));
        Assert.Equal(3, await client.GetWorkflowHandle<BackoffWorkflow, int>("backoff").GetResultAsync());
        Assert.Equal("continued", await client.GetWorkflowHandle<CountdownWorkflow, string>("countdown").GetResultAsync());
        await client.GetAsyncActivityHandle("later", (await client.GetWorkflowHandle("later").DescribeAsync()).RunId, "later").CompleteAsync("by hand");
        Assert.Equal("by hand", await client.GetWorkflowHandle<AsyncCompletionWorkflow, string>("later").GetResultAsync());

        var mailbox = client.GetWorkflowHandle<MailboxWorkflow, string>("mailbox");
        Assert.Equal(2, await mailbox.ExecuteUpdateAsync(w => w.AddAsync("b"), new() { Id = "done" }));
        await mailbox.SignalAsync(w => w.FinishAsync());
        Assert.Equal("a,b", await mailbox.GetResultAsync());

        await client.GetWorkflowHandle<MailboxWorkflow>("parent-child").SignalAsync(w => w.FinishAsync());
        Assert.Equal("", await client.GetWorkflowHandle<ParentWorkflow, string>("parent").GetResultAsync());
    }

    private static Task<Temporalio.Api.WorkflowService.V1.DescribeWorkflowExecutionResponse> DescribeAsync(TemporalClient client, string id) =>
        client.Connection.WorkflowService.DescribeWorkflowExecutionAsync(new() { Namespace = "default", Execution = new() { WorkflowId = id } });

    private static async Task<bool> IsPendingAsync(TemporalClient client, string id, Func<Temporalio.Api.Workflow.V1.PendingActivityInfo, bool> test) =>
        (await DescribeAsync(client, id)).PendingActivities.Any(test);

    private async Task AssertFoldsAsync(EngineHost engine, Run run)
    {
        var stored = await store.LoadRunAsync(run.Key, CancellationToken.None);
        Assert.NotNull(stored);
        var folded = new Run(engine, new WorkflowChain(run.Chain.Namespace, run.Chain.WorkflowId), run.RunId);
        folded.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
        lock (run.Chain.Gate)
        {
            Assert.Equal(run.History, folded.History);
            Assert.Equal(run.StartRequestId, folded.StartRequestId);
            Assert.Equal(Encoding.UTF8.GetString(run.WriteSide()), Encoding.UTF8.GetString(folded.WriteSide()));
            Assert.Equal(run.Describe(), folded.Describe());
            Assert.Equal(run.Holds, folded.Holds);
            Assert.Equal(run.NextDue(), DueAfterResume(engine, folded));
        }
    }

    /// <summary>Deadlines are armed by the resume; the unit of work is thrown away, so nothing is offered twice.</summary>
    private static DateTimeOffset? DueAfterResume(EngineHost engine, Run folded)
    {
        folded.Resume(new UnitOfWork(engine, folded.Chain, engine.Clock.GetUtcNow()));
        return folded.NextDue();
    }
}
