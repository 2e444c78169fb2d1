using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Workers;

/// <summary>The guard of the freeze leases: a process of its own for the role <see cref="Role.Guard"/>, and the backup inside every compute worker.</summary>
internal static class Guarding
{
    // Longer than a guard is ever patient with one call, so that the guard decides.
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    // Enough for a disk that stalls the writing of many leases at once: thaws must not queue behind it.
    private const int Threads = 64;

    /// <summary>Makes this process a guard and nothing else.</summary>
    public static void AddGuardProcess(this IHostApplicationBuilder builder, WorkersConfiguration configuration)
    {
        RaisePriority();
        ThreadPool.SetMinThreads(Threads, Threads);
        builder.Services.AddLeases(configuration);
        builder.Services.AddSingleton<IGuestAgents>(provider => new GuestAgents(new QgaOptions { CallTimeout = CallTimeout }, provider.GetRequiredService<TimeProvider>()));
        builder.Services.AddGuard(GuardDuty.Guard);

        // A log that nobody reads any more must not hold the guard.
        builder.Services.Configure<ConsoleLoggerOptions>(options => options.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite);

        // Told to stop, it stays until the last freeze is over.
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = FreezeDeadline.Maximum + TimeSpan.FromSeconds(5));
    }

    /// <summary>
    /// A thaw is some milliseconds of work that must not wait for the CPU behind a busy hypervisor. Whoever may not do this runs without: the service unit
    /// gives the priority already.
    /// </summary>
    private static void RaisePriority()
    {
        try
        {
            using var me = Process.GetCurrentProcess();
            me.PriorityClass = ProcessPriorityClass.High;
        }
        catch (Win32Exception)
        {
            // Not permitted.
        }
    }

    /// <summary>The leases of this host and the clock that they are judged by.</summary>
    public static void AddLeases(this IServiceCollection services, WorkersConfiguration configuration)
    {
        services.AddSingleton(_ => new FreezeLeaseDirectory(configuration.Compute.LeaseDirectory));
        services.AddSingleton<IHostClock, LinuxHostClock>();
    }

    /// <summary>A guard on this duty, as long as the process runs.</summary>
    public static void AddGuard(this IServiceCollection services, GuardDuty duty)
    {
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<FreezeGuard>(provider, duty));
        services.AddHostedService<GuardService>();
    }

    private sealed class GuardService(FreezeGuard guard, IHostClock clock, TimeProvider time, ILogger<FreezeGuard> logger, IServiceProvider services) : BackgroundService
    {
        private static readonly TimeSpan WatchdogInterval = TimeSpan.FromSeconds(1);

        // Only there when systemd has started this process.
        private readonly ISystemdNotifier? systemd = services.GetService<ISystemdNotifier>();
        private long lastNotice;

        // What a dead guard left behind comes before the rehearsal.
        private readonly TaskCompletionSource firstLook = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.Run(
            async () =>
            {
                var rehearsal = RehearseAsync(stoppingToken);
                await guard.RunAsync(Looked, rehearsal, stoppingToken);
                firstLook.TrySetCanceled(CancellationToken.None);
                await rehearsal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            },
            CancellationToken.None);

        private async Task RehearseAsync(CancellationToken ct)
        {
            await firstLook.Task;
            await GuardRehearsal.RunAsync(clock, time, logger, ct);
        }

        /// <summary>Lets the rehearsal begin, and tells systemd's watchdog. Source: sd_notify(3), WATCHDOG=1.</summary>
        private void Looked()
        {
            firstLook.TrySetResult();
            if (systemd is { IsEnabled: true } && time.GetElapsedTime(lastNotice) > WatchdogInterval)
            {
                lastNotice = time.GetTimestamp();
                systemd.Notify(new ServiceState("WATCHDOG=1"));
            }
        }
    }
}
