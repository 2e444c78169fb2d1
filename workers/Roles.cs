using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using SnapshotFlow.Activities;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workers.Notifications;
using SnapshotFlow.Telemetry;
using SnapshotFlow.Workers.Failpoints;
using SnapshotFlow.Workers.Lines;
using SnapshotFlow.Workers.Metrics;
using SnapshotFlow.Workflows;
using Temporalio.Client;
using Temporalio.Extensions.Hosting;

namespace SnapshotFlow.Workers;

/// <summary>Which activities and workflows each role serves, and on which task queue.</summary>
internal static class Roles
{
    /// <summary>As many cuts as one image mostly needs are fetched at once.</summary>
    private const int Pollers = 16;

    /// <summary>One connection to Temporal for all roles, made when the first worker starts.</summary>
    public static void AddTemporal(this IServiceCollection services, TemporalClientConnectOptions temporal) =>
        services.AddTemporalClient().Configure<IServiceProvider>((options, provider) =>
        {
            options.TargetHost = temporal.TargetHost;
            options.Namespace = temporal.Namespace;
            options.Tls = temporal.Tls;
            options.ApiKey = temporal.ApiKey;
            options.RpcMetadata = temporal.RpcMetadata;
            options.AddTelemetry(provider);
        });

    /// <summary>Adds the workers of every configured role.</summary>
    public static void AddRoles(this IServiceCollection services, WorkersConfiguration configuration, IConfiguration raw)
    {
        var failpoints = configuration.Workers.FailpointSocket is { } socket ? new Failpoints.Failpoints(socket) : null;
        if (configuration.Roles.Contains(Role.Control))
        {
            services.AddStore(raw);
            if (failpoints is not null)
            {
                services.AddSingleton(provider => new Database(provider.GetRequiredService<NpgsqlDataSource>(), () => failpoints.PassAsync(FailpointPhase.During)));
            }

            services.AddSingleton<RecordActivities>();
            services.AddSingleton<SnapshotActivities>();
            services.AddSingleton<ImageActivities>();
            services.AddSingleton<VolumeRecordActivities>();
            services.AddSingleton<IRunDirectory, TemporalRunDirectory>();
            services.AddSingleton<ReconcileActivities>();
            services.AddSingleton<OperationRepairActivities>();
            services.AddHostedService(provider => new ReconcileSchedule(provider.GetRequiredService<ITemporalClient>(), configuration));
            services.AddNotificationDelivery(configuration.Notifications);
            if (services.CollectsMetrics())
            {
                services.AddHostedService<ControlMetrics>();
            }

            services.Worker(configuration, Names.ControlQueue)
                .AddWorkflow<CreateImageWorkflow>()
                .AddWorkflow<PlanImageWorkflow>()
                .AddWorkflow<ReconcileWorkflow>()
                .AddWorkflow<CreateVolumeSnapshotWorkflow>()
                .AddWorkflow<DeleteSnapshotWorkflow>()
                .AddWorkflow<DeleteImageWorkflow>()
                .AddWorkflow<RestoreImageWorkflow>()
                .AddWorkflow<CreateVolumeWorkflow>()
                .AddWorkflow<DeleteVolumeWorkflow>()
                .AddSingletonActivities<RecordActivities>()
                .AddSingletonActivities<SnapshotActivities>()
                .AddSingletonActivities<ImageActivities>()
                .AddSingletonActivities<VolumeRecordActivities>()
                .AddSingletonActivities<ReconcileActivities>()
                .AddSingletonActivities<OperationRepairActivities>();
        }

        if (configuration.Roles.Contains(Role.Compute))
        {
            services.AddLeases(configuration);
            services.AddGuard(GuardDuty.Backup);
            services.AddHostedService<LeaseHousekeeping>();
            if (services.CollectsMetrics())
            {
                services.AddHostedService<ComputeMetrics>();
            }

            services.AddSingleton<IGuestAgents>(provider =>
            {
                var agents = new GuestAgents(configuration.GuestAgent, provider.GetRequiredService<TimeProvider>());
                return failpoints is null ? agents : new GuestAgentFailpoints(failpoints, agents);
            });
            services.AddSingleton(provider => new LeaseActivities(configuration.Compute.Host, provider.GetRequiredService<FreezeLeaseDirectory>()));
            services.Worker(configuration, Names.ComputeQueue(configuration.Compute.Host))
                .AddSingletonActivities<GuestActivities>()
                .AddSingletonActivities<LeaseActivities>()
                .ConfigureOptions().PostConfigure<IServiceProvider>((options, provider) => options.AddAllActivities(
                    ExaminationActivities.OfHost(provider.GetRequiredService<FreezeLeaseDirectory>(), provider.GetRequiredService<IHostClock>())));
        }

        if (configuration.Roles.Contains(Role.Volume))
        {
            foreach (var (backend, i) in configuration.Volume.Backends.Select((backend, i) => (backend, i)))
            {
                services.AddKeyedSingleton(backend.Name, (provider, _) =>
                {
                    var time = provider.GetRequiredService<TimeProvider>();
                    var section = $"Volume:Backends:{i}";
                    return failpoints is null
                        ? VolumeDrivers.Create(backend, time, section)
                        : new VolumeFailpoints(failpoints, VolumeDrivers.Create(backend, new VolumeClockFailpoints(failpoints, time), section));
                });
                services.Worker(configuration, Names.VolumeQueue(backend.Name)).ConfigureOptions().PostConfigure<IServiceProvider>((options, provider) =>
                {
                    var (driver, time) = (provider.GetRequiredKeyedService<IVolumeDriver>(backend.Name), provider.GetRequiredService<TimeProvider>());
                    // A guest stands still until the last of its cuts is fetched: all of them at once, where the SDK's own five would come back for more.
                    options.MaxConcurrentActivityTaskPolls = Pollers;
                    options.AddAllActivities(new VolumeActivities(driver, time));
                    options.AddAllActivities(new VolumeCloneActivities(driver, time));
                    options.AddAllActivities(ExaminationActivities.OfBackend(driver, backend.Root, time));
                });
            }
        }
    }

    /// <summary>Fails before any work is taken when the database has another shape, a lease directory cannot be used, or a back end cannot be reached.</summary>
    public static async Task CheckAsync(this IServiceProvider services, WorkersConfiguration configuration)
    {
        if (configuration.Roles.Contains(Role.Control))
        {
            Migrations.Check(services.GetRequiredService<IConfiguration>());
        }

        services.GetService<FreezeLeaseDirectory>();
        foreach (var backend in configuration.Volume.Backends)
        {
            if (services.GetKeyedService<IVolumeDriver>(backend.Name) is { } driver)
            {
                await driver.CheckAsync(CancellationToken.None);
            }
        }
    }

    private static ITemporalWorkerServiceOptionsBuilder Worker(this IServiceCollection services, WorkersConfiguration configuration, string taskQueue)
    {
        var worker = services.AddHostedTemporalWorker(taskQueue).ConfigureOptions(options =>
        {
            options.GracefulShutdownTimeout = configuration.Workers.GracefulShutdown;
            // When a worker dies, the server waits this long before it offers the run's next task to another: a guest may be frozen meanwhile.
            options.StickyQueueScheduleToStartTimeout = TimeSpan.FromSeconds(1);
        });
        worker.ConfigureOptions().PostConfigure<IServiceProvider>((options, provider) =>
        {
            var lines = new TransitionLines(provider.GetRequiredService<ILogger<TransitionLines>>(), provider.GetRequiredService<TimeProvider>());
            options.Interceptors = configuration.Workers.FailpointSocket is { } socket ? [lines, new StepDetails(), new ActivityFailpoints(new Failpoints.Failpoints(socket))] : [lines, new StepDetails()];
        });
        return worker;
    }
}

/// <summary>What the process says about itself when it starts.</summary>
internal static partial class StartLog
{
    public static void Starting(this ILogger logger, WorkersConfiguration configuration)
    {
        if (configuration.Temporal is { } temporal)
        {
            Starting(logger, string.Join(", ", configuration.Roles.Order()).ToLowerInvariant(), temporal.TargetHost!, temporal.Namespace);
        }
    }

    [LoggerMessage(1, LogLevel.Information, "Serving the roles {Roles} for Temporal at {Address}, namespace {Namespace}")]
    private static partial void Starting(ILogger logger, string roles, string address, string @namespace);
}
