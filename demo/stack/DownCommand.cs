using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary><c>down</c>: ends the stack that <c>up</c> started, wherever it runs.</summary>
internal static class DownCommand
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(40);

    public static async Task<int> RunAsync(string stateDirectory, CancellationToken ct)
    {
        if (StackState.FindRunning(stateDirectory) is not { } running)
        {
            Console.WriteLine($"nothing is running in {stateDirectory}");
            return 0;
        }
        Signals.Send(running.Process.Id, Signal.Terminate);
        try
        {
            await Wait.UntilAsync($"process {running.Process.Id} to end", Grace, _ => Task.FromResult(!running.Process.IsAlive()), ct);
        }
        catch (StackException)
        {
            // Its children follow: their parent death signal sees to it.
            Signals.Send(running.Process.Id, Signal.Kill);
            Console.WriteLine($"process {running.Process.Id} did not stop within {Grace.TotalSeconds} s and was killed, with everything it had started");
            return 1;
        }
        Console.WriteLine($"stopped the stack in {stateDirectory}");
        return 0;
    }
}
