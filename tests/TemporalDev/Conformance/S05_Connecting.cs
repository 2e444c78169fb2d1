using System.Diagnostics;
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
    public async Task S05_1_A_stopped_worker_does_not_wait_for_its_polls()
    {
        using var worker = new TemporalWorker(
            server.Client,
            new TemporalWorkerOptions(DevServer.NewQueue()).AddWorkflow<EchoWorkflow>().AddAllActivities(typeof(SampleActivities), null));
        var stop = Stopwatch.StartNew();
        await worker.ExecuteAsync(
            async () =>
            {
                await server.Client.ExecuteWorkflowAsync((EchoWorkflow w) => w.RunAsync("x"), new(DevServer.NewId(), worker.Options.TaskQueue!));
                stop.Restart();
            },
            TestContext.Current.CancellationToken);
        Assert.True(stop.Elapsed < TimeSpan.FromSeconds(20), $"stopping took {stop.Elapsed}, as long as a parked poll");
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
