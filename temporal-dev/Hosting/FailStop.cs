using System.Diagnostics;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>
/// The end of a server whose memory is ahead of its data. It is immediate on purpose: an orderly end would go on answering from
/// memory meanwhile, and what was answered before is safe.
/// </summary>
internal static class FailStop
{
    public static void Now(Exception reason)
    {
        Console.Error.WriteLine($"temporal-dev: stopped, because its data is out of reach: {reason.Message}");
        Console.Error.Flush();
        using var self = Process.GetCurrentProcess();
        self.Kill();
    }
}
