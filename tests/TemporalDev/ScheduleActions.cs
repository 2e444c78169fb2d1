using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Schedules;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Schedule.V1;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.TemporalDev;

public class ScheduleActions
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Every_due_time_starts_its_own_workflow()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.AllowAll));
        await world.SkipToAsync(3 * Hour + Minute);

        Assert.Equal(["01:00", "02:00", "03:00"], world.Target.Started);
        var request = world.Target.Requests[0];
        Assert.Equal("wf-2026-01-01T01:00:00Z", request.WorkflowId);
        Assert.Equal("\"s\"", request.SearchAttributes.IndexedFields["TemporalScheduledById"].Data.ToStringUtf8());
        Assert.Equal("2026-01-01T01:00:00Z", JsonSerializer.Deserialize<string>(request.SearchAttributes.IndexedFields["TemporalScheduledStartTime"].Data.Span));
        Assert.Equal(3, world.Target.Requests.Select(r => r.RequestId).Distinct().Count());

        var info = (await world.DescribeAsync()).Info;
        Assert.Equal(3, info.ActionCount);
        Assert.Equal(3, info.RecentActions.Count);
        Assert.Equal(ScheduleWorld.Midnight + Hour, info.RecentActions[0].ScheduleTime.ToDateTimeOffset());
        Assert.Equal("wf-2026-01-01T01:00:00Z", info.RecentActions[0].StartWorkflowResult.WorkflowId);
        Assert.Equal(10, info.FutureActionTimes.Count);
        Assert.Equal(ScheduleWorld.Midnight + 4 * Hour, info.FutureActionTimes[0].ToDateTimeOffset());
    }

    [Fact]
    public async Task Only_the_last_ten_actions_are_remembered()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Minute, ScheduleOverlapPolicy.AllowAll));
        await world.SkipToAsync(15.5 * Minute);
        var info = (await world.DescribeAsync()).Info;
        Assert.Equal(15, info.ActionCount);
        Assert.Equal(10, info.RecentActions.Count);
        Assert.Equal(ScheduleWorld.Midnight + 15 * Minute, info.RecentActions[^1].ScheduleTime.ToDateTimeOffset());
    }

    [Theory]
    // The first action runs from 01:00; at 04:30 it ends. What has started by then, and what starts because it ended?
    [InlineData(ScheduleOverlapPolicy.Unspecified, "01:00", "01:00", 3, 0)]
    [InlineData(ScheduleOverlapPolicy.Skip, "01:00", "01:00", 3, 0)]
    [InlineData(ScheduleOverlapPolicy.BufferOne, "01:00", "01:00 02:00", 2, 1)]
    [InlineData(ScheduleOverlapPolicy.BufferAll, "01:00", "01:00 02:00", 0, 3)]
    [InlineData(ScheduleOverlapPolicy.CancelOther, "01:00", "01:00 04:00", 2, 3)]
    [InlineData(ScheduleOverlapPolicy.TerminateOther, "01:00 02:00 03:00 04:00", "01:00 02:00 03:00 04:00", 0, 0)]
    [InlineData(ScheduleOverlapPolicy.AllowAll, "01:00 02:00 03:00 04:00", "01:00 02:00 03:00 04:00", 0, 0)]
    public async Task Overlap_policy_decides_what_happens_while_an_action_runs(
        ScheduleOverlapPolicy policy, string before, string after, int skipped, int buffered)
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour, policy));
        await world.SkipToAsync(4.5 * Hour);
        Assert.Equal(before.Split(' '), world.Target.Started);
        Assert.Equal(buffered, (await world.DescribeAsync()).Info.BufferSize);

        await world.Target.CloseAsync(0);

        Assert.Equal(after.Split(' '), world.Target.Started);
        Assert.Equal(skipped, (await world.DescribeAsync()).Info.OverlapSkipped);
    }

    [Fact]
    public async Task Cancel_other_asks_the_running_one_to_stop_and_terminate_other_ends_it()
    {
        await using var cancelling = new ScheduleWorld();
        await cancelling.CreateAsync(ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.CancelOther));
        await cancelling.SkipToAsync(2.5 * Hour);
        Assert.Equal(["start wf-2026-01-01T01:00:00Z", "cancel wf-2026-01-01T01:00:00Z"], cancelling.Target.Log);

        await using var terminating = new ScheduleWorld();
        await terminating.CreateAsync(ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.TerminateOther));
        await terminating.SkipToAsync(2.5 * Hour);
        Assert.Equal(
            ["start wf-2026-01-01T01:00:00Z", "terminate wf-2026-01-01T01:00:00Z", "start wf-2026-01-01T02:00:00Z"], terminating.Target.Log);
    }

    [Fact]
    public async Task Buffered_actions_start_one_after_the_other_in_order()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.BufferAll));
        await world.SkipToAsync(3.5 * Hour);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(i + 1, world.Target.Started.Count);
            await world.Target.CloseAsync(i);
        }

        Assert.Equal(["01:00", "02:00", "03:00"], world.Target.Started);
    }

    [Fact]
    public async Task Actions_missed_while_the_server_was_down_are_caught_up_within_the_window()
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.AllowAll);
        schedule.Policies.CatchupWindow = Duration.FromTimeSpan(2.5 * Hour);
        await world.CreateAsync(schedule);
        await world.SkipToAsync(1.5 * Hour);
        await world.RestartAsync(downUntil: 6.25 * Hour);

        var info = (await world.DescribeAsync()).Info;
        Assert.Equal(["01:00", "04:00", "05:00", "06:00"], world.Target.Started);
        Assert.Equal(2, info.MissedCatchupWindow);
        Assert.Equal(4, info.ActionCount);
    }

    [Fact]
    public async Task A_crash_between_a_start_and_its_record_starts_nothing_twice()
    {
        await using var world = new ScheduleWorld();
        world.Target.BeforeAnswer = _ => throw new InvalidOperationException("crash");
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
            world.CreateAsync(ScheduleWorld.Every(Hour), new SchedulePatch { TriggerImmediately = new TriggerImmediatelyRequest() }));
        world.Target.BeforeAnswer = null;
        await world.RestartAsync(downUntil: TimeSpan.FromMinutes(5));

        var info = (await world.DescribeAsync()).Info;
        Assert.Equal(["00:00"], world.Target.Started);
        Assert.Equal(1, info.ActionCount);
        Assert.Single(info.RunningWorkflows);
    }

    [Fact]
    public async Task Everything_about_a_schedule_survives_a_restart()
    {
        await using var world = new ScheduleWorld();
        await world.Attributes.RegisterAsync("default", [KeyValuePair.Create("Colour", SnapshotFlow.TemporalDev.Visibility.AttributeKind.Keyword)]);
        await world.Scheduler.CreateAsync(
            new CreateScheduleRequest
            {
                Namespace = "default",
                ScheduleId = "s",
                Schedule = ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.BufferAll),
                Memo = new Memo { Fields = { ["k"] = new Payload { Data = ByteString.CopyFromUtf8("1") } } },
                SearchAttributes = new SearchAttributes { IndexedFields = { ["Colour"] = new Payload { Data = ByteString.CopyFromUtf8("\"red\"") } } },
            },
            CancellationToken.None);
        await world.SkipToAsync(1.5 * Hour);
        await world.Target.CloseAsync(0, result: "one");
        await world.SkipToAsync(4.5 * Hour);
        var before = await world.DescribeAsync();
        await world.RestartAsync(downUntil: 4.6 * Hour);

        Assert.Equal(before, await world.DescribeAsync());
        await world.Target.CloseAsync(1, WorkflowExecutionStatus.Failed, failure: "broken");
        var last = world.Target.Requests[^1];
        Assert.Equal("one", last.LastCompletionResult.Payloads_[0].Data.ToStringUtf8());
        Assert.Equal("broken", last.ContinuedFailure.Message);
    }

    [Fact]
    public async Task Triggers_and_backfills_act_although_the_schedule_is_paused()
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(Minute);
        schedule.State = new ScheduleState { Paused = true, LimitedActions = true, RemainingActions = 1 };
        await world.CreateAsync(schedule, new SchedulePatch
        {
            BackfillRequest =
            {
                new BackfillRequest
                {
                    StartTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - 10 * Minute - TimeSpan.FromSeconds(1)),
                    EndTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - 9 * Minute),
                    OverlapPolicy = ScheduleOverlapPolicy.AllowAll,
                },
            },
        });
        Assert.Equal(2, (await world.DescribeAsync()).Info.ActionCount);

        // Both ends are inclusive, and a time that was taken before is not taken twice.
        await world.PatchAsync(new SchedulePatch { BackfillRequest = { Range(4, 2), Range(2, 0) } });
        Assert.Equal(7, (await world.DescribeAsync()).Info.ActionCount);

        await world.SkipToAsync(10 * Minute);
        await world.TriggerAsync();
        var described = await world.DescribeAsync();
        Assert.Equal(8, described.Info.ActionCount);
        Assert.Equal(1, described.Schedule.State.RemainingActions);

        static BackfillRequest Range(int from, int to) => new()
        {
            StartTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - from * Minute),
            EndTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - to * Minute),
            OverlapPolicy = ScheduleOverlapPolicy.AllowAll,
        };
    }

    [Fact]
    public async Task A_backfill_larger_than_the_buffer_loses_nothing()
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(Minute);
        schedule.State = new ScheduleState { Paused = true };
        await world.CreateAsync(schedule, new SchedulePatch
        {
            BackfillRequest =
            {
                new BackfillRequest
                {
                    StartTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - 2500 * Minute),
                    EndTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight - Minute),
                    OverlapPolicy = ScheduleOverlapPolicy.AllowAll,
                },
            },
        });
        var info = (await world.DescribeAsync()).Info;
        Assert.Equal(2500, info.ActionCount);
        Assert.Equal(0, info.BufferDropped);
    }

    [Fact]
    public async Task Nothing_is_caught_up_for_the_time_of_a_pause()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour, ScheduleOverlapPolicy.AllowAll));
        await world.SkipToAsync(1.5 * Hour);
        await world.PatchAsync(new SchedulePatch { Pause = "maintenance" });
        await world.SkipToAsync(3.5 * Hour);
        Assert.Equal("maintenance", (await world.DescribeAsync()).Schedule.State.Notes);
        await world.PatchAsync(new SchedulePatch { Unpause = "done" });
        await world.SkipToAsync(4.5 * Hour);

        Assert.Equal(["01:00", "04:00"], world.Target.Started);
        Assert.Equal("done", (await world.DescribeAsync()).Schedule.State.Notes);
    }

    [Fact]
    public async Task Limited_actions_run_out_and_skipped_ones_do_not_count()
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(Hour);
        schedule.State = new ScheduleState { LimitedActions = true, RemainingActions = 2 };
        await world.CreateAsync(schedule);
        Assert.Equal(2, (await world.DescribeAsync()).Info.FutureActionTimes.Count);
        await world.SkipToAsync(3.5 * Hour);
        Assert.Equal(["01:00"], world.Target.Started);
        await world.Target.CloseAsync(0);
        await world.SkipToAsync(9.5 * Hour);

        Assert.Equal(["01:00", "04:00"], world.Target.Started);
        var described = await world.DescribeAsync();
        Assert.Equal(0, described.Schedule.State.RemainingActions);
        Assert.Empty(described.Info.FutureActionTimes);
    }

    [Theory]
    [InlineData(WorkflowExecutionStatus.Failed, true, "paused due to workflow failure: wf-2026-01-01T01:00:00Z: disk full")]
    [InlineData(WorkflowExecutionStatus.TimedOut, true, "paused due to workflow timeout: wf-2026-01-01T01:00:00Z")]
    [InlineData(WorkflowExecutionStatus.Completed, false, "")]
    [InlineData(WorkflowExecutionStatus.Canceled, false, "")]
    [InlineData(WorkflowExecutionStatus.Terminated, false, "")]
    public async Task A_failed_or_timed_out_action_pauses_a_schedule_that_asks_for_it(WorkflowExecutionStatus status, bool paused, string notes)
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(Hour);
        schedule.Policies.PauseOnFailure = true;
        await world.CreateAsync(schedule);
        await world.SkipToAsync(1.5 * Hour);
        await world.Target.CloseAsync(0, status, failure: status == WorkflowExecutionStatus.Failed ? "disk full" : null);

        var described = await world.DescribeAsync();
        Assert.Equal(paused, described.Schedule.State.Paused);
        Assert.Equal(notes, described.Schedule.State.Notes);
        Assert.Equal(status, described.Info.RecentActions[0].StartWorkflowStatus);
        Assert.Empty(described.Info.RunningWorkflows);
    }

    [Fact]
    public async Task The_next_action_sees_the_last_result_and_the_latest_failure()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour));
        await world.SkipToAsync(1.5 * Hour);
        await world.Target.CloseAsync(0, result: "first");
        await world.SkipToAsync(2.5 * Hour);
        await world.Target.CloseAsync(1, WorkflowExecutionStatus.Failed, failure: "oops");
        await world.SkipToAsync(3.5 * Hour);
        await world.Target.CloseAsync(2, result: "third");
        await world.SkipToAsync(4.5 * Hour);

        Assert.Equal([null, "first", "first", "third"], world.Target.Requests.Select(request => request.LastCompletionResult?.Payloads_[0].Data.ToStringUtf8()));
        Assert.Equal([null, null, "oops", null], world.Target.Requests.Select(request => request.ContinuedFailure?.Message));
    }

    [Fact]
    public async Task A_repeated_request_changes_nothing()
    {
        await using var world = new ScheduleWorld();
        var trigger = new SchedulePatch { TriggerImmediately = new TriggerImmediatelyRequest { OverlapPolicy = ScheduleOverlapPolicy.AllowAll } };
        var token = await world.CreateAsync(ScheduleWorld.Every(Hour), trigger);
        Assert.Equal(token, await world.CreateAsync(ScheduleWorld.Every(Hour), trigger));
        await world.SkipToAsync(10 * Minute);
        await world.PatchAsync(trigger, "r1");
        await world.SkipToAsync(11 * Minute);
        await world.PatchAsync(trigger, "r1");

        Assert.Equal(2, (await world.DescribeAsync()).Info.ActionCount);
    }

    [Fact]
    public async Task An_id_that_is_taken_is_refused_until_its_schedule_is_deleted()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour));
        var taken = await Assert.ThrowsAsync<Fault>(() => world.CreateAsync(ScheduleWorld.Every(Hour), requestId: "another"));
        Assert.Equal(StatusCode.AlreadyExists, taken.Code);

        await world.Scheduler.DeleteAsync("default", "s", CancellationToken.None);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<Fault>(world.DescribeAsync)).Code);
        await world.SkipToAsync(2 * Hour);
        Assert.Empty(world.Target.Started);
        await world.CreateAsync(ScheduleWorld.Every(Hour), requestId: "another");
    }

    [Fact]
    public async Task An_update_with_a_stale_conflict_token_is_refused()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour));
        var token = (await world.DescribeAsync()).ConflictToken;
        await world.PatchAsync(new SchedulePatch { Pause = "stop" });

        var stale = await Assert.ThrowsAsync<Fault>(() => Update(token));
        Assert.Equal(StatusCode.FailedPrecondition, stale.Code);
        Assert.True((await world.DescribeAsync()).Schedule.State.Paused);

        await Update((await world.DescribeAsync()).ConflictToken);
        var described = await world.DescribeAsync();
        Assert.Equal(Duration.FromTimeSpan(Minute), described.Schedule.Spec.Interval[0].Interval);
        Assert.NotNull(described.Info.UpdateTime);

        Task Update(ByteString conflictToken) => world.Scheduler.UpdateAsync(
            new UpdateScheduleRequest { Namespace = "default", ScheduleId = "s", Schedule = ScheduleWorld.Every(Minute), ConflictToken = conflictToken, RequestId = "u" },
            CancellationToken.None);
    }

    [Fact]
    public async Task Lists_can_be_filtered_and_paged()
    {
        await using var world = new ScheduleWorld();
        for (var i = 0; i < 5; i++)
        {
            var schedule = ScheduleWorld.Every(Hour);
            schedule.State = new ScheduleState { Paused = i % 2 == 0 };
            await world.CreateAsync(schedule, id: $"s{i}");
        }

        Assert.Equal(["s1", "s3"], List("TemporalSchedulePaused = false").Select(s => s.ScheduleId).Order());
        Assert.Equal(["s4"], List("ScheduleId = 's4'").Select(s => s.ScheduleId));
        Assert.Equal(5, List("").Count);
        await world.SkipToAsync(5.5 * Hour);
        var paused = List("ScheduleId = 's0'").Single();
        Assert.True(paused.Info.Paused);
        Assert.Equal(ScheduleWorld.Midnight + 6 * Hour, paused.Info.FutureActionTimes[0].ToDateTimeOffset());
        Assert.Equal(5, paused.Info.FutureActionTimes.Count);

        List<ScheduleListEntry> List(string query)
        {
            var found = new List<ScheduleListEntry>();
            var token = ByteString.Empty;
            do
            {
                var page = world.Scheduler.List(new ListSchedulesRequest { Namespace = "default", Query = query, MaximumPageSize = 2, NextPageToken = token });
                found.AddRange(page.Entries.Select(entry => entry.EntryAt(world.Clock.GetUtcNow())));
                token = page.NextPageToken;
            }
            while (!token.IsEmpty);
            return found;
        }
    }

    [Fact]
    public async Task Matching_times_are_those_of_the_spec_in_the_range()
    {
        await using var world = new ScheduleWorld();
        await world.CreateAsync(ScheduleWorld.Every(Hour));
        var times = await world.Scheduler.MatchingTimesAsync(
            new ListScheduleMatchingTimesRequest
            {
                Namespace = "default",
                ScheduleId = "s",
                StartTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight + 5 * Minute),
                EndTime = Timestamp.FromDateTimeOffset(ScheduleWorld.Midnight + 2 * Hour),
            },
            CancellationToken.None);
        Assert.Equal([ScheduleWorld.Midnight + Hour, ScheduleWorld.Midnight + 2 * Hour], times);
    }

    [Theory]
    [InlineData("workflow id", "WorkflowId")]
    [InlineData("type", "WorkflowType")]
    [InlineData("queue", "TaskQueue")]
    [InlineData("action", "action")]
    [InlineData("cron", "CronSchedule")]
    [InlineData("reuse", "WorkflowIdReusePolicy")]
    [InlineData("spec", "interval")]
    [InlineData("attribute", "Namespace default has no mapping defined for search attribute Colour")]
    public async Task A_schedule_that_could_not_act_is_refused(string flaw, string says)
    {
        await using var world = new ScheduleWorld();
        var schedule = ScheduleWorld.Every(flaw == "spec" ? TimeSpan.Zero : Hour);
        var action = schedule.Action.StartWorkflow;
        switch (flaw)
        {
            case "workflow id": action.WorkflowId = ""; break;
            case "type": action.WorkflowType = null; break;
            case "queue": action.TaskQueue.Name = ""; break;
            case "action": schedule.Action = null; break;
            case "cron": action.CronSchedule = "@daily"; break;
            case "reuse": action.WorkflowIdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate; break;
            case "attribute":
                action.SearchAttributes = new SearchAttributes { IndexedFields = { ["Colour"] = new Payload { Data = ByteString.CopyFromUtf8("\"red\"") } } };
                break;
        }

        var fault = await Assert.ThrowsAsync<Fault>(() => world.CreateAsync(schedule));
        Assert.Equal(StatusCode.InvalidArgument, fault.Code);
        Assert.Contains(says, fault.Message, StringComparison.Ordinal);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<Fault>(world.DescribeAsync)).Code);
    }
}
