using Temporalio.Api.Enums.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using WorkflowExecution = Temporalio.Api.Common.V1.WorkflowExecution;
using static SnapshotFlow.Tests.TemporalDev.VisibilityServer;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>The calls of the official command line and UI for listing, describing and showing runs, and the fields they put on the screen.</summary>
public class VisibilityTools
{
    [Fact]
    public async Task The_cluster_page_and_cluster_commands_find_version_stores_and_capabilities()
    {
        await using var server = await StartAsync();
        var service = server.Client.Connection.WorkflowService;
        var cluster = await service.GetClusterInfoAsync(new GetClusterInfoRequest());
        Assert.NotEmpty(cluster.ClusterName);
        Assert.NotEmpty(cluster.PersistenceStore);
        Assert.NotEmpty(cluster.VisibilityStore);

        // From 1.19 on the UI offers list filters and counts whatever the store is.
        Assert.True(Version.Parse(cluster.ServerVersion) >= new Version(1, 19));
        var system = await service.GetSystemInfoAsync(new GetSystemInfoRequest());
        Assert.Equal(cluster.ServerVersion, system.ServerVersion);
        Assert.True(system.Capabilities.SupportsSchedules);
        Assert.True(system.Capabilities.CountGroupByExecutionStatus);
        Assert.True(await server.Client.Connection.CheckHealthAsync());
    }

    [Fact]
    public async Task The_namespace_pages_find_state_retention_and_what_is_supported()
    {
        await using var server = await StartAsync();
        var service = server.Client.Connection.WorkflowService;
        var listed = (await service.ListNamespacesAsync(new ListNamespacesRequest { PageSize = 100 })).Namespaces.Single();
        var described = await service.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = "default" });
        Assert.Equal("default", listed.NamespaceInfo.Name);
        Assert.Equal(NamespaceState.Registered, described.NamespaceInfo.State);
        Assert.True(described.NamespaceInfo.SupportsSchedules);
        Assert.Equal(TimeSpan.FromDays(3), described.Config.WorkflowExecutionRetentionTtl.ToTimeSpan());
        Assert.Equal(described, await service.DescribeNamespaceAsync(new DescribeNamespaceRequest { Id = described.NamespaceInfo.Id }));
    }

    [Fact]
    public async Task The_list_finds_every_field_of_its_columns()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            await server.NoteAsync("closed", "x");
            await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("open"));
            var page = await server.Client.Connection.WorkflowService.ListWorkflowExecutionsAsync(
                new ListWorkflowExecutionsRequest { Namespace = "default", Query = "StartTime > \"2000-01-01T00:00:00.000Z\"", PageSize = 20 });

            var open = page.Executions[0];
            Assert.Equal("open", open.Execution.WorkflowId);
            Assert.Equal(WorkflowExecutionStatus.Running, open.Status);
            Assert.Null(open.CloseTime);
            Assert.Null(open.ExecutionDuration);
            Assert.NotNull(open.ExecutionTime);

            var closed = page.Executions[1];
            Assert.Equal("Note", closed.Type.Name);
            Assert.Equal(Queue, closed.TaskQueue);
            Assert.Equal(closed.CloseTime - closed.StartTime, closed.ExecutionDuration);
            Assert.True(closed.HistoryLength > 0);
            Assert.True(closed.HistorySizeBytes > 0);
            Assert.True(closed.StateTransitionCount > 0);
            Assert.Equal(closed.Execution, closed.RootExecution);
            Assert.Equal(closed.Execution.RunId, closed.FirstRunId);
        });
    }

    [Fact]
    public async Task The_page_of_a_run_finds_its_description_and_its_history_in_both_directions()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            await server.NoteAsync("w", "x");
            var service = server.Client.Connection.WorkflowService;
            var execution = new WorkflowExecution { WorkflowId = "w" };
            var described = await service.DescribeWorkflowExecutionAsync(new DescribeWorkflowExecutionRequest { Namespace = "default", Execution = execution });
            Assert.Equal(Queue, described.ExecutionConfig.TaskQueue.Name);
            Assert.Equal(WorkflowExecutionStatus.Completed, described.WorkflowExecutionInfo.Status);

            var forwards = await service.GetWorkflowExecutionHistoryAsync(
                new GetWorkflowExecutionHistoryRequest { Namespace = "default", Execution = execution, MaximumPageSize = 3 });
            Assert.Equal([1, 2, 3], forwards.History.Events.Select(e => e.EventId));
            Assert.False(forwards.NextPageToken.IsEmpty);

            var last = described.WorkflowExecutionInfo.HistoryLength;
            var backwards = await service.GetWorkflowExecutionHistoryReverseAsync(
                new GetWorkflowExecutionHistoryReverseRequest { Namespace = "default", Execution = execution, MaximumPageSize = 3 });
            Assert.Equal([last, last - 1, last - 2], backwards.History.Events.Select(e => e.EventId));
            var rest = await service.GetWorkflowExecutionHistoryReverseAsync(
                new GetWorkflowExecutionHistoryReverseRequest { Namespace = "default", Execution = execution, MaximumPageSize = 100, NextPageToken = backwards.NextPageToken });
            Assert.Equal(Enumerable.Range(1, (int)last - 3).Reverse().Select(id => (long)id), rest.History.Events.Select(e => e.EventId));
            Assert.True(rest.NextPageToken.IsEmpty);

            // `temporal workflow result` and the summary of a closed run read only the last event.
            var result = await service.GetWorkflowExecutionHistoryAsync(new GetWorkflowExecutionHistoryRequest
            {
                Namespace = "default", Execution = execution, HistoryEventFilterType = HistoryEventFilterType.CloseEvent,
            });
            Assert.Equal(EventType.WorkflowExecutionCompleted, Assert.Single(result.History.Events).EventType);
        });
    }

    [Fact]
    public async Task The_workers_tab_of_a_run_finds_who_polls_its_task_queue()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            await server.NoteAsync("w", "x");
            var described = await server.Client.Connection.WorkflowService.DescribeTaskQueueAsync(new DescribeTaskQueueRequest
            {
                Namespace = "default",
                TaskQueue = new TaskQueue { Name = Queue },
                TaskQueueType = TaskQueueType.Workflow,
            });
            Assert.Contains(described.Pollers, poller => poller.Identity == server.Client.Connection.Options.Identity && poller.LastAccessTime is not null);
        });
    }

    [Fact]
    public async Task The_tabs_of_the_list_find_counts_by_status()
    {
        await using var server = await StartAsync();
        await server.Client.StartWorkflowAsync((Wait wait) => wait.RunAsync(), Options("open"));
        var count = await server.Client.Connection.WorkflowService.CountWorkflowExecutionsAsync(
            new CountWorkflowExecutionsRequest { Namespace = "default", Query = "GROUP BY ExecutionStatus" });
        var payload = Assert.Single(Assert.Single(count.Groups).GroupValues);
        Assert.Equal("\"Running\"", payload.Data.ToStringUtf8());
        Assert.Equal("json/plain", payload.Metadata["encoding"].ToStringUtf8());
        Assert.Equal("Keyword", payload.Metadata["type"].ToStringUtf8());
    }
}
