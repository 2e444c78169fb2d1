using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Tokens that a Keystone vouches for.</summary>
public sealed class KeystoneIdentity(PrivatePostgres postgres) : IAsyncLifetime
{
    private FakeKeystone keystone = null!;

    public async ValueTask InitializeAsync() => keystone = await FakeKeystone.StartAsync();

    public ValueTask DisposeAsync() => keystone.DisposeAsync();

    [Fact]
    public async Task A_token_is_what_Keystone_says_it_is()
    {
        await using var api = await StartAsync();
        keystone.Add("alice", "project-a", ["member", "reader"]);
        keystone.Add("bob", "project-b", ["member", "reader"]);
        keystone.Add("root", "project-c", ["admin", "member", "reader"]);
        var server = await api.RegisterServerAsync(project: "project-a");

        Assert.Equal(200, (int)(await api.GetAsync($"/compute/v2.1/servers/{server.Id}", "alice")).Status);
        Assert.Equal(404, (int)(await api.GetAsync($"/compute/v2.1/servers/{server.Id}", "bob")).Status);
        Assert.Equal(200, (int)(await api.GetAsync($"/compute/v2.1/servers/{server.Id}", "root")).Status);
    }

    [Fact]
    public async Task Who_has_no_good_token_is_told_where_Keystone_is()
    {
        await using var api = await StartAsync();
        foreach (var token in new[] { null, "", "unknown", "ünknown" })
        {
            var answer = await api.GetAsync("/runs", token is "ünknown" ? null : token, token is "ünknown" ? [("X-Auth-Token", token)] : []);
            answer.IsFault(401, "unauthorized", "The request you have made requires authentication.");
            Assert.Equal($"Keystone uri=\"{keystone.Url}\"", answer.Header("WWW-Authenticate"));
        }

        var elsewhere = await StartAsync("--Identity:Keystone:PublicUrl=https://cloud.example/identity/v3");
        await using var _ = elsewhere;
        Assert.Equal("Keystone uri=\"https://cloud.example/identity/v3\"", (await elsewhere.GetAsync("/runs", null)).Header("WWW-Authenticate"));
    }

    [Fact]
    public async Task Keystone_is_asked_once_in_a_while_about_good_tokens_and_bad_ones()
    {
        await using var api = await StartAsync();
        keystone.Add("alice", "project-a", ["reader"]);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(200, (int)(await api.GetAsync("/runs", "alice")).Status);
            Assert.Equal(401, (int)(await api.GetAsync("/runs", "unknown")).Status);
        }

        Assert.Equal(["alice", "unknown"], keystone.Asked);
        Assert.Equal(1, keystone.LogIns);
    }

    [Fact]
    public async Task Without_a_cache_Keystone_is_asked_every_time()
    {
        await using var api = await StartAsync("--Identity:Keystone:CacheTime=00:00:00");
        keystone.Add("alice", "project-a", ["reader"]);
        Assert.Equal(200, (int)(await api.GetAsync("/runs", "alice")).Status);
        keystone.Known.Clear();
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "alice")).Status);
    }

    [Fact]
    public async Task The_service_account_logs_in_again_when_its_token_is_over()
    {
        await using var api = await StartAsync();
        keystone.Add("alice", "project-a", ["reader"]);
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "unknown")).Status);
        keystone.ForgetServiceToken();
        Assert.Equal(200, (int)(await api.GetAsync("/runs", "alice")).Status);
        Assert.Equal(2, keystone.LogIns);
    }

    [Fact]
    public async Task Keystone_away_broken_or_refusing_us_is_503_and_nobody_is_let_in()
    {
        await using var api = await StartAsync();
        keystone.Add("alice", "project-a", ["reader"]);
        foreach (var status in new[] { 500, 502, 403, 301, 200 })
        {
            keystone.Broken = status;
            var answer = await api.GetAsync("/runs", "alice");
            answer.IsFault(503, "serviceUnavailable", "The Keystone service is temporarily unavailable. Try again in a few seconds.");
            Assert.Equal("5", answer.Header("Retry-After"));
            Assert.Equal(200, (int)(await api.GetAsync("/health/live", "alice")).Status);
        }

        keystone.Broken = null;
        Assert.Equal(200, (int)(await api.GetAsync("/runs", "alice")).Status);

        await using var wrong = await StartAsync("--Identity:Keystone:Password=wrong");
        (await wrong.GetAsync("/runs", "alice")).IsFault(503, "serviceUnavailable");
        await using var away = await StartAsync("--Identity:Keystone:Url=http://127.0.0.1:1/v3");
        (await away.GetAsync("/image/v2/images", "alice")).IsImageFault(503, "Service Unavailable", "The Keystone service is temporarily unavailable. Try again in a few seconds.");
    }

    [Fact]
    public async Task A_service_may_finish_what_a_user_began()
    {
        await using var api = await StartAsync();
        keystone.Add("over", "project-a", ["reader"], TimeSpan.FromMinutes(-1));
        keystone.Expired["over"] = true;
        keystone.Add("nova", "service", ["service"]);
        keystone.Add("alice", "project-a", ["reader"]);
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "over")).Status);
        Assert.Equal(200, (int)(await api.GetAsync("/runs", "over", ("X-Service-Token", "nova"))).Status);
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "over", ("X-Service-Token", "alice"))).Status);
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "alice", ("X-Service-Token", "unknown"))).Status);
    }

    [Fact]
    public async Task A_token_that_ends_while_it_is_remembered_ends()
    {
        await using var api = await StartAsync();
        keystone.Add("brief", "project-a", ["reader"], TimeSpan.FromMinutes(-1));
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "brief")).Status);
    }

    [Fact]
    public async Task A_token_for_a_domain_or_for_everything_is_not_for_a_project()
    {
        await using var api = await StartAsync();
        keystone.Known["system"] = new { token = new { user = new { id = "u", name = "u" }, system = new { all = true }, roles = new[] { new { name = "admin" }, new { name = "reader" } }, expires_at = "2999-01-01T00:00:00.000000Z" } };
        (await api.GetAsync("/compute/v2.1/servers", "system")).IsFault(403, "forbidden");
        (await api.GetAsync("/runs", "system")).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task The_development_identity_is_not_there()
    {
        await using var api = await StartAsync();
        Assert.Equal(404, (int)(await api.GetAsync("/identity/v3", null)).Status);
        Assert.Equal(404, (int)(await api.PostAsync("/identity/v3/auth/tokens", null, new { })).Status);
    }

    [Fact]
    public async Task No_token_and_no_password_gets_into_a_log()
    {
        using var log = new Listener();
        await using var api = await StartAsync(log, "--Logging:LogLevel:Default=Trace", "--Logging:Console:LogLevel:Default=None");
        keystone.Add("alice-has-a-secret", "project-a", ["member", "reader"]);
        Assert.Equal(200, (int)(await api.GetAsync("/runs", "alice-has-a-secret")).Status);
        Assert.Equal(401, (int)(await api.GetAsync("/runs", "unknown-but-secret")).Status);
        keystone.Broken = 500;
        Assert.Equal(503, (int)(await api.GetAsync("/runs", "another-secret")).Status);
        Assert.NotEmpty(log.Lines);
        Assert.DoesNotContain(log.Lines, l => l.Contains("secret", StringComparison.Ordinal) || l.Contains("service-token", StringComparison.Ordinal));
    }

    private Task<ApiUnderTest> StartAsync(params string[] settings) => StartAsync(null, settings);

    private async Task<ApiUnderTest> StartAsync(ILoggerProvider? log, params string[] settings) => await ApiUnderTest.StartAsync(
        await postgres.CreateDatabaseAsync(migrated: true), null, log,
        [
            "--Identity:Auth=keystone", $"--Identity:Keystone:Url={keystone.Url}", "--Identity:Keystone:Username=snapshotflow", "--Identity:Keystone:Password=service-secret",
            "--Logging:LogLevel:Default=None", .. settings,
        ]);

    private sealed class Listener : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull
        {
            Lines.Enqueue(state.ToString() ?? "");
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue(formatter(state, exception) + exception);
    }
}
