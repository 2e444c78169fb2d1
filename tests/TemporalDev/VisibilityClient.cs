using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Reflection.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Common;
using RpcFault = Temporalio.Exceptions.RpcException;
using static SnapshotFlow.Tests.TemporalDev.VisibilityServer;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>Lists, counts and search attributes as the stock client sees them.</summary>
public class VisibilityClient
{
    [Fact]
    public async Task Runs_are_listed_newest_first_and_paged_without_gaps()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            for (var i = 0; i < 5; i++)
            {
                await server.NoteAsync($"note-{i}", "x");
            }

            Assert.Equal(["note-4", "note-3", "note-2", "note-1", "note-0"], await server.IdsAsync(""));
            Assert.Equal(["note-4", "note-3", "note-2", "note-1", "note-0"], await server.IdsAsync("WorkflowType = 'Note'", pageSize: 2));
            Assert.Equal(["note-0", "note-1"], await server.IdsAsync("WorkflowId IN ('note-0', 'note-1') ORDER BY StartTime ASC"));
            Assert.Empty(await server.IdsAsync("WorkflowType = 'Note' AND ExecutionStatus = 'Running'"));
        });
    }

    [Fact]
    public async Task Every_run_of_one_id_is_listed_with_its_history()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            for (var i = 0; i < 3; i++)
            {
                await server.NoteAsync("same", $"{i}");
            }

            var results = new List<string>();
            await foreach (var run in server.Client.ListWorkflowsAsync("WorkflowId = 'same'", new WorkflowListOptions { Limit = 2 }))
            {
                Assert.Equal(WorkflowExecutionStatus.Completed, run.Status);
                Assert.Equal("Note", run.WorkflowType);
                Assert.Equal(Queue, run.TaskQueue);
                Assert.NotNull(run.CloseTime);
                Assert.True(run.HistoryLength >= 5);
                var history = await server.Client.GetWorkflowHandle("same", run.RunId).FetchHistoryAsync();
                Assert.Equal(run.HistoryLength, history.Events.Count);
                results.Add(history.Events.Last().WorkflowExecutionCompletedEventAttributes.Result.Payloads_.Single().Data.ToStringUtf8());
            }

            Assert.Equal(["\"2\"", "\"1\""], results);
        });
    }

    [Fact]
    public async Task Counts_are_grouped_by_status()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            await server.NoteAsync("a", "x");
            await server.NoteAsync("b", "x");
            await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("c"));

            Assert.Equal(3, (await server.Client.CountWorkflowsAsync($"TaskQueue = '{Queue}'")).Count);
            var count = await server.Client.CountWorkflowsAsync($"TaskQueue = '{Queue}' GROUP BY ExecutionStatus");
            Assert.Equal(3, count.Count);
            Assert.Equal(2, count.Groups.Single(group => group.GroupValues.SequenceEqual(["Completed"])).Count);
            Assert.Equal(1, count.Groups.Single(group => group.GroupValues.SequenceEqual(["Running"])).Count);
        });
    }

    [Fact]
    public async Task Typed_search_attributes_come_back_as_they_were_set_and_select_runs()
    {
        await using var server = await StartAsync();
        var due = new DateTimeOffset(2026, 2, 3, 4, 5, 6, TimeSpan.Zero);
        var set = new SearchAttributeCollection.Builder()
            .Set(Project, "red").Set(Attempts, 3).Set(Load, 1.5).Set(Urgent, true).Set(Due, due).Set(Tags, ["disk", "cold"]).Set(Remark, "frozen guest")
            .ToSearchAttributeCollection();
        var handle = await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("w", set));

        var described = (await handle.DescribeAsync()).TypedSearchAttributes;
        Assert.Equal("red", described.Get(Project));
        Assert.Equal(3, described.Get(Attempts));
        Assert.Equal(1.5, described.Get(Load));
        Assert.True(described.Get(Urgent));
        Assert.Equal(due, described.Get(Due));
        Assert.Equal(["disk", "cold"], described.Get(Tags));
        Assert.Equal("frozen guest", described.Get(Remark));
        foreach (var query in new[]
        {
            "Project = 'red'", "Attempts BETWEEN 1 AND 3", "Load < 2", "Urgent = true", "Due < '2026-02-04T00:00:00Z'", "Tags = 'cold'", "Remark = 'guest'",
            "Project STARTS_WITH 're' AND NOT (Attempts > 3 OR Urgent = false)",
        })
        {
            Assert.Equal(["w"], await server.IdsAsync(query));
        }

        Assert.Empty(await server.IdsAsync("Project = 'blue'"));
    }

    [Fact]
    public async Task A_workflow_sets_and_unsets_its_own_attributes_and_memo()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            var options = Options("w", new SearchAttributeCollection.Builder().Set(Project, "red").Set(Attempts, 1).ToSearchAttributeCollection());
            options.Memo = new Dictionary<string, object> { ["kept"] = "yes" };
            var handle = await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), options);
            await handle.SignalAsync(wait => wait.SetAsync(2, true));
            await handle.SignalAsync(wait => wait.FinishAsync());
            await handle.GetResultAsync();

            Assert.Equal(["w"], await server.IdsAsync("Attempts = 2 AND Urgent = true AND Project IS NULL"));
            var description = await handle.DescribeAsync();
            Assert.False(description.TypedSearchAttributes.ContainsKey(Project));
            Assert.Equal("set", await description.Memo["step"].ToValueAsync<string>());
            Assert.Equal("yes", await description.Memo["kept"].ToValueAsync<string>());
        });
    }

    [Fact]
    public async Task A_start_with_an_unregistered_attribute_is_refused()
    {
        await using var server = await StartAsync();
        var set = new SearchAttributeCollection.Builder().Set(SearchAttributeKey.CreateKeyword("Colour"), "red").ToSearchAttributeCollection();
        var error = await Assert.ThrowsAsync<RpcFault>(() => server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("w", set)));
        Assert.Equal(RpcFault.StatusCode.InvalidArgument, error.Code);
        Assert.Contains("Namespace default has no mapping defined for search attribute Colour", error.Message, StringComparison.Ordinal);
        Assert.Empty(await server.IdsAsync(""));
    }

    [Theory]
    [InlineData("Colour = 'red'")]
    [InlineData("WorkflowId = ")]
    [InlineData("GROUP BY ExecutionStatus")]
    public async Task A_query_that_makes_no_sense_is_the_callers_mistake(string query)
    {
        await using var server = await StartAsync();
        var error = await Assert.ThrowsAsync<RpcFault>(() => server.IdsAsync(query));
        Assert.Equal(RpcFault.StatusCode.InvalidArgument, error.Code);
    }

    [Fact]
    public async Task Attributes_are_registered_listed_and_removed_by_the_operator()
    {
        await using var server = await StartAsync();
        var operators = server.Client.Connection.OperatorService;
        var add = new AddSearchAttributesRequest { Namespace = "default", SearchAttributes = { ["Colour"] = IndexedValueType.Keyword } };
        await operators.AddSearchAttributesAsync(add);
        var again = await Assert.ThrowsAsync<RpcFault>(() => operators.AddSearchAttributesAsync(add));
        Assert.Equal(RpcFault.StatusCode.AlreadyExists, again.Code);

        var listed = await operators.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = "default" });
        Assert.Equal(IndexedValueType.Keyword, listed.CustomAttributes["Colour"]);
        Assert.Equal(IndexedValueType.Int, listed.CustomAttributes["Attempts"]);
        Assert.Equal(IndexedValueType.Datetime, listed.SystemAttributes["StartTime"]);
        Assert.Equal(IndexedValueType.KeywordList, listed.SystemAttributes["BuildIds"]);

        await operators.RemoveSearchAttributesAsync(new RemoveSearchAttributesRequest { Namespace = "default", SearchAttributes = { "Colour" } });
        var gone = await Assert.ThrowsAsync<RpcFault>(
            () => operators.RemoveSearchAttributesAsync(new RemoveSearchAttributesRequest { Namespace = "default", SearchAttributes = { "Colour" } }));
        Assert.Equal(RpcFault.StatusCode.NotFound, gone.Code);
        var builtIn = await Assert.ThrowsAsync<RpcFault>(
            () => operators.RemoveSearchAttributesAsync(new RemoveSearchAttributesRequest { Namespace = "default", SearchAttributes = { "StartTime" } }));
        Assert.Equal(RpcFault.StatusCode.InvalidArgument, builtIn.Code);
    }

    [Fact]
    public async Task A_deleted_namespace_is_gone_with_everything_in_it()
    {
        await using var server = await StartAsync();
        await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("w"));
        await server.Client.Connection.OperatorService.DeleteNamespaceAsync(new DeleteNamespaceRequest { Namespace = "default" });
        var error = await Assert.ThrowsAsync<RpcFault>(() => server.IdsAsync(""));
        Assert.Equal(RpcFault.StatusCode.NotFound, error.Code);

        await server.Client.Connection.WorkflowService.RegisterNamespaceAsync(new RegisterNamespaceRequest
        {
            Namespace = "default",
            WorkflowExecutionRetentionPeriod = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromDays(1)),
        });
        Assert.Empty(await server.IdsAsync(""));
        var listed = await server.Client.Connection.OperatorService.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = "default" });
        Assert.Empty(listed.CustomAttributes);
    }

    [Fact]
    public async Task Registered_attributes_and_listed_runs_survive_a_restart()
    {
        var store = new SnapshotFlow.TemporalDev.Store.MemoryStore(retain: true);
        await using (var first = await StartAsync(store: store))
        {
            await first.Client.Connection.OperatorService.AddSearchAttributesAsync(
                new AddSearchAttributesRequest { Namespace = "default", SearchAttributes = { ["Colour"] = IndexedValueType.Keyword } });
            var set = new SearchAttributeCollection.Builder().Set(SearchAttributeKey.CreateKeyword("Colour"), "red").ToSearchAttributeCollection();
            await first.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("open", set));
            await first.WithWorkerAsync(() => first.NoteAsync("closed", "x"));
        }

        await using var second = await StartAsync(store: store);
        Assert.Equal(["open"], await second.IdsAsync("Colour = 'red' AND ExecutionStatus = 'Running'"));
        Assert.Equal(["closed"], await second.IdsAsync("ExecutionStatus = 'Completed'"));
    }

    [Fact]
    public async Task What_is_left_out_is_refused_by_name()
    {
        await using var server = await StartAsync();
        var batch = await Assert.ThrowsAsync<RpcFault>(
            () => server.Client.Connection.WorkflowService.StartBatchOperationAsync(new StartBatchOperationRequest { Namespace = "default" }));
        Assert.Equal(RpcFault.StatusCode.Unimplemented, batch.Code);
        Assert.Equal("StartBatchOperation: temporal-dev does not implement batch operations.", batch.Message);
        var nexus = await Assert.ThrowsAsync<RpcFault>(() => server.Client.Connection.OperatorService.ListNexusEndpointsAsync(new ListNexusEndpointsRequest()));
        Assert.Equal("ListNexusEndpoints: temporal-dev does not implement Nexus.", nexus.Message);
        var clock = await Assert.ThrowsAsync<RpcFault>(() => server.Client.Connection.TestService.GetCurrentTimeAsync(new Google.Protobuf.WellKnownTypes.Empty()));
        Assert.Equal(RpcFault.StatusCode.Unimplemented, clock.Code);
    }

    [Fact]
    public async Task Tools_that_ask_by_reflection_see_the_served_methods_and_no_others()
    {
        await using var server = await StartAsync(skipsTime: true);
        using var channel = GrpcChannel.ForAddress($"http://{server.Address}");
        var client = new ServerReflection.ServerReflectionClient(channel);
        using var call = client.ServerReflectionInfo(cancellationToken: TestContext.Current.CancellationToken);

        var listed = await AskAsync(call, new ServerReflectionRequest { ListServices = "" });
        Assert.Equal(
            ["temporal.api.operatorservice.v1.OperatorService", "temporal.api.testservice.v1.TestService", "temporal.api.workflowservice.v1.WorkflowService"],
            listed.ListServicesResponse.Service.Select(service => service.Name).Order(StringComparer.Ordinal));

        var described = await AskAsync(call, new ServerReflectionRequest { FileContainingSymbol = "temporal.api.workflowservice.v1.WorkflowService" });
        var file = described.FileDescriptorResponse.FileDescriptorProto
            .Select(bytes => Google.Protobuf.Reflection.FileDescriptorProto.Parser.ParseFrom(bytes))
            .Single(proto => proto.Service.Any(service => service.Name == "WorkflowService"));
        var methods = file.Service.Single().Method.Select(method => method.Name).ToList();
        Assert.Contains("ListWorkflowExecutions", methods);
        Assert.Contains("DescribeSchedule", methods);
        Assert.DoesNotContain("StartBatchOperation", methods);
    }

    private static async Task<ServerReflectionResponse> AskAsync(
        AsyncDuplexStreamingCall<ServerReflectionRequest, ServerReflectionResponse> call, ServerReflectionRequest request)
    {
        await call.RequestStream.WriteAsync(request);
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        return call.ResponseStream.Current;
    }
}
