using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workers.Notifications;

namespace SnapshotFlow.Tests.Unit;

public sealed class PostingNotifications
{
    private static readonly OutboxEntry Entry = new(
        7, new("snapshot.create.end", "snapshot.host1@file", "s-1", """{"status": "available"}""", new(2026, 8, 1, 10, 0, 0, TimeSpan.Zero)));

    [Fact]
    public async Task A_webhook_gets_the_envelope_of_an_OpenStack_notification_signed_with_its_key()
    {
        var receiver = new Receiver(HttpStatusCode.NoContent);
        await Sink(receiver, "key").DeliverAsync(Entry, TestContext.Current.CancellationToken);

        using var body = JsonDocument.Parse(receiver.Body!);
        Assert.Equal(["event_type", "message_id", "payload", "priority", "publisher_id", "timestamp"], body.RootElement.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.Equal(("snapshot.create.end", 7, "available"), (
            body.RootElement.GetProperty("event_type").GetString(), body.RootElement.GetProperty("message_id").GetInt64(), body.RootElement.GetProperty("payload").GetProperty("status").GetString()));
        Assert.Equal("sha256=" + Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes("key"), receiver.Body!)), receiver.Signature);
    }

    [Fact]
    public async Task A_webhook_without_a_key_gets_no_signature()
    {
        var receiver = new Receiver(HttpStatusCode.OK);
        await Sink(receiver, null).DeliverAsync(Entry, TestContext.Current.CancellationToken);
        Assert.Null(receiver.Signature);
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest)]
    [InlineData(HttpStatusCode.Redirect)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    public async Task Any_status_but_2xx_means_that_it_was_not_taken(HttpStatusCode status) =>
        await Assert.ThrowsAsync<HttpRequestException>(() => Sink(new(status), null).DeliverAsync(Entry, TestContext.Current.CancellationToken));

    [Fact]
    public async Task A_receiver_that_does_not_answer_in_time_has_not_taken_it() =>
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Sink(new(null), null, TimeSpan.FromMilliseconds(100)).DeliverAsync(Entry, TestContext.Current.CancellationToken));

    [Theory]
    [InlineData("ftp://x", "00:00:01", "00:05:00", "00:00:05", "WebhookUrl")]
    [InlineData("https://x", "00:00:00", "00:05:00", "00:00:05", "Interval")]
    [InlineData("https://x", "00:00:01", "02:00:00", "00:00:05", "LongestWait")]
    [InlineData("https://x", "00:00:01", "00:05:00", "00:00:10", "WebhookTimeout")]
    public void A_wrong_key_is_named(string url, string interval, string longestWait, string timeout, string key) => Assert.StartsWith(
        $"Notifications:{key}",
        Assert.Single(new NotificationOptions
        {
            WebhookUrl = url, Interval = TimeSpan.Parse(interval, null), LongestWait = TimeSpan.Parse(longestWait, null), WebhookTimeout = TimeSpan.Parse(timeout, null),
        }.Validate("Notifications")), StringComparison.Ordinal);

    private static WebhookSink Sink(Receiver receiver, string? secret, TimeSpan? timeout = null) =>
        new(new HttpClient(receiver), new("https://ops.example/hook"), secret, timeout ?? TimeSpan.FromSeconds(5));

    /// <summary>Answers with a status, or never.</summary>
    private sealed class Receiver(HttpStatusCode? status) : HttpMessageHandler
    {
        public byte[]? Body { get; private set; }

        public string? Signature { get; private set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Body = await request.Content!.ReadAsByteArrayAsync(cancellationToken);
            Signature = request.Headers.TryGetValues("X-SnapshotFlow-Signature", out var values) ? values.Single() : null;
            if (status is not { } known)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
                throw new InvalidOperationException("it never answers");
            }

            return new(known);
        }
    }
}
