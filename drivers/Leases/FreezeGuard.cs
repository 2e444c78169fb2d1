using Microsoft.Extensions.Logging;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>How a <see cref="FreezeGuard"/> stands to the others of its directory.</summary>
public enum GuardDuty
{
    /// <summary>
    /// A process of its own, whose sign of life allows freezes. The first of a directory thaws at the deadline; a further one stands by, thaws
    /// <see cref="FreezeGuard.BackupGrace"/> later what the first did not, and takes over as soon as the first is dead.
    /// </summary>
    Guard,

    /// <summary>Inside the compute worker: always stands by, never allows a freeze, because it would die together with the holder of the leases.</summary>
    Backup,
}

/// <summary>
/// Thaws the guests of one compute host whose freeze deadline has passed, whatever has become of those who froze them.
/// <list type="bullet">
/// <item>It needs the lease directory, the guests' agents and a clock; no database, no Temporal, no network.</item>
/// <item>Leases are looked at every <see cref="ScanInterval"/>, and each is watched by itself: an agent that hangs delays nobody else.</item>
/// <item>It asks until the guest's own status says thawed, and as long as somebody may still freeze the guest under the lease; only then it ends the lease.</item>
/// <item>No failure ends it: each is contained where it happens, and logged once until it changes. What it knows lies in the directory, so a new guard
/// goes on where a dead one stood.</item>
/// </list>
/// </summary>
public sealed partial class FreezeGuard(
    FreezeLeaseDirectory leases, IGuestAgents agents, IHostClock clock, TimeProvider time, GuardDuty duty, ILogger<FreezeGuard> logger)
{
    /// <summary>How long after its deadline a guest is thawed at the latest, while its agent answers and a guard or backup lives.</summary>
    public static readonly TimeSpan Promise = TimeSpan.FromMilliseconds(250);

    /// <summary>Time between two looks at the leases. Deadlines do not wait for it: a lease that has been seen has its own timer.</summary>
    public static readonly TimeSpan ScanInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a guard that stands by leaves the first one to it. What is left of <see cref="Promise"/> is enough for a thaw.</summary>
    public static readonly TimeSpan BackupGrace = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<(string File, string? Token), LeaseWatch> watches = [];
    private GuardHeartbeat? heartbeat;
    private HostInstant? lastBeat;
    private string? problem;
    private bool standingBy;

    /// <summary>Whether this is the first guard of its directory.</summary>
    internal bool Leads => heartbeat is not null;

    /// <summary>
    /// Guards until it is told to stop. A guard that is told to stop allows no further freeze and goes on until no lease is open; one that stands by stops at once.
    /// </summary>
    /// <param name="looked">Called after each look at the leases that succeeded.</param>
    /// <param name="ready">It thaws from the beginning, and gives signs of life, so that guests may be frozen, once this has ended.</param>
    /// <param name="stop">Tells it to stop.</param>
    public async Task RunAsync(Action looked, Task ready, CancellationToken stop)
    {
        using var abandon = new CancellationTokenSource();
        using var timer = new PeriodicTimer(ScanInterval, time);
        try
        {
            while (Look(ready.IsCompleted, stop.IsCancellationRequested, abandon.Token) is not 0 and var open && !(stop.IsCancellationRequested && !Leads))
            {
                if (open is not null)
                {
                    looked();
                }

                await timer.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            await abandon.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(watches.Values.Select(w => w.Completion)).ConfigureAwait(false);
            heartbeat?.Dispose();
        }
    }

    /// <summary>One look. Returns 0 when it is to stop and nothing is left to guard, null when the look failed, else something else.</summary>
    private int? Look(bool ready, bool stopping, CancellationToken abandon)
    {
        try
        {
            TakeOver(stopping);
            var files = leases.Scan();
            Watch(files, abandon);
            if (ready)
            {
                Beat(files, stopping);
            }

            Report(null);
            return stopping ? files.Count : -1;
        }
        // Whatever it is, the next look comes; a process that cannot even do that must be seen to be dead, and is: there was no sign of life.
        catch (Exception e)
        {
            Report(e.Message);
            return null;
        }
    }

    private void TakeOver(bool stopping)
    {
        if (duty is not GuardDuty.Guard || heartbeat is not null || stopping)
        {
            return;
        }

        heartbeat = GuardHeartbeat.TryTake(leases);
        if (heartbeat is not null)
        {
            Log.Guarding(logger, leases.Root);
        }
        else if (!standingBy)
        {
            standingBy = true;
            Log.StandingBy(logger, leases.Root);
        }
    }

    private void Watch(IReadOnlyList<OpenLeaseFile> files, CancellationToken abandon)
    {
        foreach (var over in watches.Where(w => w.Value.Completion.IsCompleted).Select(w => w.Key).ToList())
        {
            watches.Remove(over);
        }

        foreach (var file in files)
        {
            var key = (file.Name, file.Lease?.RunToken);
            if (!watches.ContainsKey(key))
            {
                watches.Add(key, LeaseWatch.Start(this, file, leases, agents, clock, time, logger, abandon));
            }
        }
    }

    private void Beat(IReadOnlyList<OpenLeaseFile> files, bool stopping)
    {
        if (stopping)
        {
            heartbeat?.Withdraw();
            return;
        }

        var now = clock.Now;
        if (heartbeat is not null && !(lastBeat?.Until(now) < GuardHeartbeat.Interval))
        {
            heartbeat.Beat(new(now, ProcessIdentity.Current, files.Count, watches.Values.Count(w => w.IsOverdue(now)), files.Count(f => f.Lease is null)));
            lastBeat = now;
        }
    }

    private void Report(string? now)
    {
        if (now != problem)
        {
            problem = now;
            if (now is null)
            {
                Log.Well(logger);
            }
            else
            {
                Log.CannotLook(logger, now);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(101, LogLevel.Information, "Guarding the freeze leases in {Directory}")]
        public static partial void Guarding(ILogger logger, string directory);

        [LoggerMessage(102, LogLevel.Information, "Another guard has the freeze leases in {Directory}; standing by")]
        public static partial void StandingBy(ILogger logger, string directory);

        [LoggerMessage(103, LogLevel.Critical, "The freeze leases cannot be looked at, and no guest can be frozen until they can: {Reason}")]
        public static partial void CannotLook(ILogger logger, string reason);

        [LoggerMessage(104, LogLevel.Information, "The freeze leases can be looked at again")]
        public static partial void Well(ILogger logger);
    }
}
