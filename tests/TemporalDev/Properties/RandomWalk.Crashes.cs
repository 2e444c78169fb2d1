using System.Text;
using Grpc.Core;
using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>Every call as it may end: done, refused, or nobody knows because the server died in the middle; and what must be there after it.</summary>
internal sealed partial class RandomWalk
{
    /// <summary>A crash between two calls loses nothing.</summary>
    private Task CrashAsync()
    {
        Say("crash");
        return RestartAsync(() => { });
    }

    /// <summary>Does something to the server and to the model. One time in six the server crashes in the middle.</summary>
    /// <returns>Whether the server has answered.</returns>
    private async Task<bool> DoAsync(string what, RunModel run, Action<RunModel> change, Func<Task> call)
    {
        Say(what);
        var answered = call();
        if (!await AnswersAsync(answered))
        {
            await RestartAsync(() => Fork([run], change));
            return false;
        }

        await answered;
        change(run);
        return true;
    }

    /// <summary>False when the server died first. What it was asked may have been done or not.</summary>
    private async Task<bool> AnswersAsync(Task call)
    {
        await Task.WhenAny(call, server.Cut);
        return call.IsCompleted;
    }

    /// <summary>The runs either had this happen to them or not.</summary>
    private void Fork(IEnumerable<RunModel> uncertain, Action<RunModel> change)
    {
        foreach (var run in uncertain)
        {
            var changed = run.Clone();
            change(changed);
            runs[run.RunId].Add(changed);
        }
    }

    private async Task RestartAsync(Action fork)
    {
        fork();
        abandoned.Add(server.DisposeAsync().AsTask());
        server = await ModelServer.StartAsync(data, time);
        PassModelTime();
        await CheckAsync();
        if (random.Next(2) == 0)
        {
            server.CutAfter(random.Next(0, 25));
        }
    }

    /// <summary>Every run is what one of its models says, follows the rules of histories, and folds to itself.</summary>
    private async Task CheckAsync()
    {
        if (server.Cut.IsCompleted)
        {
            return;
        }

        foreach (var (runId, models) in runs)
        {
            var run = server.Engine.Chains.Select(c => c.Runs.GetValueOrDefault(runId)).Single(r => r is not null)!;
            if (!run.IsLoaded)
            {
                var stored = (await data.LoadRunAsync(run.Key, CancellationToken.None))!;
                run.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
            }

            var actual = RunView.Describe(run);
            var fitting = models.FirstOrDefault(m => m.Describe() == actual);
            Assert.True(fitting is not null, Explain($"run {runId} is\n{actual}\n\nand should be\n{string.Join("\n\nor\n", models.Select(m => m.Describe()))}"));
            models.Clear();
            models.Add(fitting!);
            Assert.Empty(HistoryRules.Broken(run.History));
            await CheckFoldAsync(run);
        }
    }

    private async Task CheckFoldAsync(Run run)
    {
        var stored = (await data.LoadRunAsync(run.Key, CancellationToken.None))!;
        var folded = new Run(server.Engine, new WorkflowChain(run.Chain.Namespace, run.Chain.WorkflowId), run.RunId);
        folded.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
        Assert.Equal(run.History, folded.History);
        Assert.Equal(Encoding.UTF8.GetString(run.WriteSide()), Encoding.UTF8.GetString(folded.WriteSide()));
        Assert.Equal(run.Holds, folded.Holds);
    }

    private async Task RefusedAsync(StatusCode code, Func<Task> call)
    {
        var fault = await Assert.ThrowsAsync<Fault>(call);
        Assert.True(fault.Code == code, Explain($"refused with {fault.Code}: {fault.Message}"));
    }
}
