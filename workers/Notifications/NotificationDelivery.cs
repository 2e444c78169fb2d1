using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers.Notifications;

/// <summary>Empties the outbox into every sink, each on its own: a sink that is broken holds up neither the others nor any run.</summary>
public sealed partial class NotificationDelivery(
    NotificationStore outbox, IEnumerable<INotificationSink> sinks, NotificationOptions options, TimeProvider time, ILogger<NotificationDelivery> logger) : BackgroundService
{
    /// <summary>What is delivered in one transaction.</summary>
    private const int BatchSize = 20;

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var all = sinks.ToList();
        var names = all.Select(s => s.Name).ToList();
        return Task.WhenAll(all.Select(sink => RunAsync(sink, names, stoppingToken)));
    }

    private async Task RunAsync(INotificationSink sink, IReadOnlyCollection<string> names, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                while (await OnceAsync(sink, names, stoppingToken) == BatchSize)
                {
                    // There may be more.
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops; what was not recorded is delivered again.
        }
    }

    private async Task<int> OnceAsync(INotificationSink sink, IReadOnlyCollection<string> names, CancellationToken stoppingToken)
    {
        try
        {
            var delivery = await outbox.DeliverAsync(sink.Name, names, sink.DeliverAsync, BatchSize, options.LongestWait, time.GetUtcNow(), stoppingToken);
            // A sink that is away refuses them all for the same reason: it is told once.
            foreach (var same in delivery.Refused.GroupBy(r => (r.Reason.GetType(), r.Reason.Message)))
            {
                Log.NotTaken(logger, sink.Name, same.Count(), same.First().ResourceId, same.First().Reason);
            }

            return delivery.Delivered;
        }
        catch (SnapshotFlowException e) when (e.Kind.IsRetryable())
        {
            Log.NoOutbox(logger, sink.Name, e);
            return 0;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(510, LogLevel.Warning, "The sink {Sink} has not taken notifications of {Resources} resources, of them {ResourceId}; they are tried again")]
        public static partial void NotTaken(ILogger logger, string sink, int resources, string resourceId, Exception exception);

        [LoggerMessage(511, LogLevel.Warning, "The outbox cannot be read for the sink {Sink}")]
        public static partial void NoOutbox(ILogger logger, string sink, Exception exception);
    }
}

internal static class NotificationServices
{
    public static void AddNotificationDelivery(this IServiceCollection services, NotificationOptions options)
    {
        services.AddSingleton(options);
        if (options.Log)
        {
            services.AddSingleton<INotificationSink, LogSink>();
        }

        if (options.WebhookUrl is { Length: > 0 } url)
        {
            services.AddSingleton<INotificationSink>(new WebhookSink(new HttpClient { Timeout = Timeout.InfiniteTimeSpan }, new(url), options.WebhookSecret, options.WebhookTimeout));
        }

        services.AddHostedService<NotificationDelivery>();
    }
}
