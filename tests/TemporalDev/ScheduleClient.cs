using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.TestService.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;
using Temporalio.Common;
using Temporalio.Converters;
using Temporalio.Exceptions;
using static SnapshotFlow.Tests.TemporalDev.VisibilityServer;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>Schedules as the stock client sees them.</summary>
public class ScheduleClient
{
    [Fact]
    public async Task A_schedule_is_described_as_it_was_created()
    {
        await using var server = await StartAsync();
        var action = ScheduleActionStartWorkflow.Create(
            (Note note) => note.RunAsync("x"),
            new WorkflowOptions("note", Queue) { RunTimeout = TimeSpan.FromHours(1), RetryPolicy = new() { MaximumAttempts = 20 }, Memo = new Dictionary<string, object> { ["a"] = "b" } });
        var schedule = new Schedule(
            action,
            new ScheduleSpec
            {
                Calendars =
                [
                    new ScheduleCalendarSpec
                    {
                        Second = [new ScheduleRange(1)],
                        Minute = [new ScheduleRange(2, 3)],
                        Hour = [new ScheduleRange(4, 5, 6)],
                        DayOfMonth = [new ScheduleRange(7)],
                        Month = [new ScheduleRange(9)],
                        Year = [new ScheduleRange(2080)],
                        Comment = "comment",
                    },
                ],
                Intervals = [new ScheduleIntervalSpec(TimeSpan.FromDays(10), TimeSpan.FromDays(2))],
                CronExpressions = ["0 12 * * MON"],
                Skip = [new ScheduleCalendarSpec { Year = [new ScheduleRange(2050)] }],
                StartAt = new DateTime(2060, 7, 8, 9, 10, 11, DateTimeKind.Utc),
                Jitter = TimeSpan.FromSeconds(80),
                TimeZoneName = "Europe/Berlin",
            })
        {
            Policy = new SchedulePolicy { Overlap = ScheduleOverlapPolicy.BufferOne, CatchupWindow = TimeSpan.FromMinutes(5), PauseOnFailure = true },
            State = new ScheduleState { Note = "note", Paused = true, RemainingActions = 30 },
        };
        var handle = await server.Client.CreateScheduleAsync("s", schedule, new ScheduleOptions { Memo = new Dictionary<string, object> { ["k"] = "v" } });

        var described = await handle.DescribeAsync();

        Assert.Equal("v", await described.Memo["k"].ToValueAsync<string>());
        Assert.Equal(schedule.Policy, described.Schedule.Policy);
        Assert.Equal(schedule.State, described.Schedule.State);
        var spec = described.Schedule.Spec;
        Assert.Empty(spec.CronExpressions);
        Assert.Equal(schedule.Spec.Intervals, spec.Intervals);
        Assert.Equal(schedule.Spec.StartAt, spec.StartAt);
        Assert.Equal(schedule.Spec.Jitter, spec.Jitter);
        Assert.Equal("Europe/Berlin", spec.TimeZoneName);
        Assert.Equal(2, spec.Calendars.Count);
        Assert.Equal(schedule.Spec.Calendars.First().Hour, spec.Calendars.First().Hour);
        var cron = spec.Calendars.Last();
        Assert.Equal([new ScheduleRange(12)], cron.Hour);
        Assert.Equal([new ScheduleRange(1, 31)], cron.DayOfMonth);
        Assert.Equal([new ScheduleRange(1)], cron.DayOfWeek);
        Assert.Empty(cron.Year);
        var described1 = Assert.IsType<ScheduleActionStartWorkflow>(described.Schedule.Action);
        Assert.Equal("Note", described1.Workflow);
        Assert.Equal(TimeSpan.FromHours(1), described1.Options.RunTimeout);
        Assert.Equal((20, TimeSpan.FromSeconds(100)), (described1.Options.RetryPolicy!.MaximumAttempts, described1.Options.RetryPolicy.MaximumInterval));
        Assert.Equal("x", await Assert.IsType<EncodedRawValue>(described1.Args.Single()).ToValueAsync<string>());
        Assert.All(described.Info.NextActionTimes, time => Assert.True(time.Year >= 2060));
        Assert.Null(described.Info.LastUpdatedAt);
    }

    [Fact]
    public async Task An_update_replaces_pause_and_unpause_leave_a_note_and_an_id_is_taken_once()
    {
        await using var server = await StartAsync();
        var handle = await server.Client.CreateScheduleAsync("s", Paused("x"));
        await handle.UpdateAsync(input =>
        {
            ((ScheduleActionStartWorkflow)input.Description.Schedule.Action).Options.TaskTimeout = TimeSpan.FromMinutes(7);
            return new ScheduleUpdate(input.Description.Schedule);
        });
        var described = await handle.DescribeAsync();
        Assert.Equal(TimeSpan.FromMinutes(7), ((ScheduleActionStartWorkflow)described.Schedule.Action).Options.TaskTimeout);
        var updated = described.Info.LastUpdatedAt;
        Assert.NotNull(updated);
        await handle.UpdateAsync(_ => (ScheduleUpdate?)null);
        Assert.Equal(updated, (await handle.DescribeAsync()).Info.LastUpdatedAt);

        await handle.UnpauseAsync();
        Assert.Equal((false, "Unpaused via .NET SDK"), await StateAsync());
        await handle.PauseAsync("maintenance");
        Assert.Equal((true, "maintenance"), await StateAsync());

        await Assert.ThrowsAsync<ScheduleAlreadyRunningException>(() => server.Client.CreateScheduleAsync("s", Paused("y")));
        await handle.DeleteAsync();
        var gone = await Assert.ThrowsAsync<RpcException>(() => handle.DescribeAsync());
        Assert.Equal(RpcException.StatusCode.NotFound, gone.Code);
        await server.Client.CreateScheduleAsync("s", Paused("y"));

        async Task<(bool, string?)> StateAsync()
        {
            var state = (await handle.DescribeAsync()).Schedule.State;
            return (state.Paused, state.Note);
        }
    }

    [Fact]
    public async Task A_trigger_runs_the_workflow_at_once()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            var handle = await server.Client.CreateScheduleAsync("s", Paused("done"), new ScheduleOptions { TriggerImmediately = true });
            var info = (await handle.DescribeAsync()).Info;
            Assert.Equal(1, info.NumActions);
            var action = Assert.IsType<ScheduleActionExecutionStartWorkflow>(info.RecentActions.Single().Action);
            Assert.Equal("done", await server.Client.GetWorkflowHandle(action.WorkflowId, action.FirstExecutionRunId).GetResultAsync<string>());
            Assert.Equal([action.WorkflowId], await server.IdsAsync("TemporalScheduledById = 's'"));
        });
    }

    [Fact]
    public async Task Triggers_within_the_same_second_each_run_the_workflow_and_see_the_last_result()
    {
        await using var server = await StartAsync();
        await server.WithWorkerAsync(async () =>
        {
            var handle = await server.Client.CreateScheduleAsync("s", Paused("done"));
            for (var i = 1; i <= 3; i++)
            {
                await handle.TriggerAsync();
                var info = (await handle.DescribeAsync()).Info;
                Assert.Equal(i, info.NumActions);
                var action = Assert.IsType<ScheduleActionExecutionStartWorkflow>(info.RecentActions.Last().Action);
                var result = await server.Client.GetWorkflowHandle(action.WorkflowId, action.FirstExecutionRunId).GetResultAsync<string>();
                Assert.Equal(string.Join(' ', Enumerable.Repeat("done", i)), result);
                await Until.TrueAsync(async () => (await handle.DescribeAsync()).Info.RunningActions.Count == 0);
            }

            Assert.Equal(3, (await server.Client.CountWorkflowsAsync("TemporalScheduledById = 's' AND ExecutionStatus = 'Completed'")).Count);
        });
    }

    [Fact]
    public async Task A_backfill_takes_each_time_of_its_range_once()
    {
        await using var server = await StartAsync();
        var minute = DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 60 * 60).UtcDateTime;
        var schedule = Paused("x") with { Spec = new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(TimeSpan.FromMinutes(1))] } };
        var handle = await server.Client.CreateScheduleAsync("s", schedule, new ScheduleOptions
        {
            Backfills = [new ScheduleBackfill(minute.AddMinutes(-10).AddSeconds(-1), minute.AddMinutes(-9), ScheduleOverlapPolicy.AllowAll)],
        });
        Assert.Equal(2, (await handle.DescribeAsync()).Info.NumActions);

        await handle.BackfillAsync(
        [
            new ScheduleBackfill(minute.AddMinutes(-4), minute.AddMinutes(-2), ScheduleOverlapPolicy.AllowAll),
            new ScheduleBackfill(minute.AddMinutes(-2), minute, ScheduleOverlapPolicy.AllowAll),
        ]);
        Assert.Equal(7, (await handle.DescribeAsync()).Info.NumActions);
    }

    [Fact]
    public async Task Lists_are_filtered_by_search_attributes_which_an_update_replaces()
    {
        await using var server = await StartAsync();
        var red = new SearchAttributeCollection.Builder().Set(Project, "red").Set(Attempts, 12).ToSearchAttributeCollection();
        var options = new ScheduleOptions { TypedSearchAttributes = red };
        await server.Client.CreateScheduleAsync("s0", Paused("x"));
        var first = await server.Client.CreateScheduleAsync("s1", Paused("x"), options);
        var second = await server.Client.CreateScheduleAsync("s2", Paused("x"), options);
        Assert.Equal(["s0", "s1", "s2"], await IdsAsync(null));
        Assert.Equal(["s1", "s2"], await IdsAsync("Project = 'red'"));

        await first.UpdateAsync(input => new ScheduleUpdate(input.Description.Schedule)
        {
            TypedSearchAttributes = new SearchAttributeCollection.Builder(input.Description.TypedSearchAttributes).Set(Project, "blue").ToSearchAttributeCollection(),
        });
        await second.UpdateAsync(input => new ScheduleUpdate(input.Description.Schedule) { TypedSearchAttributes = SearchAttributeCollection.Empty });
        Assert.Empty(await IdsAsync("Project = 'red'"));
        Assert.Equal(["s1"], await IdsAsync("Attempts = 12"));

        await first.UpdateAsync(input => new ScheduleUpdate(input.Description.Schedule)
        {
            TypedSearchAttributes = new SearchAttributeCollection.Builder().Set(Project, "green").ToSearchAttributeCollection(),
        });
        Assert.Empty(await IdsAsync("Attempts = 12"));
        Assert.Equal(["s0", "s1", "s2"], await IdsAsync(null));

        async Task<List<string>> IdsAsync(string? query)
        {
            var ids = new List<string>();
            await foreach (var listed in server.Client.ListSchedulesAsync(new ScheduleListOptions { Query = query }))
            {
                Assert.Equal("Note", Assert.IsType<ScheduleListActionStartWorkflow>(listed.Schedule!.Action).Workflow);
                ids.Add(listed.Id);
            }

            ids.Sort(StringComparer.Ordinal);
            return ids;
        }
    }

    [Fact]
    public async Task Three_days_of_a_daily_schedule_pass_in_a_moment_and_each_run_sees_the_last_result()
    {
        await using var server = await StartAsync(skipsTime: true);
        await server.WithWorkerAsync(async () =>
        {
            var schedule = new Schedule(Action("x"), new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(TimeSpan.FromDays(1))] });
            var handle = await server.Client.CreateScheduleAsync("s", schedule);
            await SkipAsync(server, TimeSpan.FromDays(3));

            var info = (await handle.DescribeAsync()).Info;
            Assert.Equal(3, info.NumActions);
            Assert.Equal(0, info.NumActionsSkippedOverlap);
            var last = Assert.IsType<ScheduleActionExecutionStartWorkflow>(info.RecentActions.Last().Action);
            Assert.Equal("x x x", await server.Client.GetWorkflowHandle(last.WorkflowId).GetResultAsync<string>());
        });
    }

    [Fact]
    public async Task A_failed_action_pauses_the_schedule()
    {
        await using var server = await StartAsync(skipsTime: true);
        await server.WithWorkerAsync(async () =>
        {
            var schedule = new Schedule(Action("fail"), new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(TimeSpan.FromDays(1))] })
            {
                Policy = new SchedulePolicy { PauseOnFailure = true },
            };
            var handle = await server.Client.CreateScheduleAsync("s", schedule);
            await SkipAsync(server, TimeSpan.FromDays(5));

            var described = await handle.DescribeAsync();
            Assert.Equal(1, described.Info.NumActions);
            Assert.True(described.Schedule.State.Paused);
            Assert.Contains("as asked", described.Schedule.State.Note, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData(ScheduleOverlapPolicy.CancelOther, WorkflowExecutionStatus.Canceled)]
    [InlineData(ScheduleOverlapPolicy.TerminateOther, WorkflowExecutionStatus.Terminated)]
    public async Task An_action_ends_the_one_before_when_its_policy_says_so(ScheduleOverlapPolicy policy, WorkflowExecutionStatus ended)
    {
        await using var server = await StartAsync(skipsTime: true);
        await server.WithWorkerAsync(async () =>
        {
            var schedule = new Schedule(
                ScheduleActionStartWorkflow.Create((Wait wait) => wait.RunAsync(), new WorkflowOptions("wait", Queue)),
                new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(TimeSpan.FromDays(1))] })
            {
                Policy = new SchedulePolicy { Overlap = policy },
            };
            var handle = await server.Client.CreateScheduleAsync("s", schedule);
            // An action that waits for the end of the one before must not be overtaken by time, each time anew.
            await SkipAsync(server, TimeSpan.FromDays(20));

            // The last action may be due when the skip ends, and is made right after.
            await Sdk.Until.TrueAsync(async () => (await handle.DescribeAsync()).Info is { NumActions: 20, RunningActions.Count: 1 });
            var info = (await handle.DescribeAsync()).Info;
            Assert.Equal(20, info.NumActions);
            Assert.Single(info.RunningActions);
            Assert.Equal(19, (await server.Client.CountWorkflowsAsync($"ExecutionStatus = '{ended}'")).Count);
            Assert.Equal(1, (await server.Client.CountWorkflowsAsync("ExecutionStatus = 'Running'")).Count);
        });
    }

    [Fact]
    public async Task A_schedule_goes_on_after_a_restart_and_catches_up()
    {
        var store = new MemoryStore(retain: true);
        ScheduleActionExecutionStartWorkflow started;
        await using (var first = await StartAsync(store: store))
        {
            var handle = await first.Client.CreateScheduleAsync("s", Paused("x"), new ScheduleOptions { TriggerImmediately = true });
            started = (ScheduleActionExecutionStartWorkflow)(await handle.DescribeAsync()).Info.RunningActions.Single();
        }

        await using var second = await StartAsync(store: store);
        await second.WithWorkerAsync(async () =>
        {
            Assert.Equal("x", await second.Client.GetWorkflowHandle(started.WorkflowId, started.FirstExecutionRunId).GetResultAsync<string>());
            var handle = second.Client.GetScheduleHandle("s");
            await Until.TrueAsync(async () => (await handle.DescribeAsync()).Info.RunningActions.Count == 0);
            await handle.TriggerAsync();
            Assert.Equal(2, (await handle.DescribeAsync()).Info.NumActions);
        });
    }

    private static ScheduleActionStartWorkflow Action(string text) =>
        ScheduleActionStartWorkflow.Create((Note note) => note.RunAsync(text), new WorkflowOptions("note", Queue));

    private static Schedule Paused(string text) => new(Action(text), new ScheduleSpec()) { State = new ScheduleState { Paused = true } };

    private static Task SkipAsync(VisibilityServer server, TimeSpan time) => server.Client.Connection.TestService.UnlockTimeSkippingWithSleepAsync(
        new SleepRequest { Duration = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(time) });
}
