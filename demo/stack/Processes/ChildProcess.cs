using System.Diagnostics;
using System.Globalization;

namespace SnapshotFlow.Stack.Processes;

/// <summary>How a child process is started and stopped.</summary>
public sealed record ChildCommand(string Name, string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Variables on top of this process's environment; null removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>Working directory; null for the program's own, where its settings file lies.</summary>
    public string? Directory { get; init; }

    /// <summary>Prefix that gives up root for another user; empty for none.</summary>
    public IReadOnlyList<string> AsUser { get; init; } = [];

    /// <summary>What asks the program to end in good order.</summary>
    internal Signal StopSignal { get; init; } = Signal.Terminate;

    /// <summary>What ends the program, and its own children, when this process dies.</summary>
    internal Signal DeathSignal { get; init; } = Signal.Kill;
}

/// <summary>
/// A process that this one started: it writes to its log file, ignores the terminal's Ctrl-C (a session of its own: this process decides the order of
/// the end) and dies when this process dies, however that happens.
/// </summary>
public sealed class ChildProcess
{
    // sh opens the log, then becomes the program: the process id stays the same through every exec.
    private const string Script = """
        exec >>"$0" 2>&1 </dev/null; exec setsid "$@"
        """;

    private readonly Process process;
    private readonly ChildCommand command;
    private readonly long logStart;

    private ChildProcess(ChildCommand command, Process process, string logFile, long logStart)
    {
        this.command = command;
        this.process = process;
        this.logStart = logStart;
        LogFile = logFile;
        Id = process.Id;
    }

    /// <summary>Name for people, and of the log file.</summary>
    public string Name => command.Name;

    /// <summary>Process id.</summary>
    public int Id { get; }

    /// <summary>Where its output goes; appended to on every start.</summary>
    public string LogFile { get; }

    /// <summary>Whether it has ended.</summary>
    public bool HasExited => process.HasExited;

    /// <summary>Exit code; null while it runs. 128 + signal for a process ended by a signal.</summary>
    public int? ExitCode => process.HasExited ? process.ExitCode : null;

    /// <summary>Starts it. Says nothing about readiness.</summary>
    public static async Task<ChildProcess> StartAsync(ChildCommand command, string logDirectory)
    {
        var log = Path.Combine(logDirectory, command.Name + ".log");
        var logStart = File.Exists(log) ? new FileInfo(log).Length : 0;
        // The death signal is set last: the kernel clears it when a process changes its user.
        string[] arguments =
        [
            "-c", Script, log, .. command.AsUser, "setpriv", "--pdeathsig", command.DeathSignal.SetprivName(), "--", command.Program, .. command.Arguments,
        ];
        var start = new ProcessStartInfo("/bin/sh", arguments)
        {
            WorkingDirectory = command.Directory ?? Path.GetDirectoryName(command.Program) ?? "/",
        };
        foreach (var (name, value) in command.Environment)
        {
            start.Environment[name] = value;
        }
        return new ChildProcess(command, await ProcessLauncher.StartAsync(start), log, logStart);
    }

    /// <summary>SIGKILL, at once. Returns when it is gone.</summary>
    public async Task KillAsync(CancellationToken ct)
    {
        Signals.Send(Id, Signal.Kill);
        await process.WaitForExitAsync(ct);
    }

    /// <summary>Starts the same command again, once this process has ended.</summary>
    public Task<ChildProcess> StartAgainAsync() => StartAsync(command, Path.GetDirectoryName(LogFile)!);

    /// <summary>SIGKILLs it and everything below it, as when a host kills a service. Returns when it is gone.</summary>
    public async Task KillTreeAsync(CancellationToken ct)
    {
        // Stopped first: what is killed from the top would let its children get away meanwhile.
        SignalTree(Signal.Stop).ForEach(id => Signals.Send(id, Signal.Kill));
        await process.WaitForExitAsync(ct);
    }

    /// <summary>SIGSTOPs it and everything below it, until <see cref="ContinueTree"/>.</summary>
    public void StopTree() => SignalTree(Signal.Stop);

    /// <summary>Lets it, and everything below it, go on.</summary>
    public void ContinueTree() => SignalTree(Signal.Continue);

    /// <summary>From the top, so that a stopped parent starts no further children.</summary>
    private List<int> SignalTree(Signal signal)
    {
        List<int> tree = [Id];
        for (var i = 0; i < tree.Count; i++)
        {
            Signals.Send(tree[i], signal);
            tree.AddRange(ChildrenOf(tree[i]));
        }
        return tree;
    }

    // Source: proc(5), /proc/pid/task/tid/children.
    private static IEnumerable<int> ChildrenOf(int id)
    {
        try
        {
            return [.. File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(c => int.Parse(c, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            // It has ended.
            return [];
        }
    }

    /// <summary>Asks it to end; SIGKILL when it has not after <paramref name="grace"/>. Returns when it is gone.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        if (process.HasExited)
        {
            return;
        }
        Signals.Send(Id, command.StopSignal);
        using var patience = new CancellationTokenSource(grace);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            Signals.Send(Id, Signal.Kill);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    /// <summary>Completes when it ends.</summary>
    public Task WaitForExitAsync(CancellationToken ct) => process.WaitForExitAsync(ct);

    /// <summary>Throws, with the end of its log, when it has ended.</summary>
    public void ThrowIfExited()
    {
        if (ExitCode is { } code)
        {
            throw new StackException($"{Name} ended with exit code {code}. The end of {LogFile}:\n{LogTail()}");
        }
    }

    /// <summary>The last lines of what this process, not an earlier one of the same name, wrote.</summary>
    public string LogTail(int lines = 20)
    {
        using var file = new FileStream(LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = Math.Min(file.Length, Math.Max(logStart, file.Length - 64 * 1024));
        using var reader = new StreamReader(file);
        return string.Join('\n', reader.ReadToEnd().TrimEnd().Split('\n').TakeLast(lines).Select(line => "  " + line));
    }
}
