using System.Runtime.InteropServices;

namespace SnapshotFlow.Stack.Processes;

/// <summary>A signal for another process, by its Linux number. Source: signal(7).</summary>
internal enum Signal
{
    Interrupt = 2,
    Quit = 3,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>Sends signals.</summary>
internal static class Signals
{
    /// <summary>False when there is no such process, or it is not ours to signal.</summary>
    public static bool Send(int processId, Signal signal) => Kill(processId, (int)signal) == 0;

    /// <summary>The name that setpriv(1) knows a signal by.</summary>
    public static string SetprivName(this Signal signal) => signal switch
    {
        Signal.Interrupt => "INT",
        Signal.Quit => "QUIT",
        Signal.Kill => "KILL",
        Signal.Terminate => "TERM",
        _ => throw new ArgumentOutOfRangeException(nameof(signal), signal, "no name"),
    };

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);
}
