using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>
/// Runs that are under way when the workers are upgraded must go on: every recorded history replays with today's code. <c>-class "*Recording*" -explicit only</c>
/// records them anew, which is right only after a change that <see cref="Workflow.Patched"/> makes safe.
/// </summary>
public sealed class ReplayingRecordedRuns
{
    public static TheoryData<string> Histories => [.. Directory.EnumerateFiles(Folder, "*.json").Select(f => Path.GetFileNameWithoutExtension(f)!).Order(StringComparer.Ordinal)];

    internal static string Folder => Path.Combine(AppContext.BaseDirectory, "Replay", "Histories");

    [Fact]
    public void Every_branch_of_the_process_has_a_recorded_run() =>
        Assert.Equal(RecordingRuns.Branches.Keys.Order(StringComparer.Ordinal), Histories.Select(h => h.Data));

    [Theory]
    [MemberData(nameof(Histories))]
    public async Task A_recorded_run_replays_with_the_code_of_today(string history) =>
        await new WorkflowReplayer(new WorkflowReplayerOptions().AddWorkflow<CreateImageWorkflow>()).ReplayWorkflowAsync(Load(history), true, TestContext.Current.CancellationToken);

    [Fact]
    public async Task A_breaking_change_of_the_process_is_caught()
    {
        var replayer = new WorkflowReplayer(new WorkflowReplayerOptions().AddWorkflow<ReservesRecordsBeforeQuota>());

        var history = Load("completed");

        await Assert.ThrowsAsync<WorkflowNondeterminismException>(() => replayer.ReplayWorkflowAsync(history, true, TestContext.Current.CancellationToken));
    }

    internal static WorkflowHistory Load(string name) => WorkflowHistory.FromJson(name, File.ReadAllText(Path.Combine(Folder, $"{name}.json")));

    /// <summary>The process as somebody might rearrange it without thinking of runs under way.</summary>
    [Workflow("CreateImage")]
    public sealed class ReservesRecordsBeforeQuota
    {
        [WorkflowRun]
        public async Task<CreateImageResult> RunAsync(CreateImageInput request)
        {
            var options = new ActivityOptions { TaskQueue = Names.ControlQueue, ScheduleToCloseTimeout = TimeSpan.FromSeconds(20) };
            var prepared = await Temporalio.Workflows.Workflow.ExecuteActivityAsync((IRecordActivities a) => a.PrepareImageAsync(request), options);
            await Temporalio.Workflows.Workflow.ExecuteActivityAsync((IRecordActivities a) => a.ReserveRecordsAsync(new(request, prepared)), options);
            await Temporalio.Workflows.Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CheckQuotaAsync(new(request, prepared)), options);
            return new(RunStatus.Completed);
        }
    }
}
