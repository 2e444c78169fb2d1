using System.Runtime.InteropServices;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>
/// Notices that the process that started this one has ended. A test server belongs to its test run: one that was killed cannot stop its server any more,
/// and nobody else knows of it.
/// </summary>
internal static partial class ParentWatch
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>The process that started this one. Asked for first of all: one that dies while the server starts must be missed, too.</summary>
    public static int Parent() => GetParent();

    /// <summary>Completes when the parent is gone; never if this process had no parent of its own to begin with (a container's first process, for example).</summary>
    public static async Task ParentEndedAsync(int parent, CancellationToken ct)
    {
        using var timer = new PeriodicTimer(Interval);
        while (parent <= 1 || GetParent() == parent)
        {
            await timer.WaitForNextTickAsync(ct);
        }
    }

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParent();
}
