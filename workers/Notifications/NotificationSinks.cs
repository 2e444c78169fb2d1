using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers.Notifications;

/// <summary>Takes notifications, each at least once; whatever it throws means that it has not taken this one.</summary>
public interface INotificationSink
{
    /// <summary>Names it in the outbox: never rename one.</summary>
    string Name { get; }

    /// <summary>Takes one.</summary>
    Task DeliverAsync(OutboxEntry entry, CancellationToken cancellationToken);
}

/// <summary>Writes notifications to the log.</summary>
public sealed partial class LogSink(ILogger<LogSink> logger) : INotificationSink
{
    /// <inheritdoc/>
    public string Name => "log";

    /// <inheritdoc/>
    public Task DeliverAsync(OutboxEntry entry, CancellationToken cancellationToken)
    {
        Log.Notified(logger, entry.Notification.EventType, entry.Notification.ResourceId, entry.Id, entry.Notification.Payload);
        return Task.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(500, LogLevel.Information, "{EventType} of {ResourceId}, notification {NotificationId}: {Payload}")]
        public static partial void Notified(ILogger logger, string eventType, string resourceId, long notificationId, string payload);
    }
}

/// <summary>
/// Posts notifications to a URL, in the envelope of oslo.messaging's notifications: <c>message_id</c>, <c>publisher_id</c>, <c>event_type</c>, <c>priority</c>,
/// <c>timestamp</c>, <c>payload</c>. The message id is the same for every attempt.
/// </summary>
public sealed class WebhookSink(HttpClient http, Uri url, string? secret, TimeSpan timeout) : INotificationSink
{
    /// <inheritdoc/>
    public string Name => "webhook";

    /// <inheritdoc/>
    public async Task DeliverAsync(OutboxEntry entry, CancellationToken cancellationToken)
    {
        var n = entry.Notification;
        using var payload = JsonDocument.Parse(n.Payload);
        var body = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object>
        {
            ["message_id"] = entry.Id,
            ["publisher_id"] = n.PublisherId,
            ["event_type"] = n.EventType,
            ["priority"] = "INFO",
            ["timestamp"] = n.CreatedAt.UtcDateTime,
            ["payload"] = payload.RootElement,
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };
        if (secret is not null)
        {
            request.Headers.Add("X-SnapshotFlow-Signature", "sha256=" + Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body)));
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        response.EnsureSuccessStatusCode();
    }
}
