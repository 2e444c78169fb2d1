using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 5: what the SDK does when it connects, starts and stops, and what it needs from the server.</summary>
[Collection(nameof(DevServer))]
public sealed class S05_Connecting(DevServer server)
{
    [Fact]
    public async Task S05_1_The_server_says_what_it_can()
    {
        var info = await server.Client.Connection.WorkflowService.GetSystemInfoAsync(new());
        Assert.NotEmpty(info.ServerVersion);
        Assert.True(info.Capabilities.SdkMetadata);
        Assert.True(info.Capabilities.EncodedFailureAttributes);
        Assert.True(info.Capabilities.UpsertMemo);
        Assert.True(info.Capabilities.CountGroupByExecutionStatus);
        Assert.True(info.Capabilities.SupportsSchedules);
        Assert.True(info.Capabilities.BuildIdBasedVersioning);
    }

    [Fact]
    public async Task S05_1_A_namespace_describes_its_limits_and_abilities()
    {
        var description = await server.Client.Connection.WorkflowService.DescribeNamespaceAsync(new() { Namespace = "default" });
        Assert.True(description.NamespaceInfo.Capabilities.AsyncUpdate);
        Assert.True(description.NamespaceInfo.Capabilities.SyncUpdate);
        Assert.Equal("default", description.NamespaceInfo.Name);
        Assert.True(Guid.TryParse(description.NamespaceInfo.Id, out _));
    }

    [Fact]
    public async Task S05_1_A_missing_namespace_fails_the_worker()
    {
        var name = $"missing-{Guid.NewGuid()}";
        var detail = await RpcAssert.FailsWithAsync<NamespaceNotFoundFailure>(
            RpcException.StatusCode.NotFound,
            () => server.Client.Connection.WorkflowService.DescribeNamespaceAsync(new() { Namespace = name }));
        Assert.Equal(name, detail.Namespace);
        var elsewhere = new TemporalClient(server.Client.Connection, new() { Namespace = name });
        using var worker = new TemporalWorker(elsewhere, new TemporalWorkerOptions("q").AddWorkflow<EchoWorkflow>());
        await Assert.ThrowsAnyAsync<Exception>(() => worker.ExecuteAsync(() => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task S05_1_The_shutdown_of_a_worker_ends_its_parked_polls()
    {
        var raw = new RawWorker(server.Client);
        var key = Guid.NewGuid().ToString();
        var polls = new[]
        {
            raw.Service.PollWorkflowTaskQueueAsync(
                new() { Namespace = RawWorker.Namespace, TaskQueue = raw.TaskQueue, Identity = "raw", WorkerInstanceKey = key }, new() { Timeout = TimeSpan.FromMinutes(10) }),
            raw.Service.PollWorkflowTaskQueueAsync(
                new() { Namespace = RawWorker.Namespace, TaskQueue = raw.TaskQueue, Identity = "raw", WorkerInstanceKey = "another" }, new() { Timeout = TimeSpan.FromMinutes(10) }),
        };
        await raw.Service.ShutdownWorkerAsync(new() { Namespace = RawWorker.Namespace, Identity = "raw", WorkerInstanceKey = key });
        Assert.True((await polls[0].WaitAsync(TimeSpan.FromSeconds(50), TestContext.Current.CancellationToken)).TaskToken.IsEmpty);
        Assert.False(polls[1].IsCompleted);
        await raw.StartAsync();
        Assert.Equal(raw.RunId, (await polls[1]).WorkflowExecution.RunId);
        await raw.TerminateAsync();
    }

    [Fact]
    public async Task S05_1_The_shutdown_of_a_worker_gives_its_sticky_tasks_back()
    {
        var raw = new RawWorker(server.Client);
        var sticky = $"sticky-{Guid.NewGuid()}";
        await raw.StartAsync();
        await raw.CompleteAsync(await raw.PollAsync(), raw.Sticks(sticky, 3600));
        await raw.TryPollAsync(TimeSpan.FromMilliseconds(100), sticky);
        await raw.SignalAsync("wake");
        await raw.Service.ShutdownWorkerAsync(new() { Namespace = RawWorker.Namespace, Identity = "raw", WorkerInstanceKey = "w", StickyTaskQueue = sticky });
        var task = await raw.PollAsync();
        Assert.Equal(1, task.History.Events[0].EventId);
        await raw.TerminateAsync();
    }

    [Fact]
    public async Task S05_1_Without_a_version_stamp_the_binary_checksum_is_kept()
    {
        var raw = new RawWorker(server.Client);
        await raw.StartAsync();
        await raw.CompleteAsync(await raw.PollAsync(), r => r.BinaryChecksum = "sum");
        var completed = (await raw.HistoryAsync()).Single(e => e.EventType == Temporalio.Api.Enums.V1.EventType.WorkflowTaskCompleted);
        Assert.Equal("sum", completed.WorkflowTaskCompletedEventAttributes.BinaryChecksum);
        await raw.TerminateAsync();
    }

    [Fact]
    public async Task S05_1_A_stopped_worker_does_not_wait_for_its_polls()
    {
        using var worker = new TemporalWorker(
            server.Client,
            new TemporalWorkerOptions(DevServer.NewQueue()).AddWorkflow<EchoWorkflow>().AddAllActivities(typeof(SampleActivities), null));
        await worker.ExecuteAsync(
            () => server.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new(DevServer.NewId(), worker.Options.TaskQueue!)),
            TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(55), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task S05_1_The_health_service_says_serving() => Assert.True(await server.Client.Connection.CheckHealthAsync());

    [Fact]
    public async Task S05_2_A_start_repeated_with_its_request_id_finds_its_run()
    {
        var worker = new RawWorker(server.Client);
        var request = worker.StartRequest();
        var first = await worker.Service.StartWorkflowExecutionAsync(request);
        var second = await worker.Service.StartWorkflowExecutionAsync(request);
        Assert.Equal(first.RunId, second.RunId);
        await worker.TerminateAsync();
        Assert.Equal(first.RunId, (await worker.Service.StartWorkflowExecutionAsync(request)).RunId);
    }

    [Fact]
    public async Task S05_2_A_signal_repeated_with_its_request_id_is_one_signal()
    {
        var worker = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.SignalAsync("s", "same");
        await worker.SignalAsync("s", "same");
        var task = await worker.PollAsync();
        await worker.SignalAsync("s", "other");
        await worker.SignalAsync("s", "other");
        await worker.CompleteAsync(task);
        Assert.Equal(2, (await worker.EventTypesAsync()).Count(t => t == Temporalio.Api.Enums.V1.EventType.WorkflowExecutionSignaled));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S05_2_A_signal_with_start_repeated_with_its_request_id_is_one_signal()
    {
        var raw = new RawWorker(server.Client);
        var request = new Temporalio.Api.WorkflowService.V1.SignalWithStartWorkflowExecutionRequest
        {
            Namespace = RawWorker.Namespace,
            WorkflowId = raw.WorkflowId,
            WorkflowType = new() { Name = "raw" },
            TaskQueue = raw.TaskQueue,
            SignalName = "s",
            RequestId = Guid.NewGuid().ToString(),
        };
        var first = await raw.Service.SignalWithStartWorkflowExecutionAsync(request);
        var second = await raw.Service.SignalWithStartWorkflowExecutionAsync(request);
        Assert.Equal(first.RunId, second.RunId);
        Assert.Single(await raw.EventTypesAsync(first.RunId), t => t == Temporalio.Api.Enums.V1.EventType.WorkflowExecutionSignaled);
        await raw.TerminateAsync();
    }

    [Fact]
    public async Task S05_2_A_request_that_is_too_large_is_refused_in_the_words_that_workers_know()
    {
        var raw = new RawWorker(server.Client);
        var error = await Assert.ThrowsAsync<RpcException>(() => raw.StartAsync(r => r.Input = RawWorker.Text(new string('x', 5 * 1024 * 1024))));
        Assert.Equal(RpcException.StatusCode.ResourceExhausted, error.Code);
        Assert.StartsWith("grpc: received message larger than max", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S05_2_No_empty_request_is_an_internal_error()
    {
        foreach (var method in typeof(WorkflowService).GetMethods().Where(m => m.DeclaringType == typeof(WorkflowService) && m.Name.EndsWith("Async", StringComparison.Ordinal)))
        {
            var request = Activator.CreateInstance(method.GetParameters()[0].ParameterType)!;
            try
            {
                await (Task)method.Invoke(server.Client.Connection.WorkflowService, [request, new RpcOptions { Timeout = TimeSpan.FromSeconds(10), Retry = false }])!;
            }
            catch (RpcException e)
            {
                Assert.True(
                    e.Code is RpcException.StatusCode.InvalidArgument or RpcException.StatusCode.Unimplemented or RpcException.StatusCode.NotFound,
                    $"{method.Name}: {e.Code} {e.Message}");
            }
        }
    }

    [Fact]
    public async Task S04_6_What_is_not_implemented_names_its_feature()
    {
        var error = await RpcAssert.FailsAsync(
            RpcException.StatusCode.Unimplemented,
            () => server.Client.Connection.WorkflowService.StartBatchOperationAsync(new() { Namespace = "default" }));
        Assert.NotEmpty(error.Message);
    }
}
