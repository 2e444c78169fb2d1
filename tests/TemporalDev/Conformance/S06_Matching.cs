using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 6: task queues and long polls.</summary>
[Collection(nameof(DevServer))]
public sealed class S06_Matching(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    [Fact]
    public async Task S06_An_idle_poll_answers_empty_before_its_deadline()
    {
        var task = await worker.TryPollAsync(TimeSpan.FromSeconds(1));
        Assert.True(task.TaskToken.IsEmpty);
        var activity = await worker.PollActivityAsync(TimeSpan.FromSeconds(1));
        Assert.True(activity.TaskToken.IsEmpty);
    }

    [Fact]
    public async Task S06_A_parked_poll_gets_the_task_of_a_later_start()
    {
        var poll = worker.PollAsync();
        await worker.StartAsync();
        Assert.Equal(worker.RunId, (await poll).WorkflowExecution.RunId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_A_task_of_a_terminated_run_is_never_handed_out()
    {
        await worker.StartAsync();
        await worker.TerminateAsync();
        Assert.True((await worker.TryPollAsync(TimeSpan.FromSeconds(1))).TaskToken.IsEmpty);
    }

    [Fact]
    public async Task S06_An_activity_cancelled_in_its_queue_is_never_handed_out()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a"));
        await worker.SignalAsync("wake");
        var scheduled = (await worker.HistoryAsync()).Single(e => e.EventType == EventType.ActivityTaskScheduled);
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelActivity(scheduled.EventId));
        var activity = await worker.PollActivityAsync(TimeSpan.FromSeconds(1));
        Assert.True(activity.TaskToken.IsEmpty);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_A_poller_that_has_gone_leaves_its_task_to_the_next()
    {
        using (var gone = new CancellationTokenSource())
        {
            var poll = worker.Service.PollWorkflowTaskQueueAsync(
                new() { Namespace = RawWorker.Namespace, TaskQueue = worker.TaskQueue, Identity = "gone" },
                new RpcOptions { CancellationToken = gone.Token });
            await Until.TrueAsync(async () => (await DescribeQueueAsync()).Pollers.Any(p => p.Identity == "gone"));
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<Exception>(() => poll);
        }

        // The client says that it has gone when it gets round to it; a call that was made and answered since then came after that.
        await DescribeQueueAsync();

        // A task that was lost with its poller would come again only after its timeout, which is longer than a poll.
        await worker.StartAsync(r => r.WorkflowTaskTimeout = RawWorker.Seconds(100));
        await worker.PollAsync();
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_The_queue_remembers_its_pollers_and_counts_what_waits()
    {
        await worker.TryPollAsync(TimeSpan.FromSeconds(1));
        Assert.Contains((await DescribeQueueAsync()).Pollers, p => p.Identity == "raw-worker");
        await worker.StartAsync();
        await Until.TrueAsync(async () => (await DescribeQueueAsync()).Stats.ApproximateBacklogCount == 1);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_The_queue_wide_rate_limit_slows_activities_down()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), [.. Enumerable.Range(0, 4).Select(i => Commands.Activity(worker, $"a{i}"))]);
        var starts = new List<DateTime>();
        for (var i = 0; i < 4; i++)
        {
            var task = await worker.Service.PollActivityTaskQueueAsync(new()
            {
                Namespace = RawWorker.Namespace,
                TaskQueue = worker.TaskQueue,
                Identity = "raw-worker",
                TaskQueueMetadata = new() { MaxTasksPerSecond = 2 },
            });
            starts.Add(task.StartedTime.ToDateTime());
        }

        // At two a second with a burst of two, the last two cannot come at once.
        Assert.True(starts[3] - starts[0] > TimeSpan.FromMilliseconds(400), $"four activities started within {starts[3] - starts[0]}");
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_A_more_urgent_task_overtakes()
    {
        var urgent = new RawWorker(server.Client);
        await worker.StartAsync(r => r.Priority = new() { PriorityKey = 5 });
        await worker.CompleteAsync(
            await worker.PollAsync(),
            Commands.Activity(worker, "late", a => a.Priority = new() { PriorityKey = 5 }),
            Commands.Activity(worker, "early", a => a.Priority = new() { PriorityKey = 1 }));
        Assert.Equal("early", (await worker.PollActivityAsync()).ActivityId);
        Assert.Equal("late", (await worker.PollActivityAsync()).ActivityId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_1_Waiting_for_the_close_gives_the_close_event_alone()
    {
        await worker.StartAsync();
        var wait = worker.Service.GetWorkflowExecutionHistoryAsync(CloseRequest());
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        var answer = await wait;
        Assert.Equal(EventType.WorkflowExecutionCompleted, Assert.Single(answer.History.Events).EventType);
        Assert.True(answer.NextPageToken.IsEmpty);
    }

    [Fact]
    public async Task S06_1_An_unfinished_wait_answers_empty_with_a_token_that_pins_the_run()
    {
        await worker.StartAsync();
        var request = CloseRequest();
        request.Execution.RunId = "";
        var answer = await worker.Service.GetWorkflowExecutionHistoryAsync(request, new() { Timeout = TimeSpan.FromSeconds(2) });
        Assert.NotNull(answer.History);
        Assert.Empty(answer.History.Events);
        Assert.False(answer.NextPageToken.IsEmpty);

        // A new run of the same id does not divert a caller who has the token.
        await worker.TerminateAsync();
        await worker.StartAsync();
        request.NextPageToken = answer.NextPageToken;
        var close = await worker.Service.GetWorkflowExecutionHistoryAsync(request);
        Assert.Equal(EventType.WorkflowExecutionTerminated, Assert.Single(close.History.Events).EventType);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S06_1_Waiting_for_any_event_streams_the_history()
    {
        await worker.StartAsync();
        var request = CloseRequest();
        request.HistoryEventFilterType = HistoryEventFilterType.AllEvent;
        var first = await worker.Service.GetWorkflowExecutionHistoryAsync(request);
        Assert.Equal(2, first.History.Events.Count);
        Assert.False(first.NextPageToken.IsEmpty);
        request.NextPageToken = first.NextPageToken;
        var next = worker.Service.GetWorkflowExecutionHistoryAsync(request);
        await worker.SignalAsync("s");
        Assert.Equal(EventType.WorkflowExecutionSignaled, (await next).History.Events[0].EventType);
        await worker.TerminateAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public async Task S06_1_Pages_of_any_size_make_the_same_history(int size)
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Marker("m1"), Commands.Marker("m2"), Commands.Timer("t", 60), Commands.Complete());
        var whole = await worker.HistoryAsync();
        Assert.Equal(whole, await worker.HistoryAsync(pageSize: size));
        Assert.Equal(Enumerable.Range(1, whole.Count), whole.Select(e => (int)e.EventId));
    }

    [Fact]
    public async Task S06_1_A_history_reads_backwards_too()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Marker("m"), Commands.Complete());
        var forward = await worker.HistoryAsync();
        var backward = new List<Temporalio.Api.History.V1.HistoryEvent>();
        var token = Google.Protobuf.ByteString.Empty;
        do
        {
            var page = await worker.Service.GetWorkflowExecutionHistoryReverseAsync(new()
            {
                Namespace = RawWorker.Namespace,
                Execution = worker.Execution,
                MaximumPageSize = 2,
                NextPageToken = token,
            });
            backward.AddRange(page.History.Events);
            token = page.NextPageToken;
        }
        while (!token.IsEmpty);
        Assert.Equal(forward.Reverse(), backward);
    }

    [Theory]
    [InlineData("continue", EventType.WorkflowExecutionContinuedAsNew)]
    [InlineData("retry", EventType.WorkflowExecutionFailed)]
    public async Task S06_1_The_close_event_names_the_run_that_follows(string how, EventType close)
    {
        await worker.StartAsync(r => r.RetryPolicy = how == "retry" ? new() { InitialInterval = RawWorker.Seconds(60) } : null);
        await worker.CompleteAsync(await worker.PollAsync(), how == "retry" ? Commands.Fail() : Commands.ContinueAsNew());
        var last = (await worker.HistoryAsync())[^1];
        Assert.Equal(close, last.EventType);
        var next = last.WorkflowExecutionContinuedAsNewEventAttributes?.NewExecutionRunId ?? last.WorkflowExecutionFailedEventAttributes.NewExecutionRunId;
        Assert.Equal(next, (await worker.DescribeAsync()).WorkflowExecutionInfo.Execution.RunId);
        await worker.TerminateAsync();
    }

    private Temporalio.Api.WorkflowService.V1.GetWorkflowExecutionHistoryRequest CloseRequest() => new()
    {
        Namespace = RawWorker.Namespace,
        Execution = worker.Execution,
        WaitNewEvent = true,
        HistoryEventFilterType = HistoryEventFilterType.CloseEvent,
    };

    private Task<Temporalio.Api.WorkflowService.V1.DescribeTaskQueueResponse> DescribeQueueAsync() => worker.Service.DescribeTaskQueueAsync(new()
    {
        Namespace = RawWorker.Namespace,
        TaskQueue = worker.TaskQueue,
        TaskQueueType = TaskQueueType.Workflow,
        ReportStats = true,
    });
}
