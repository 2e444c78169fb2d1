using SnapshotFlow.Model;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// A run is cancelled at each event of the recorded history of one that completes, while no task of it goes on unseen: between a task and its start, while a
/// worker has its answer ready, between two cuts.
/// </summary>
public sealed class CancellingAtEveryEvent(SteppedFixture fixture) : IClassFixture<SteppedFixture>
{
    private static readonly TimeSpan ToThaw = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ToEnd = TimeSpan.FromSeconds(10);

    // A process that dawdles is late every time; a machine that is busy with other things is not.
    private const int Attempts = 3;

    public static TheoryData<int, EventType> Events
    {
        get
        {
            var data = new TheoryData<int, EventType>();
            foreach (var e in Replay.ReplayingRecordedRuns.Load("completed").Events)
            {
                data.Add((int)e.EventId, e.EventType);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Events))]
    public async Task The_guest_is_thawed_within_a_second_and_the_run_ends_clean_within_ten_or_was_complete_already(int number, EventType type)
    {
        for (var attempt = 1; ; attempt++)
        {
            var cloud = fixture.Use(new());
            var history = await CancelAtAsync(cloud, number);
            AssertOutcome(cloud, history);
            var (thaw, end) = Waits(history);
            if (thaw <= ToThaw && end <= ToEnd)
            {
                return;
            }

            Assert.True(attempt < Attempts, $"cancelled at event {number} ({type}): thawed after {thaw.TotalSeconds:0.0} s, over after {end.TotalSeconds:0.0} s, {Attempts} times");
        }
    }

    private async Task<IReadOnlyList<HistoryEvent>> CancelAtAsync(FakeCloud cloud, int number)
    {
        var request = cloud.Request();
        var accepting = fixture.AcceptAsync(request);
        var run = fixture.Run(request);
        await fixture.StepAsync(run, events => events.Count >= number || IsOver(events));
        try
        {
            await run.CancelAsync();
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            // Over already.
        }

        var history = await fixture.StepAsync(run, IsOver);
        await accepting;
        return history;
    }

    private static void AssertOutcome(FakeCloud cloud, IReadOnlyList<HistoryEvent> history)
    {
        Assert.False(cloud.Frozen, "the guest is frozen");
        switch (history[^1].EventType)
        {
            case EventType.WorkflowExecutionCanceled:
                cloud.AssertNothingLeft();
                Assert.Equal(RunStatus.Cancelled, cloud.Closed!.Status);
                Assert.Empty(cloud.Closed.Leftovers);
                break;
            case EventType.WorkflowExecutionCompleted:
                Assert.Equal((3, "active", null), (cloud.Snapshots.Count, cloud.ImageStatus, cloud.TaskState));
                Assert.Contains(history, e => e.ActivityTaskScheduledEventAttributes is { ActivityType.Name: "CreateImageRecord" });
                break;
            default:
                Assert.Fail($"ended by {history[^1]}");
                break;
        }
    }

    /// <summary>Time of the history from the request to cancel until the guest was thawed, if it might have been frozen, and until the run was over.</summary>
    private static (TimeSpan Thaw, TimeSpan End) Waits(IReadOnlyList<HistoryEvent> history)
    {
        if (history.FirstOrDefault(e => e.EventType is EventType.WorkflowExecutionCancelRequested) is not { } cancel)
        {
            return default;
        }

        var thaws = history.Where(e => e.ActivityTaskScheduledEventAttributes is { ActivityType.Name: "Unquiesce" }).Select(e => e.EventId).ToHashSet();
        var thawed = history.FirstOrDefault(e => e.ActivityTaskCompletedEventAttributes is { } done && thaws.Contains(done.ScheduledEventId));
        return (thawed is null || thawed.EventId < cancel.EventId ? TimeSpan.Zero : At(thawed) - At(cancel), At(history[^1]) - At(cancel));
    }

    private static DateTime At(HistoryEvent e) => e.EventTime.ToDateTime();

    private static bool IsOver(IReadOnlyList<HistoryEvent> events) => events is [.., { EventType: EventType.WorkflowExecutionCompleted or EventType.WorkflowExecutionFailed
        or EventType.WorkflowExecutionCanceled or EventType.WorkflowExecutionTimedOut or EventType.WorkflowExecutionTerminated }];
}
