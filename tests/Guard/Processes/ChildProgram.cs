using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>A process of one test: its output is kept, and it is gone when the test is over.</summary>
internal sealed partial class ChildProgram : IAsyncDisposable
{
    private readonly List<string> lines = [];
    private readonly Process process;

    private ChildProgram(Process process) => this.process = process;

    public int Id => process.Id;

    public string Output
    {
        get { lock (lines) { return string.Join('\n', lines); } }
    }

    /// <summary>Starts a program that lies beside this one.</summary>
    public static ChildProgram Start(string name, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, name), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // The tests wait for lines as people read them.
        start.Environment["Logging__Console__FormatterName"] = "simple";
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[key] = value;
        }

        var child = new ChildProgram(Process.Start(start)!);
        child.process.OutputDataReceived += (_, line) => child.Keep(line.Data);
        child.process.ErrorDataReceived += (_, line) => child.Keep(line.Data);
        child.process.BeginOutputReadLine();
        child.process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Sends a line to its standard input.</summary>
    public async Task TellAsync(string line)
    {
        await process.StandardInput.WriteLineAsync(line);
        await process.StandardInput.FlushAsync();
    }

    /// <summary>The n-th line that begins so, from 1, once it is there.</summary>
    public async Task<string> LineAsync(string beginning, int n, CancellationToken ct)
    {
        string? found = null;
        await Eventually.IsAsync($"process {Id} says '{beginning}' for the {n}. time; it said:\n{Output}", () =>
        {
            lock (lines)
            {
                found = lines.Where(l => l.StartsWith(beginning, StringComparison.Ordinal)).ElementAtOrDefault(n - 1);
                return found is not null;
            }
        }, ct);
        return found!;
    }

    public bool IsRunning => !process.HasExited;

    public int ExitCode => process.ExitCode;

    public Task EndedAsync(CancellationToken ct) => Eventually.IsAsync($"process {Id} has ended; it said:\n{Output}", () => !IsRunning, ct);

    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>SIGSTOP; returns once it stands still.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        Signal(19);
        await StandsStillAsync(ct);
    }

    public Task StandsStillAsync(CancellationToken ct) =>
        Eventually.IsAsync($"process {Id} stands still", () => File.ReadAllText($"/proc/{Id}/stat").Split(") ")[^1].StartsWith('T'), ct);

    public void Continue() => Signal(18);

    public void Terminate() => Signal(15);

    public async ValueTask DisposeAsync()
    {
        if (IsRunning)
        {
            await KillAsync();
        }

        process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            lock (lines)
            {
                lines.Add(line);
            }
        }
    }

    private void Signal(int signal) => Assert.Equal(0, kill(Id, signal));

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
