using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary>The program behind <c>./snapshotflow up</c>, <c>down</c> and <c>demo</c>, as processes that share one state directory and end with the test.</summary>
internal sealed class StackProgram : IAsyncDisposable
{
    /// <summary>Far longer than a start takes: passing it means that it hangs, not that the machine is busy.</summary>
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan EndDeadline = TimeSpan.FromMinutes(1);

    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-test-");
    private readonly List<ChildProcess> started = [];

    public StackProgram() => State = directory.CreateSubdirectory("state").FullName;

    /// <summary>The state directory.</summary>
    public string State { get; }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Starts one command on the state directory.</summary>
    public async Task<ChildProcess> StartAsync(string command, params (string Name, string? Value)[] environment)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        // artifacts/bin/<project>/<configuration>: the neighbour of this test program.
        var program = Path.Combine(own.Parent!.Parent!.FullName, "SnapshotFlow.Stack", own.Name, "snapshotflow-stack");
        // A test run that was itself started in the background hands down SIGINT as ignored; a program that is to be interrupted must not inherit that.
        var process = await ChildProcess.StartAsync(
            new ChildCommand($"{command}-{started.Count}", "env", ["--default-signal=INT,TERM,HUP", program, command, "--state", State])
            {
                Directory = directory.FullName,
                Environment = environment.ToDictionary(e => e.Name, e => e.Value),
            },
            directory.FullName);
        started.Add(process);
        return process;
    }

    /// <summary>Waits until an <c>up</c> has everything running.</summary>
    public Task<StackAddress> WaitUntilUpAsync(ChildProcess up) => Wait.ForAsync("up to be ready", StartDeadline, _ =>
    {
        up.ThrowIfExited();
        return Task.FromResult(StackState.FindRunning(State) is { } found && found.Process.Id == up.Id ? found : null);
    }, Ct);

    /// <summary>Waits for the end of a process; everything it said.</summary>
    public static async Task<string> WaitForEndAsync(ChildProcess process)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(EndDeadline);
        await process.WaitForExitAsync(patience.Token);
        return await File.ReadAllTextAsync(process.LogFile, Ct);
    }

    /// <summary>Sends a signal by its name, without SIG.</summary>
    public static async Task SignalAsync(ChildProcess process, string signal)
    {
        using var kill = System.Diagnostics.Process.Start("kill", ["-s", signal, $"{process.Id}"]);
        await kill.WaitForExitAsync(Ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in started)
        {
            await process.StopAsync(EndDeadline);
        }
        directory.Delete(recursive: true);
    }
}
