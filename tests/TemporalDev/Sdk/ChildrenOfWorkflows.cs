using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;
using ParentClosePolicy = Temporalio.Workflows.ParentClosePolicy;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>Workflows that start, signal and cancel other workflows.</summary>
[Collection(nameof(DevServer))]
public sealed class ChildrenOfWorkflows(DevServer server)
{
    private static void All(TemporalWorkerOptions options) => options.AddWorkflow<Parent>().AddWorkflow<Child>().AddWorkflow<OtherWorkflow>().AddWorkflow<ParentOfReset>();

    private static WorkflowOptions Options(string queue) => new(DevServer.NewId(), queue);

    private Task<string> RunAsync(string queue, string how, string other = "") => server.Client.ExecuteWorkflowAsync((Parent w) => w.RunAsync(how, other), Options(queue));

    [Theory]
    [InlineData("complete", "completed")]
    [InlineData("fail", "RetryPolicyNotSet: child failed")]
    [InlineData("timeout", "Timeout")]
    [InlineData("retry", "completed")]
    [InlineData("continue", "completed")]
    public Task A_parent_learns_how_its_child_ended(string how, string expected) => server.WithWorkerAsync(All, async queue =>
        Assert.Equal(expected, await RunAsync(queue, how)));

    [Theory]
    [InlineData(ChildWorkflowCancellationType.WaitCancellationCompleted, "child said no, then canceled")]
    [InlineData(ChildWorkflowCancellationType.WaitCancellationRequested, "canceled")]
    [InlineData(ChildWorkflowCancellationType.TryCancel, "canceled")]
    [InlineData(ChildWorkflowCancellationType.Abandon, "canceled")]
    public Task The_cancellation_type_decides_what_the_parent_waits_for(ChildWorkflowCancellationType type, string expected) => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var handle = await server.Client.StartWorkflowAsync((Parent w) => w.RunAsync("cancel", type.ToString()), options);
        var child = server.Client.GetWorkflowHandle<Child>($"{options.Id}-child");
        await Until.TrueAsync(async () => await handle.QueryAsync(w => w.HasChild()));
        await handle.CancelAsync();
        Assert.Equal(expected, await handle.GetResultAsync());
        if (type == ChildWorkflowCancellationType.Abandon)
        {
            await child.TerminateAsync();
        }
    });

    [Fact]
    public Task A_parent_learns_that_its_child_was_terminated() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var handle = await server.Client.StartWorkflowAsync((Parent w) => w.RunAsync("wait", ""), options);
        await Until.TrueAsync(async () => await handle.QueryAsync(w => w.HasChild()));
        await server.Client.GetWorkflowHandle($"{options.Id}-child").TerminateAsync();
        Assert.Equal("terminated", await handle.GetResultAsync());
    });

    [Fact]
    public Task A_child_has_its_own_identity_and_its_parents() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var handle = await server.Client.StartWorkflowAsync((Parent w) => w.RunAsync("info", ""), options);
        Assert.Equal($"{options.Id} {handle.ResultRunId} root {options.Id} summary kept", await handle.GetResultAsync());
        var child = server.Client.GetWorkflowHandle($"{options.Id}-child");
        var description = await child.DescribeAsync();
        Assert.Equal(options.Id, description.ParentId);
        Assert.Equal(handle.ResultRunId, description.ParentRunId);
        Assert.Equal("a child", await description.GetStaticSummaryAsync());
        Assert.Equal("blue", await Temporalio.Converters.ConverterExtensions.ToValueAsync<string>(server.Client.Options.DataConverter, (await server.DescribeRawAsync(child.Id)).WorkflowExecutionInfo.Memo.Fields["colour"]));
    });

    [Fact]
    public Task Signals_and_cancels_reach_other_workflows() => server.WithWorkerAsync(All, async queue =>
    {
        var other = await server.Client.StartWorkflowAsync((OtherWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal("done", await RunAsync(queue, "signal-external", other.Id));
        Assert.Equal("got hello", await other.GetResultAsync());
        var second = await server.Client.StartWorkflowAsync((OtherWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal("done", await RunAsync(queue, "cancel-external", second.Id));
        Assert.IsType<CanceledFailureException>((await Assert.ThrowsAsync<WorkflowFailedException>(() => second.GetResultAsync())).InnerException);
        Assert.Equal("not found", await RunAsync(queue, "signal-external", DevServer.NewId()));
        Assert.Equal("not found", await RunAsync(queue, "cancel-external", DevServer.NewId()));
        Assert.Equal("not found", await RunAsync(queue, "signal-external", second.Id));
    });

    [Fact]
    public Task A_reset_parent_keeps_its_child() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var parent = await server.Client.StartWorkflowAsync((ParentOfReset w) => w.RunAsync(), options);
        var child = server.Client.GetWorkflowHandle<Child>($"{options.Id}-child");
        await Until.TrueAsync(async () => await parent.QueryAsync(w => w.HasChild()));
        await parent.SignalAsync(w => w.PokeAsync());
        await Until.TrueAsync(async () => await parent.QueryAsync(w => w.Pokes()) == 1);
        var history = (await parent.FetchHistoryAsync()).Events;
        var at = history.Last(e => e.EventType == EventType.WorkflowTaskCompleted).EventId;
        var reset = await server.Client.Connection.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = "default",
            WorkflowExecution = new() { WorkflowId = options.Id, RunId = parent.ResultRunId },
            WorkflowTaskFinishEventId = at,
            Reason = "try again",
            RequestId = Guid.NewGuid().ToString(),
        });
        Assert.NotEqual(parent.ResultRunId, reset.RunId);
        Assert.Equal(WorkflowExecutionStatus.Running, (await child.DescribeAsync()).Status);
        await child.SignalAsync(w => w.LeaveAsync());
        var again = server.Client.GetWorkflowHandle<ParentOfReset, string>(options.Id!, reset.RunId);
        Assert.Equal("completed after 1", await again.GetResultAsync());
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await server.Client.GetWorkflowHandle(options.Id!, parent.ResultRunId).DescribeAsync()).Status);
    });

    [Fact]
    public Task A_child_that_the_reset_undoes_makes_way_for_its_new_start() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var parent = await server.Client.StartWorkflowAsync((ParentOfReset w) => w.RunAsync(), options);
        await Until.TrueAsync(async () => await parent.QueryAsync(w => w.HasChild()));
        var child = server.Client.GetWorkflowHandle<Child>($"{options.Id}-child");
        var first = (await child.DescribeAsync()).RunId;
        var at = (await parent.FetchHistoryAsync()).Events.First(e => e.EventType == EventType.WorkflowTaskCompleted).EventId;
        var reset = await server.Client.Connection.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = "default",
            WorkflowExecution = new() { WorkflowId = options.Id, RunId = parent.ResultRunId },
            WorkflowTaskFinishEventId = at,
            Reason = "from the start",
            RequestId = Guid.NewGuid().ToString(),
        });
        await Until.TrueAsync(async () => (await child.DescribeAsync()).RunId != first);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await server.Client.GetWorkflowHandle(child.Id, first).DescribeAsync()).Status);
        await child.SignalAsync(w => w.LeaveAsync());
        Assert.Equal("completed after 0", await server.Client.GetWorkflowHandle<ParentOfReset, string>(options.Id!, reset.RunId).GetResultAsync());
    });

    [Fact]
    public Task A_reset_parent_that_ends_takes_its_child_along() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        var parent = await server.Client.StartWorkflowAsync((ParentOfReset w) => w.RunAsync(), options);
        await Until.TrueAsync(async () => await parent.QueryAsync(w => w.HasChild()));
        await parent.SignalAsync(w => w.PokeAsync());
        await Until.TrueAsync(async () => await parent.QueryAsync(w => w.Pokes()) == 1);
        var at = (await parent.FetchHistoryAsync()).Events.Last(e => e.EventType == EventType.WorkflowTaskCompleted).EventId;
        await server.Client.Connection.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = "default",
            WorkflowExecution = new() { WorkflowId = options.Id },
            WorkflowTaskFinishEventId = at,
            Reason = "try again",
            RequestId = Guid.NewGuid().ToString(),
        });
        await server.Client.GetWorkflowHandle(options.Id!).TerminateAsync();
        var child = server.Client.GetWorkflowHandle($"{options.Id}-child");
        await Until.TrueAsync(async () => (await child.DescribeAsync()).Status == WorkflowExecutionStatus.Terminated);
    });

    [Workflow]
    public sealed class Parent
    {
        private bool started;

        [WorkflowRun]
        public async Task<string> RunAsync(string how, string other)
        {
            var options = new ChildWorkflowOptions { Id = $"{Workflow.Info.WorkflowId}-child" };
            switch (how)
            {
                case "signal-external" or "cancel-external":
                    var external = Workflow.GetExternalWorkflowHandle<OtherWorkflow>(other);
                    try
                    {
                        await (how == "signal-external" ? external.SignalAsync(w => w.TellAsync("hello")) : external.CancelAsync());
                        return "done";
                    }
                    catch (ApplicationFailureException)
                    {
                        return "not found";
                    }

                case "cancel":
                    options.CancellationType = Enum.Parse<ChildWorkflowCancellationType>(other);
                    options.ParentClosePolicy = options.CancellationType == ChildWorkflowCancellationType.Abandon ? ParentClosePolicy.Abandon : ParentClosePolicy.Terminate;
                    break;
                case "timeout":
                    options.RunTimeout = TimeSpan.FromMilliseconds(100);
                    break;
                case "retry":
                    options.RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(1) };
                    break;
                case "info":
                    options.StaticSummary = "a child";
                    options.Memo = new Dictionary<string, object> { ["colour"] = "blue" };
                    break;
            }

            try
            {
                var child = await Workflow.StartChildWorkflowAsync((Child w) => w.RunAsync(how), options);
                started = true;
                return await child.GetResultAsync();
            }
            catch (ChildWorkflowFailureException e)
            {
                return e.InnerException switch
                {
                    CanceledFailureException => other == nameof(ChildWorkflowCancellationType.WaitCancellationCompleted) ? "child said no, then canceled" : "canceled",
                    TimeoutFailureException => "Timeout",
                    TerminatedFailureException => "terminated",
                    _ => $"{e.RetryState}: {e.InnerException!.Message}",
                };
            }
        }

        [WorkflowQuery]
        public bool HasChild() => started;
    }

    [Workflow]
    public sealed class Child
    {
        private bool leave;

        [WorkflowRun]
        public async Task<string> RunAsync(string how)
        {
            switch (how)
            {
                case "fail" or "retry" when Workflow.Info.Attempt == 1:
                    throw new ApplicationFailureException("child failed");
                case "continue" when Workflow.Info.ContinuedRunId is null:
                    throw Workflow.CreateContinueAsNewException((Child w) => w.RunAsync(how));
                case "info":
                    var info = Workflow.Info;
                    return $"{info.Parent!.WorkflowId} {info.Parent.RunId} root {info.Root!.WorkflowId} summary kept";
                case "timeout":
                    await Workflow.WaitConditionAsync(() => false);
                    break;
                case "cancel" or "wait":
                    await Workflow.WaitConditionAsync(() => leave);
                    break;
            }

            return "completed";
        }

        [WorkflowSignal]
        public Task LeaveAsync()
        {
            leave = true;
            return Task.CompletedTask;
        }
    }

    [Workflow]
    public sealed class OtherWorkflow
    {
        private string? told;

        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            await Workflow.WaitConditionAsync(() => told is not null);
            return $"got {told}";
        }

        [WorkflowSignal]
        public Task TellAsync(string what)
        {
            told = what;
            return Task.CompletedTask;
        }
    }

    [Workflow]
    public sealed class ParentOfReset
    {
        private bool started;
        private int pokes;

        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            await Workflow.DelayAsync(1);
            var child = await Workflow.StartChildWorkflowAsync((Child w) => w.RunAsync("wait"), new() { Id = $"{Workflow.Info.WorkflowId}-child" });
            started = true;
            return $"{await child.GetResultAsync()} after {pokes}";
        }

        [WorkflowSignal]
        public Task PokeAsync()
        {
            pokes++;
            return Task.CompletedTask;
        }

        [WorkflowQuery]
        public bool HasChild() => started;

        [WorkflowQuery]
        public int Pokes() => pokes;
    }
}
