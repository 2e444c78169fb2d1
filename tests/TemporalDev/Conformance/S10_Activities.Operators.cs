using Temporalio.Api.Enums.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Activities that an operator pauses, resets and changes.</summary>
public sealed partial class S10_Activities
{
    [Fact]
    public async Task S10_A_paused_activity_tells_its_worker_and_is_not_tried_again_before_it_goes_on()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1), MaximumAttempts = 1 });
        var first = await worker.PollActivityAsync();
        await worker.Service.PauseActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Id = "a", Reason = "look first", Identity = "operator" });
        Assert.True((await HeartbeatAsync(first)).ActivityPaused);
        Assert.Equal(PendingActivityState.PauseRequested, Assert.Single((await worker.DescribeAsync()).PendingActivities).State);
        await worker.FailActivityAsync(first);
        var paused = Assert.Single((await worker.DescribeAsync()).PendingActivities);
        Assert.True(paused.Paused);
        Assert.Equal("look first", paused.PauseInfo.Manual.Reason);
        Assert.True((await worker.PollActivityAsync(TimeSpan.FromSeconds(1))).TaskToken.IsEmpty);
        await worker.Service.UnpauseActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Type = "act" });
        var second = await worker.PollActivityAsync();
        Assert.Equal(2, second.Attempt);
        await worker.CompleteActivityAsync(second);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_A_reset_activity_begins_again_with_its_first_attempt()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        await worker.FailActivityAsync(await worker.PollActivityAsync());
        var second = await worker.PollActivityAsync();
        Assert.Equal(2, second.Attempt);
        await worker.Service.ResetActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Id = "a", ResetHeartbeat = true });
        Assert.True((await HeartbeatAsync(second)).ActivityReset);
        await worker.FailActivityAsync(second);
        var again = await worker.PollActivityAsync();
        Assert.Equal(1, again.Attempt);
        Assert.Null(again.HeartbeatDetails);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteActivityAsync(second));
        await worker.CompleteActivityAsync(again);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_A_worker_hears_of_a_pause_and_of_a_reset_together()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(0.1) });
        var first = await worker.PollActivityAsync();
        await worker.Service.PauseActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Id = "a" });
        await worker.Service.ResetActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Id = "a" });
        var answer = await HeartbeatAsync(first);
        Assert.True(answer.ActivityPaused);
        Assert.True(answer.ActivityReset);
        await worker.FailActivityAsync(first);
        var paused = Assert.Single((await worker.DescribeAsync()).PendingActivities);
        Assert.Equal(PendingActivityState.Paused, paused.State);
        Assert.Null(paused.NextAttemptScheduleTime);
        Assert.Null(paused.CurrentRetryInterval);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S10_Changed_options_apply_to_the_next_attempt()
    {
        await ScheduleAsync(a => a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(3600) });
        await worker.FailActivityAsync(await worker.PollActivityAsync());
        var answer = await worker.Service.UpdateActivityOptionsAsync(new()
        {
            Namespace = RawWorker.Namespace,
            Execution = worker.Execution,
            Id = "a",
            ActivityOptions = new() { StartToCloseTimeout = RawWorker.Seconds(77) },
            UpdateMask = new() { Paths = { "start_to_close_timeout" } },
        });
        Assert.Equal(77, answer.ActivityOptions.StartToCloseTimeout.Seconds);
        Assert.Equal(3600, answer.ActivityOptions.RetryPolicy.InitialInterval.Seconds);
        await worker.Service.ResetActivityAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, Id = "a" });
        var task = await worker.PollActivityAsync();
        Assert.Equal(77, task.StartToCloseTimeout.Seconds);
        await worker.CompleteActivityAsync(task);
        await worker.TerminateAsync();
    }
}
