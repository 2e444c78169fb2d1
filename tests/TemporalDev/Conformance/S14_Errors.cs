using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 14: errors and their typed details.</summary>
[Collection(nameof(DevServer))]
public sealed class S14_Errors(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    [Fact]
    public async Task S14_An_unknown_workflow_says_its_id()
    {
        var error = await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.DescribeAsync());
        Assert.Equal($"workflow not found for ID: {worker.WorkflowId}", error.Message);
        await RpcAssert.FailsWithAsync<NotFoundFailure>(RpcException.StatusCode.NotFound, () => worker.DescribeAsync());
    }

    [Fact]
    public async Task S14_An_unknown_run_of_a_known_workflow_is_not_found()
    {
        await worker.StartAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.DescribeAsync(Guid.NewGuid().ToString()));
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.HistoryAsync(Guid.NewGuid().ToString()));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S14_A_run_id_that_is_no_uuid_is_an_invalid_argument() =>
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.DescribeAsync("not-a-uuid"));

    [Fact]
    public async Task S14_An_unknown_namespace_is_named()
    {
        var detail = await RpcAssert.FailsWithAsync<NamespaceNotFoundFailure>(
            RpcException.StatusCode.NotFound,
            () => worker.StartAsync(r => r.Namespace = "no-such-namespace"));
        Assert.Equal("no-such-namespace", detail.Namespace);
    }

    [Fact]
    public async Task S14_A_namespace_cannot_be_registered_twice()
    {
        var request = new Temporalio.Api.WorkflowService.V1.RegisterNamespaceRequest
        {
            Namespace = "default",
            WorkflowExecutionRetentionPeriod = RawWorker.Seconds(86_400),
        };
        await RpcAssert.FailsWithAsync<NamespaceAlreadyExistsFailure>(RpcException.StatusCode.AlreadyExists, () => worker.Service.RegisterNamespaceAsync(request));
    }

    [Theory]
    [InlineData("workflow id")]
    [InlineData("workflow type")]
    [InlineData("task queue")]
    public async Task S14_A_start_without_its_essentials_is_an_invalid_argument(string missing) =>
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.StartAsync(r =>
        {
            r.WorkflowId = missing == "workflow id" ? "" : r.WorkflowId;
            r.WorkflowType = missing == "workflow type" ? null : r.WorkflowType;
            r.TaskQueue = missing == "task queue" ? null : r.TaskQueue;
        }));

    [Fact]
    public async Task S14_An_unregistered_search_attribute_is_refused_by_name()
    {
        var error = await RpcAssert.FailsAsync(
            RpcException.StatusCode.InvalidArgument,
            () => worker.StartAsync(r => r.SearchAttributes = new() { IndexedFields = { ["NobodyRegisteredThis"] = RawWorker.Text("x").Payloads_[0] } }));
        Assert.Contains("Namespace default has no mapping defined for search attribute NobodyRegisteredThis", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S21_22_Payloads_over_the_limit_are_refused_where_they_appear()
    {
        var large = RawWorker.Text(new string('x', 2 * 1024 * 1024));
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.StartAsync(r => r.Input = large));
        await worker.StartAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.Service.SignalWorkflowExecutionAsync(new()
        {
            Namespace = RawWorker.Namespace,
            WorkflowExecution = new() { WorkflowId = worker.WorkflowId },
            SignalName = "s",
            Input = large,
        }));
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a"));
        var activity = await worker.PollActivityAsync();
        await worker.Service.RespondActivityTaskCompletedAsync(new() { Namespace = RawWorker.Namespace, TaskToken = activity.TaskToken, Result = large });
        Assert.Contains(Temporalio.Api.Enums.V1.EventType.ActivityTaskFailed, await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S21_22_A_heartbeat_over_the_limit_fails_its_activity_and_stops_it()
    {
        var large = RawWorker.Text(new string('x', 2 * 1024 * 1024));
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a"));
        var activity = await worker.PollActivityAsync();
        var answer = await worker.Service.RecordActivityTaskHeartbeatAsync(new() { Namespace = RawWorker.Namespace, TaskToken = activity.TaskToken, Details = large });
        Assert.True(answer.CancelRequested);
        Assert.Contains(Temporalio.Api.Enums.V1.EventType.ActivityTaskFailed, await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData("complete", "CompleteWorkflowExecutionCommandAttributes.Result")]
    [InlineData("activity", "ScheduleActivityTaskCommandAttributes.Input")]
    [InlineData("marker", "RecordMarkerCommandAttributes.Details")]
    [InlineData("child", "StartChildWorkflowExecutionCommandAttributes. Input")]
    [InlineData("continuation", "ContinueAsNewWorkflowExecutionCommandAttributes. Input")]
    [InlineData("failure", "FailWorkflowExecutionCommandAttributes.Failure")]
    [InlineData("signal", "SignalExternalWorkflowExecutionCommandAttributes.Input")]
    public async Task S21_22_A_command_over_the_limit_fails_its_task_and_ends_the_run(string what, string name)
    {
        var large = new string('x', 2 * 1024 * 1024);
        var command = what switch
        {
            "complete" => Commands.Complete(large),
            "activity" => Commands.Activity(worker, "a", a => a.Input = RawWorker.Text(large)),
            "marker" => Commands.Marker("m"),
            "continuation" => Commands.ContinueAsNew(c => c.Input = RawWorker.Text(large)),
            "failure" => Commands.Fail(f => f.Message = large),
            "signal" => Commands.SignalExternal("other"),
            _ => Commands.Child(new RawWorker(server.Client), c => c.Input = RawWorker.Text(large)),
        };
        if (what == "marker")
        {
            command.RecordMarkerCommandAttributes.Details["data"] = RawWorker.Text(large);
        }
        else if (what == "signal")
        {
            command.SignalExternalWorkflowExecutionCommandAttributes.Input = RawWorker.Text(large);
        }

        await worker.StartAsync();
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, command));
        await AssertEndedAsync($": {name} exceeds size limit.");
    }

    [Fact]
    public async Task S21_22_An_answer_larger_than_any_request_ends_the_run()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        await worker.SignalAsync("meanwhile");
        await worker.Service.RespondWorkflowTaskFailedAsync(new()
        {
            Namespace = RawWorker.Namespace,
            TaskToken = task.TaskToken,
            Cause = Temporalio.Api.Enums.V1.WorkflowTaskFailedCause.GrpcMessageTooLarge,
        });
        var history = await worker.HistoryAsync();
        Assert.Equal("meanwhile", history[4].WorkflowExecutionSignaledEventAttributes.SignalName);
        await AssertEndedAsync("");
    }

    /// <summary>The task's failure is the fourth event, and the end of the run, for the same reason, the last.</summary>
    private async Task AssertEndedAsync(string tail)
    {
        var history = await worker.HistoryAsync();
        var failed = history[3].WorkflowTaskFailedEventAttributes;
        Assert.Equal($"{failed.Cause}{tail}", history[^1].WorkflowExecutionTerminatedEventAttributes.Reason);
        Assert.DoesNotContain(history.Skip(3), e => e.EventType == Temporalio.Api.Enums.V1.EventType.WorkflowTaskScheduled);
    }

    [Fact]
    public async Task S21_22_More_than_may_be_pending_fails_the_task_by_name()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        var commands = Enumerable.Range(0, 2001).Select(i => Commands.Activity(worker, $"a{i}")).ToArray();
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, commands));
        Assert.Equal(
            Temporalio.Api.Enums.V1.WorkflowTaskFailedCause.PendingActivitiesLimitExceeded,
            (await worker.HistoryAsync())[3].WorkflowTaskFailedEventAttributes.Cause);
        await worker.TerminateAsync();
    }
}
