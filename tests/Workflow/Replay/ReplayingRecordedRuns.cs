using System.Diagnostics;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>
/// Runs that are under way when the workers are upgraded must go on: every recorded history replays with today's code. <c>./snapshotflow histories record</c>
/// records them anew, which is right only after a change that <see cref="Workflow.Patched"/> makes safe.
/// </summary>
public sealed class ReplayingRecordedRuns
{
    public static TheoryData<string> Histories => [.. Directory.EnumerateFiles(Folder, "*.json").Select(f => Path.GetFileNameWithoutExtension(f)!).Order(StringComparer.Ordinal)];

    internal static string Folder => Path.Combine(AppContext.BaseDirectory, "Replay", "Histories");

    [Fact]
    public void Every_branch_of_the_process_has_a_recorded_run() =>
        Assert.Equal(Branches.All.Keys.Order(StringComparer.Ordinal), Histories.Select(h => h.Data));

    [Theory]
    [MemberData(nameof(Histories))]
    public async Task A_recorded_run_replays_with_the_code_of_today(string history) =>
        await Replayer(AllWorkflows.Types).ReplayWorkflowAsync(Load(history), true, TestContext.Current.CancellationToken);

    [Fact]
    public async Task The_command_for_operators_says_which_histories_go_on_and_which_do_not_and_why()
    {
        var broken = Directory.CreateTempSubdirectory("snapshotflow-histories-");
        try
        {
            var (all, said) = await ReplayCommandAsync(Folder);
            Assert.Equal((0, $"{Histories.Count} of {Histories.Count} histories replay"), (all, said[^1]));

            foreach (var history in (string[])["completed", "plan-accepted", "reconcile-undone"])
            {
                File.Copy(Path.Combine(Folder, $"{history}.json"), Path.Combine(broken.FullName, $"{history}.json"));
            }

            var edited = Path.Combine(broken.FullName, "completed.json");
            File.WriteAllText(edited, File.ReadAllText(edited).Replace("\"CheckQuota\"", "\"CheckLimits\"", StringComparison.Ordinal));
            File.WriteAllText(Path.Combine(broken.FullName, "zero.json"), "");
            var (some, words) = await ReplayCommandAsync(broken.FullName);

            Assert.Equal((1, "2 of 4 histories replay"), (some, words[^1]));
            Assert.Contains(words, w => w.StartsWith($"FAILED  {edited}: ", StringComparison.Ordinal) && w.Contains("CheckQuota", StringComparison.Ordinal));
            Assert.Contains(words, w => w.StartsWith("FAILED", StringComparison.Ordinal) && w.Contains("zero.json: is no workflow history", StringComparison.Ordinal));
            Assert.Equal(66, (await ReplayCommandAsync(Path.Combine(broken.FullName, "nothing.json"))).Code);
            Assert.Equal(64, (await ReplayCommandAsync()).Code);
        }
        finally
        {
            broken.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_breaking_change_of_the_process_is_caught()
    {
        var replayer = Replayer([typeof(ReservesRecordsBeforeQuota)]);

        var history = Load("completed");

        await Assert.ThrowsAsync<WorkflowNondeterminismException>(() => replayer.ReplayWorkflowAsync(history, true, TestContext.Current.CancellationToken));
    }

    private static WorkflowReplayer Replayer(IEnumerable<Type> workflows)
    {
        // Without the detection of deadlocks: on a machine that is slow, slow code is not code that cannot go on.
        var options = new WorkflowReplayerOptions { DebugMode = true };
        foreach (var workflow in workflows)
        {
            options.AddWorkflow(workflow);
        }

        return new(options);
    }

    private static async Task<(int Code, IReadOnlyList<string> Said)> ReplayCommandAsync(params string[] paths)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "snapshotflow-workers")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])["replay", .. paths])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var ct = TestContext.Current.CancellationToken;
        var errors = process.StandardError.ReadToEndAsync(ct);
        var said = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        Assert.DoesNotContain("Unhandled exception", await errors, StringComparison.Ordinal);
        return (process.ExitCode, said.Split('\n', StringSplitOptions.RemoveEmptyEntries));
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
