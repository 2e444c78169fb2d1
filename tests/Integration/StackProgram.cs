using System.Diagnostics;

namespace SnapshotFlow.Tests.Integration;

/// <summary>The program behind <c>./snapshotflow up</c>, <c>down</c> and <c>demo</c>, as a process.</summary>
internal static class StackProgram
{
    public static Process Start(IReadOnlyList<string> arguments, params (string Name, string Value)[] environment)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        // artifacts/bin/<project>/<configuration>: the neighbour of this test program.
        var program = Path.Combine(own.Parent!.Parent!.FullName, "SnapshotFlow.Stack", own.Name, "snapshotflow-stack");
        // A test run that was itself started in the background hands down SIGINT as ignored; a program that is to be interrupted must not inherit that.
        var start = new ProcessStartInfo("env", ["--default-signal=INT,TERM,HUP", program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }
        return Process.Start(start)!;
    }

    /// <summary>Sends a signal by its name, without SIG.</summary>
    public static async Task SignalAsync(Process process, string signal, CancellationToken ct)
    {
        using var kill = Process.Start("kill", ["-s", signal, $"{process.Id}"]);
        await kill.WaitForExitAsync(ct);
    }
}
