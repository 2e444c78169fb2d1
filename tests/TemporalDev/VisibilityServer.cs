using Microsoft.Extensions.Logging;
using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Converters;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>A server of a test's own, with the stock client connected and a worker that runs <see cref="Note"/> and <see cref="Wait"/>.</summary>
public sealed class VisibilityServer : IAsyncDisposable
{
    public const string Queue = "queue";

    public static readonly SearchAttributeKey<string> Project = SearchAttributeKey.CreateKeyword("Project");
    public static readonly SearchAttributeKey<long> Attempts = SearchAttributeKey.CreateLong("Attempts");
    public static readonly SearchAttributeKey<double> Load = SearchAttributeKey.CreateDouble("Load");
    public static readonly SearchAttributeKey<bool> Urgent = SearchAttributeKey.CreateBool("Urgent");
    public static readonly SearchAttributeKey<DateTimeOffset> Due = SearchAttributeKey.CreateDateTimeOffset("Due");
    public static readonly SearchAttributeKey<IReadOnlyCollection<string>> Tags = SearchAttributeKey.CreateKeywordList("Tags");
    public static readonly SearchAttributeKey<string> Remark = SearchAttributeKey.CreateText("Remark");

    private readonly TemporalDevServer server;

    private VisibilityServer(TemporalDevServer server, TemporalClient client)
    {
        this.server = server;
        Client = client;
    }

    public TemporalClient Client { get; }

    public string Address => server.Address;

    public static async Task<VisibilityServer> StartAsync(bool skipsTime = false, IStore? store = null)
    {
        var server = await TemporalDevServer.StartAsync(
            new ServerOptions
            {
                IsTestServer = skipsTime,
                Store = store,
                LogLevel = LogLevel.Warning,
                SearchAttributes = new Dictionary<string, string>
                {
                    ["Project"] = "Keyword",
                    ["Attempts"] = "Int",
                    ["Load"] = "Double",
                    ["Urgent"] = "Bool",
                    ["Due"] = "Datetime",
                    ["Tags"] = "KeywordList",
                    ["Remark"] = "Text",
                },
            },
            TestContext.Current.CancellationToken);
        return new VisibilityServer(server, await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(server.Address)));
    }

    public static WorkflowOptions Options(string id, SearchAttributeCollection? attributes = null) => new(id, Queue) { TypedSearchAttributes = attributes };

    /// <summary>Runs <paramref name="body"/> while a worker serves the queue.</summary>
    public Task WithWorkerAsync(Func<Task> body) => RunAsync(new TemporalWorkerOptions(Queue).AddWorkflow<Note>().AddWorkflow<Wait>(), body);

    public async Task<List<string>> IdsAsync(string query, int pageSize = 0)
    {
        var ids = new List<string>();
        byte[]? token = null;
        do
        {
            var page = await Client.ListWorkflowsPaginatedAsync(query, token, new WorkflowListPaginatedOptions { PageSize = pageSize });
            ids.AddRange(page.Workflows.Select(run => run.Id));
            token = page.NextPageToken;
        }
        while (token is not null);
        return ids;
    }

    public Task<string> NoteAsync(string id, string text) => Client.ExecuteWorkflowAsync((Note note) => note.RunAsync(text), Options(id));

    public async ValueTask DisposeAsync() => await server.DisposeAsync();

    private async Task RunAsync(TemporalWorkerOptions options, Func<Task> body)
    {
        using var worker = new TemporalWorker(Client, options);
        await worker.ExecuteAsync(body, TestContext.Current.CancellationToken);
    }

    /// <summary>Returns its input, after what the run before it returned.</summary>
    [Workflow]
    public class Note
    {
        [WorkflowRun]
        public Task<string> RunAsync(string text)
        {
            var before = Workflow.Info.LastResult?.Count > 0
                ? Workflow.PayloadConverter.ToValue<string>(Workflow.Info.LastResult.First()) + " "
                : "";
            return text == "fail"
                ? throw new Temporalio.Exceptions.ApplicationFailureException("as asked")
                : Task.FromResult(before + text);
        }
    }

    /// <summary>Runs until it is told to go on; sets the attributes it is sent.</summary>
    [Workflow]
    public class Wait
    {
        private bool finished;

        [WorkflowRun]
        public Task RunAsync() => Workflow.WaitConditionAsync(() => finished);

        [WorkflowSignal]
        public Task SetAsync(long attempts, bool urgent)
        {
            Workflow.UpsertTypedSearchAttributes(Attempts.ValueSet(attempts), urgent ? Urgent.ValueSet(true) : Urgent.ValueUnset(), Project.ValueUnset());
            Workflow.UpsertMemo(MemoUpdate.ValueSet("step", "set"));
            return Task.CompletedTask;
        }

        [WorkflowSignal]
        public Task FinishAsync()
        {
            finished = true;
            return Task.CompletedTask;
        }
    }
}
