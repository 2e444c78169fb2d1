using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 15: virtual time. Each test owns its server, because the clock belongs to the whole server.</summary>
public sealed class S15_TimeSkipping : IAsyncLifetime
{
    private TemporalDevServer server = null!;
    private TemporalClient client = null!;
    private RawWorker worker = null!;

    private TestService Clock => client.Connection.TestService;

    public async ValueTask InitializeAsync()
    {
        server = await TemporalDevServer.StartAsync(new ServerOptions { IsTestServer = true });
        client = await TemporalClient.ConnectAsync(new(server.Address));
        worker = new RawWorker(client);
    }

    public ValueTask DisposeAsync() => server.DisposeAsync();

    private async Task<DateTime> NowAsync() => (await Clock.GetCurrentTimeAsync(new())).Time.ToDateTime();

    [Fact]
    public async Task S15_2_The_clock_is_locked_at_first_and_one_unlock_too_many_is_an_error()
    {
        await Clock.UnlockTimeSkippingAsync(new());
        await RpcAssert.FailsAsync(RpcException.StatusCode.FailedPrecondition, () => Clock.UnlockTimeSkippingAsync(new()));
        await Clock.LockTimeSkippingAsync(new());
        await Clock.UnlockTimeSkippingAsync(new());
    }

    [Fact]
    public async Task S15_2_An_unlocked_clock_jumps_to_the_next_timer_and_stops_there()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t1", 3600), Commands.Timer("t2", 7200));
        var before = await NowAsync();
        await Clock.UnlockTimeSkippingAsync(new());
        var task = await worker.PollAsync();
        Assert.Equal("t1", task.History.Events.Single(e => e.EventType == EventType.TimerFired).TimerFiredEventAttributes.TimerId);
        var passed = await NowAsync() - before;
        Assert.InRange(passed, TimeSpan.FromSeconds(3595), TimeSpan.FromSeconds(3660));
        await worker.CompleteAsync(task);
        Assert.Equal(2, (await worker.PollAsync()).History.Events.Count(e => e.EventType == EventType.TimerFired));
    }

    [Fact]
    public async Task S15_2_A_started_workflow_task_holds_the_clock()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 3600));
        await worker.SignalAsync("wake");
        var task = await worker.PollAsync();
        var before = await NowAsync();
        await Clock.UnlockTimeSkippingAsync(new());
        Assert.True(await NowAsync() - before < TimeSpan.FromMinutes(1));
        await worker.CompleteAsync(task);
        Assert.Contains((await worker.PollAsync()).History.Events, e => e.EventType == EventType.TimerFired);
    }

    [Fact]
    public async Task S15_2_A_running_activity_holds_the_clock_and_one_that_waits_for_its_retry_does_not()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(
            await worker.PollAsync(),
            Commands.Activity(worker, "a", a =>
            {
                a.StartToCloseTimeout = RawWorker.Seconds(7200);
                a.RetryPolicy = new() { InitialInterval = RawWorker.Seconds(3600) };
            }));
        await Clock.UnlockTimeSkippingAsync(new());
        var before = await NowAsync();
        var first = await worker.PollActivityAsync();
        Assert.True(await NowAsync() - before < TimeSpan.FromMinutes(1));
        await worker.FailActivityAsync(first);
        var second = await worker.PollActivityAsync();
        Assert.InRange(await NowAsync() - before, TimeSpan.FromSeconds(3595), TimeSpan.FromSeconds(3660));
        await worker.CompleteActivityAsync(second);
    }

    [Fact]
    public async Task S15_2_An_activity_that_sleeps_releases_its_own_hold()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(
            await worker.PollAsync(),
            Commands.Activity(worker, "a", a =>
            {
                a.StartToCloseTimeout = RawWorker.Seconds(7200);
                a.HeartbeatTimeout = RawWorker.Seconds(60);
                a.RetryPolicy = new() { MaximumAttempts = 1 };
            }));
        await worker.PollActivityAsync();
        await Clock.UnlockTimeSkippingAsync(new());
        await Clock.UnlockTimeSkippingWithSleepAsync(new() { Duration = RawWorker.Seconds(600) });
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(EventType.ActivityTaskTimedOut));
        var timedOut = (await worker.HistoryAsync()).Single(e => e.EventType == EventType.ActivityTaskTimedOut).ActivityTaskTimedOutEventAttributes;
        Assert.Equal(TimeoutType.Heartbeat, timedOut.Failure.TimeoutFailureInfo.TimeoutType);
    }

    [Fact]
    public async Task S15_2_A_sleep_locks_the_clock_again_when_it_ends()
    {
        var before = await NowAsync();
        await Clock.UnlockTimeSkippingWithSleepAsync(new() { Duration = RawWorker.Seconds(3600) });
        Assert.InRange(await NowAsync() - before, TimeSpan.FromSeconds(3600), TimeSpan.FromSeconds(3660));
        await Clock.UnlockTimeSkippingAsync(new());
        await RpcAssert.FailsAsync(RpcException.StatusCode.FailedPrecondition, () => Clock.UnlockTimeSkippingAsync(new()));
    }

    [Fact]
    public async Task S15_2_Sleeping_until_a_moment_takes_virtual_time()
    {
        var target = await NowAsync() + TimeSpan.FromHours(2);
        var sleep = Clock.SleepUntilAsync(new() { Timestamp = Timestamp.FromDateTime(target) });
        await Clock.UnlockTimeSkippingAsync(new());
        await sleep;
        Assert.True(await NowAsync() >= target);
    }

    [Fact]
    public async Task S15_2_With_nothing_to_wait_for_the_clock_runs_with_real_time()
    {
        await Clock.UnlockTimeSkippingAsync(new());
        var before = await NowAsync();
        Assert.InRange(await NowAsync() - before, TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task S15_2_A_cancelled_timer_does_not_draw_the_clock_on()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("far", 86_400 * 30), Commands.Timer("near", 60));
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelTimer("far"));
        var before = await NowAsync();
        await Clock.UnlockTimeSkippingAsync(new());
        await worker.CompleteAsync(await worker.PollAsync());
        Assert.InRange(await NowAsync() - before, TimeSpan.FromSeconds(55), TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task S15_4_Months_of_timers_pass_in_order()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), [.. Enumerable.Range(1, 500).Select(i => Commands.Timer($"t{i}", 3600.0 * i))]);
        await Clock.UnlockTimeSkippingAsync(new());
        var fired = 0;
        while (fired < 500)
        {
            var task = await worker.PollAsync();
            fired = (await worker.EventTypesAsync()).Count(t => t == EventType.TimerFired);
            await worker.CompleteAsync(task, fired < 500 ? [] : [Commands.Complete()]);
        }

        var order = (await worker.HistoryAsync()).Where(e => e.EventType == EventType.TimerFired).Select(e => e.TimerFiredEventAttributes.TimerId);
        Assert.Equal(Enumerable.Range(1, 500).Select(i => $"t{i}"), order);
    }

    [Fact]
    public async Task S04_4_A_developer_server_has_no_test_service()
    {
        await using var developer = await TemporalDevServer.StartAsync(new ServerOptions(), TestContext.Current.CancellationToken);
        var other = await TemporalClient.ConnectAsync(new(developer.Address));
        await RpcAssert.FailsAsync(RpcException.StatusCode.Unimplemented, () => other.Connection.TestService.GetCurrentTimeAsync(new()));
    }
}
