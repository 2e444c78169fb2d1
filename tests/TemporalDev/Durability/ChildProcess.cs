using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>A process that ends with this test process at the latest, also when that one is killed.</summary>
/// <remarks>
/// The kernel ends a child when the thread that started it ends, so one thread that never ends starts them all.
/// </remarks>
internal sealed class ChildProcess : IDisposable
{
    private static readonly BlockingCollection<Action> Starts = StartThread();

    private readonly Process process;
    private readonly ConcurrentQueue<string> output = new();

    private ChildProcess(Process process)
    {
        this.process = process;
    }

    public int Id => process.Id;

    public bool HasExited => process.HasExited;

    public int ExitCode => process.ExitCode;

    /// <summary>Everything it has written so far.</summary>
    public string Output => string.Join('\n', output);

    public TimeSpan ProcessorTime
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
    }

    /// <param name="user">The user it runs as, when this process may choose.</param>
    public static Task<ChildProcess> StartAsync(string program, IReadOnlyList<string> arguments, string? user = null, Action<string>? onLine = null)
    {
        var started = new TaskCompletionSource<ChildProcess>(TaskCreationOptions.RunContinuationsAsynchronously);
        Starts.Add(() =>
        {
            try
            {
                started.SetResult(Start(program, arguments, user, onLine));
            }
            catch (Exception e)
            {
                started.SetException(e);
            }
        });
        return started.Task;
    }

    /// <summary>SIGKILL: it has no chance to write anything down.</summary>
    public void Kill() => process.Kill();

    /// <summary>Asks it to stop, with a signal by its name, for example <c>INT</c>.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public Task WaitForExitAsync(CancellationToken cancellationToken) => process.WaitForExitAsync(cancellationToken);

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
            process.WaitForExit();
        }

        process.Dispose();
    }

    private static ChildProcess Start(string program, IReadOnlyList<string> arguments, string? user, Action<string>? onLine)
    {
        string[] identity = user is not null && Environment.IsPrivilegedProcess ? [$"--reuid={user}", $"--regid={user}", "--clear-groups"] : [];
        var start = new ProcessStartInfo("setpriv", [.. identity, "--pdeathsig", "KILL", program, .. arguments])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment["LC_ALL"] = "C";
        var child = new ChildProcess(Process.Start(start)!);
        child.process.OutputDataReceived += (_, line) => child.Take(line.Data, onLine);
        child.process.ErrorDataReceived += (_, line) => child.Take(line.Data, onLine);
        child.process.BeginOutputReadLine();
        child.process.BeginErrorReadLine();
        return child;
    }

    private void Take(string? line, Action<string>? onLine)
    {
        if (line is not null)
        {
            output.Enqueue(line);
            onLine?.Invoke(line);
        }
    }

    private static BlockingCollection<Action> StartThread()
    {
        var starts = new BlockingCollection<Action>();
        new Thread(() =>
        {
            foreach (var start in starts.GetConsumingEnumerable())
            {
                start();
            }
        })
        { IsBackground = true, Name = "starts processes" }.Start();
        return starts;
    }
}
