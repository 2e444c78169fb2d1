using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workers.Notifications;

namespace SnapshotFlow.Tests.Store;

/// <summary>The outbox: everything at least once, in order for each resource, and nobody waits for a sink that is broken.</summary>
public sealed class DeliveringNotifications : IAsyncLifetime, IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly string[] Both = ["log", "webhook"];
    private readonly StoreDatabase db;

    public DeliveringNotifications(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    // Every test sees an empty outbox.
    public async ValueTask InitializeAsync() => await db.ScalarAsync("DELETE FROM notifications");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Everything_is_delivered_in_order_and_only_once_when_nothing_goes_wrong()
    {
        await TellAsync("a1", "b1", "a2", "b2");
        var got = new List<string>();

        Assert.Equal((4, 0), await DeliverAsync("log", ["log"], got));
        Assert.Equal((0, 0), await DeliverAsync("log", ["log"], got));

        Assert.Equal(["a1", "b1", "a2", "b2"], got);
        Assert.Equal((0L, 0L), (await db.ScalarAsync("SELECT count(*) FROM notifications WHERE delivered_at IS NULL"), await db.ScalarAsync("SELECT count(*) FROM notification_deliveries")));
    }

    [Fact]
    public async Task What_a_sink_does_not_take_holds_back_its_own_resource_and_no_other_and_comes_again_in_order()
    {
        await TellAsync("a1", "b1", "a2", "b2");
        var got = new List<string>();

        Assert.Equal((2, 1), await DeliverAsync("log", ["log"], got, refuses: "a1"));
        Assert.Equal(["b1", "b2"], got);
        // Not before its time.
        Assert.Equal((0, 0), await DeliverAsync("log", ["log"], got));
        Assert.Equal((2, 0), await DeliverAsync("log", ["log"], got, Given.Now.AddSeconds(2)));

        Assert.Equal(["b1", "b2", "a1", "a2"], got);
    }

    [Fact]
    public async Task Why_a_sink_did_not_take_something_is_told_with_what_it_was_about_and_stands_in_the_log()
    {
        await TellAsync("a1", "b1", "c1", "a2");
        var log = new ListLog();
        var sink = new PickySink();
        using var delivering = new NotificationDelivery(db.Notifications, [sink], new() { Interval = TimeSpan.FromMilliseconds(20) }, TimeProvider.System, log);

        await delivering.StartAsync(TestContext.Current.CancellationToken);
        await sink.Refused.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        var lines = new List<(string Text, Exception? Why)>();
        while (lines.Count < 2)
        {
            lines.Add(await log.Lines.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
        }

        await delivering.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(
            [
                ("The sink picky has not taken notifications of 1 resources, of them b; they are tried again", "of b I have heard enough"),
                ("The sink picky has not taken notifications of 1 resources, of them c; they are tried again", "of c I have heard enough"),
            ],
            lines.Select(l => (l.Text, l.Why?.Message ?? "no reason")));
    }

    [Fact]
    public async Task A_broken_sink_keeps_no_other_from_getting_everything()
    {
        await TellAsync("a1", "a2");
        var (log, webhook) = (new List<string>(), new List<string>());
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(0, (await DeliverAsync("webhook", Both, webhook, Given.Now.AddMinutes(10 * i), refuses: "a1")).Delivered);
            await DeliverAsync("log", Both, log, Given.Now.AddMinutes(10 * i));
        }

        Assert.Equal(["a1", "a2"], log);
        Assert.Empty(webhook);
        Assert.Equal(2L, await db.ScalarAsync("SELECT count(*) FROM notifications WHERE delivered_at IS NULL"));
        await DeliverAsync("webhook", Both, webhook, Given.Now.AddHours(2));
        Assert.Equal(["a1", "a2"], webhook);
        Assert.Equal(0L, await db.ScalarAsync("SELECT count(*) FROM notifications WHERE delivered_at IS NULL"));
    }

    [Fact]
    public async Task Attempts_are_further_and_further_apart_up_to_a_limit()
    {
        await TellAsync("a1");
        var (now, waits) = (Given.Now, new List<double>());
        for (var i = 0; i < 12; i++)
        {
            await DeliverAsync("log", ["log"], [], now, refuses: "a1");
            var next = new DateTimeOffset((DateTime)(await db.ScalarAsync("SELECT next_attempt_at FROM notification_deliveries"))!, TimeSpan.Zero);
            waits.Add((next - now).TotalSeconds);
            now = next;
        }

        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300], waits);
    }

    [Fact]
    public async Task Two_that_deliver_at_once_keep_the_order_and_deliver_nothing_twice()
    {
        await TellAsync([.. Enumerable.Range(0, 30).Select(i => $"{(char)('a' + (i % 3))}{i}")]);
        var got = new List<string>();
        var hold = new TaskCompletionSource();
        var first = db.Notifications.DeliverAsync(
            "log", ["log"],
            async (entry, _) =>
            {
                await hold.Task;
                got.Add(entry.Notification.Payload);
            },
            100, TimeSpan.FromMinutes(5), Given.Now, None);
        var second = await DeliverAsync("log", ["log"], got);
        hold.SetResult();

        Assert.Equal(30, (await first).Delivered + second.Delivered);
        Assert.Equal(30, got.Distinct().Count());
    }

    [Fact]
    public async Task What_was_delivered_when_the_process_died_is_delivered_again()
    {
        await TellAsync("a1", "a2");
        var got = new List<string>();
        using var dies = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => db.Notifications.DeliverAsync(
            "log", ["log"],
            async (entry, ct) =>
            {
                got.Add(Event(entry));
                if (got.Count == 2)
                {
                    await dies.CancelAsync();
                    ct.ThrowIfCancellationRequested();
                }
            },
            100, TimeSpan.FromMinutes(5), Given.Now, dies.Token));

        await DeliverAsync("log", ["log"], got);

        Assert.Equal(["a1", "a2", "a1", "a2"], got);
    }

    /// <summary>Whatever the sinks refuse, and whenever, each gets everything of each resource in its order.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Sinks_that_fail_at_random_get_everything_in_order(int seed)
    {
        var random = new Random(seed);
        await TellAsync([.. Enumerable.Range(0, 60).Select(i => $"{(char)('a' + random.Next(5))}{i}")]);
        var got = Both.ToDictionary(s => s, _ => new List<string>());
        var now = Given.Now;
        for (var round = 0; round < 400 && got.Values.Any(g => g.Count < 60); round++)
        {
            foreach (var sink in Both)
            {
                await db.Notifications.DeliverAsync(
                    sink, Both,
                    (entry, _) =>
                    {
                        if (random.Next(3) == 0)
                        {
                            throw new InvalidOperationException("not now");
                        }

                        got[sink].Add(Event(entry));
                        return Task.CompletedTask;
                    },
                    7, TimeSpan.FromMinutes(5), now, None);
            }

            now = now.AddMinutes(10);
        }

        Assert.All(got.Values, events =>
        {
            Assert.Equal(60, events.Distinct().Count());
            Assert.All(events.GroupBy(e => e[0]), g => Assert.Equal(g.OrderBy(e => int.Parse(e[1..], null)), g));
        });
        Assert.Equal(0L, await db.ScalarAsync("SELECT count(*) FROM notifications WHERE delivered_at IS NULL"));
    }

    private static string Event(OutboxEntry entry) => entry.Notification.EventType;

    private async Task<(int Delivered, int Failed)> DeliverAsync(string sink, IReadOnlyCollection<string> sinks, List<string> got, DateTimeOffset? now = null, string? refuses = null)
    {
        var delivery = await db.Notifications.DeliverAsync(
            sink, sinks,
            (entry, _) =>
            {
                if (Event(entry) == refuses)
                {
                    throw new InvalidOperationException("no");
                }

                got.Add(Event(entry));
                return Task.CompletedTask;
            },
            100, TimeSpan.FromMinutes(5), now ?? Given.Now, None);
        return (delivery.Delivered, delivery.Refused.Count);
    }

    /// <summary>Events named for their resource, the first letter.</summary>
    private Task TellAsync(params string[] events) => db.Database.WriteAsync(
        s => db.Notifications.AddAsync(s, events.Select(e => new Notification(e, "snapshot.host1@file", e[..1], $$"""{"event": "{{e}}"}""", Given.Now))), None);

    /// <summary>Takes what is about a.</summary>
    private sealed class PickySink : INotificationSink
    {
        private int refused;

        public TaskCompletionSource Refused { get; } = new();

        public string Name => "picky";

        public Task DeliverAsync(OutboxEntry entry, CancellationToken cancellationToken)
        {
            if (entry.Notification.ResourceId == "a")
            {
                return Task.CompletedTask;
            }

            if (Interlocked.Increment(ref refused) == 2)
            {
                Refused.TrySetResult();
            }

            throw new InvalidOperationException($"of {entry.Notification.ResourceId} I have heard enough");
        }
    }

    private sealed class ListLog : ILogger<NotificationDelivery>
    {
        public Channel<(string Text, Exception? Why)> Lines { get; } = Channel.CreateUnbounded<(string, Exception?)>();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Writer.TryWrite((formatter(state, exception), exception));
    }
}
