using SnapshotFlow.Workflows;
using Temporalio.Common;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>
/// As <see cref="ReplayingRecordedRuns"/>, for the runs about single snapshots, volumes and finished images. <c>./snapshotflow histories record</c> records
/// them anew.
/// </summary>
public sealed class ReplayingResourceRuns
{
    public static TheoryData<string> Histories => [.. Directory.EnumerateFiles(Folder, "*.json").Select(f => Path.GetFileNameWithoutExtension(f)!).Order(StringComparer.Ordinal)];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Replay", "ResourceHistories");

    [Fact]
    public void Every_branch_of_the_processes_has_a_recorded_run() =>
        Assert.Equal(RecordingResourceRuns.Branches.Order(StringComparer.Ordinal), Histories.Select(h => h.Data));

    [Theory]
    [MemberData(nameof(Histories))]
    public async Task A_recorded_run_replays_with_the_code_of_today(string history) => await new WorkflowReplayer(
        new WorkflowReplayerOptions()
            .AddWorkflow<CreateVolumeSnapshotWorkflow>().AddWorkflow<DeleteSnapshotWorkflow>().AddWorkflow<DeleteImageWorkflow>()
            .AddWorkflow<RestoreImageWorkflow>().AddWorkflow<CreateVolumeWorkflow>().AddWorkflow<DeleteVolumeWorkflow>()
            .AddWorkflow<ReconcileWorkflow>())
        .ReplayWorkflowAsync(
            WorkflowHistory.FromJson($"{history.Split('_')[0]}/{history}", await File.ReadAllTextAsync(Path.Combine(Folder, $"{history}.json"), TestContext.Current.CancellationToken)),
            true, TestContext.Current.CancellationToken);
}
