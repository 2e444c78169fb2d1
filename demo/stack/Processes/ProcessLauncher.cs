using System.Collections.Concurrent;
using System.Diagnostics;

namespace SnapshotFlow.Stack.Processes;

/// <summary>
/// Starts processes from one thread that lives as long as this process. Linux sends the parent death signal of a child when the <i>thread</i> that
/// started it ends (prctl(2), PR_SET_PDEATHSIG): a thread of the pool would take the children with it at any moment.
/// </summary>
internal static class ProcessLauncher
{
    private static readonly BlockingCollection<Action> Work = [];

    static ProcessLauncher() => new Thread(Run) { IsBackground = true, Name = "process launcher" }.Start();

    public static Task<Process> StartAsync(ProcessStartInfo start)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(start) ?? throw new StackException($"{start.FileName} did not start"));
            }
            catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException or StackException)
            {
                started.SetException(new StackException($"cannot start {start.FileName}: {e.Message}", e));
            }
        });
        return started.Task;
    }

    private static void Run()
    {
        foreach (var action in Work.GetConsumingEnumerable())
        {
            action();
        }
    }
}
