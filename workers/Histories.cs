using SnapshotFlow.Workflows;
using Temporalio.Common;
using Temporalio.Worker;

namespace SnapshotFlow.Workers;

/// <summary>
/// <c>snapshotflow-workers replay PATH…</c>: whether this program could go on with runs that another version began. Before an upgrade, export the runs under way
/// (<c>temporal workflow show --workflow-id … --output json</c>, or Download in the Temporal UI) and replay them with the new program: it touches nothing.
/// </summary>
internal static class Histories
{
    private const int Usage = 64; // EX_USAGE of sysexits.h
    private const int NoInput = 66; // EX_NOINPUT

    /// <summary>Replays files, and the *.json files of directories. 0: all of them go on; 1: some do not, and each says why.</summary>
    public static async Task<int> ReplayAsync(IReadOnlyList<string> paths)
    {
        if (paths.Count == 0)
        {
            await Console.Error.WriteLineAsync("usage: snapshotflow-workers replay FILE|DIRECTORY…   (workflow histories as JSON)");
            return Usage;
        }

        var files = paths.SelectMany(IEnumerable<string> (p) => Directory.Exists(p) ? Directory.EnumerateFiles(p, "*.json").Order(StringComparer.Ordinal) : [p]).ToList();
        var missing = files.Find(f => !File.Exists(f));
        if (missing is not null || files.Count == 0)
        {
            await Console.Error.WriteLineAsync(missing is null ? $"no *.json in {string.Join(", ", paths)}" : $"{missing} is not there");
            return NoInput;
        }

        // Without the detection of deadlocks: on a machine that is slow, slow code is not code that cannot go on.
        var options = new WorkflowReplayerOptions { DebugMode = true };
        foreach (var type in AllWorkflows.Types)
        {
            options.AddWorkflow(type);
        }

        var replayer = new WorkflowReplayer(options);
        var broken = 0;
        foreach (var file in files)
        {
            if (await WhyNotAsync(replayer, file) is { } reason)
            {
                broken++;
                await Console.Out.WriteLineAsync($"FAILED  {file}: {reason}");
            }
            else
            {
                await Console.Out.WriteLineAsync($"ok      {file}");
            }
        }

        await Console.Out.WriteLineAsync($"{files.Count - broken} of {files.Count} histories replay");
        return broken == 0 ? 0 : 1;
    }

    private static async Task<string?> WhyNotAsync(WorkflowReplayer replayer, string file)
    {
        WorkflowHistory history;
        try
        {
            history = WorkflowHistory.FromJson(Path.GetFileNameWithoutExtension(file), await File.ReadAllTextAsync(file));
        }
        // Whatever the parser of the SDK makes of a file that is something else.
        catch (Exception e)
        {
            return $"is no workflow history: {e.Message}";
        }

        return (await replayer.ReplayWorkflowAsync(history, throwOnReplayFailure: false)).ReplayFailure?.Message;
    }
}
