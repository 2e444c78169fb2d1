using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Drivers.Leases;

namespace SnapshotFlow.Workers;

/// <summary>Keeps the lease directory of a compute host from growing for ever. Part of the compute worker: the guard does nothing but guard.</summary>
internal sealed partial class LeaseHousekeeping(FreezeLeaseDirectory leases, TimeProvider time, ILogger<LeaseHousekeeping> logger) : BackgroundService
{
    /// <summary>An ended lease answers repeated questions of its run, which is over within hours; after that it is history for people.</summary>
    private static readonly TimeSpan KeepEnded = TimeSpan.FromDays(7);

    /// <summary>A file that was no lease is for people to look at.</summary>
    private static readonly TimeSpan KeepUnreadable = TimeSpan.FromDays(90);

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                var now = time.GetUtcNow();
                if (await leases.PruneAsync(now - KeepEnded, now - KeepUnreadable, stoppingToken) is > 0 and var count)
                {
                    Log.Pruned(logger, count);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.NotPruned(logger, e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private static partial class Log
    {
        [LoggerMessage(40, LogLevel.Information, "Removed {Count} old files of ended and unreadable freeze leases")]
        public static partial void Pruned(ILogger logger, int count);

        [LoggerMessage(41, LogLevel.Warning, "Old files of freeze leases cannot be removed; tried again in an hour")]
        public static partial void NotPruned(ILogger logger, Exception exception);
    }
}
