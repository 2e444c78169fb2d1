using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using SnapshotFlow.Api.Identity.Development;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>The api in this process, on a free loopback port, with a database and a users file of its own; or the same once more, as other users see it.</summary>
public sealed class ApiUnderTest : IAsyncDisposable
{
    private readonly ApiUnderTest? host;
    private readonly List<TestTokens> everybody;
    private readonly string directory;
    private readonly HttpClient client;
    private WebApplication? app;

    private ApiUnderTest(ApiUnderTest? host)
    {
        this.host = host;
        everybody = host?.everybody ?? [];
        directory = host?.directory ?? Directory.CreateTempSubdirectory("snapshotflow-api-").FullName;
        client = host?.client ?? new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1 });
        app = host?.app;
        everybody.Add(Tokens);
    }

    public TestTokens Tokens { get; } = new();

    public string UsersFile => Path.Combine(directory, "users.yaml");

    public Uri Url { get; private set; } = null!;

    public T Service<T>() where T : notnull => app!.Services.GetRequiredService<T>();

    /// <param name="database">Connection string.</param>
    /// <param name="temporal">host:port; null for a port where nobody listens.</param>
    /// <param name="settings">More configuration, as on the command line.</param>
    public static Task<ApiUnderTest> StartAsync(string database, string? temporal = null, params string[] settings) => StartAsync(database, temporal, null, settings);

    /// <inheritdoc cref="StartAsync(string, string?, string[])"/>
    /// <param name="log">Hears what is logged.</param>
    public static async Task<ApiUnderTest> StartAsync(string database, string? temporal, ILoggerProvider? log, string[] settings)
    {
        var api = new ApiUnderTest(host: null);
        await api.WriteUsersAsync();
        api.app = SnapshotFlow.Api.Program.Build(
        [
            "--urls=http://127.0.0.1:0", $"--Store:ConnectionString={database}", "--Identity:Auth=development",
            $"--Identity:Development:UsersFile={api.UsersFile}",
            $"--TEMPORAL_ADDRESS={temporal ?? "127.0.0.1:1"}", "--Logging:LogLevel:Default=Error", .. settings,
        ]);
        if (log is not null)
        {
            api.Service<ILoggerFactory>().AddProvider(log);
        }

        await api.app.StartAsync();
        api.Url = new(api.app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        api.client.BaseAddress = api.Url;
        await api.IssueTokensAsync();
        return api;
    }

    /// <summary>
    /// The same running api for other users, whose projects have nothing yet: for a test of whole lists, which need not wait for an api of its own. What administrators
    /// see of every project, and what is public, is not kept apart. One test at a time.
    /// </summary>
    public async Task<ApiUnderTest> AnewAsync()
    {
        var anew = new ApiUnderTest(host ?? this) { Url = Url };
        await anew.WriteUsersAsync();
        await anew.IssueTokensAsync();
        return anew;
    }

    public Task<Answer> GetAsync(string path, string? token, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Get, path, token, null, headers);

    public Task<Answer> PostAsync(string path, string? token, object body, params (string Name, string Value)[] headers) =>
        PostTextAsync(path, token, JsonSerializer.Serialize(body), "application/json", headers);

    public Task<Answer> DeleteAsync(string path, string? token, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Delete, path, token, null, headers);

    public Task<Answer> PostTextAsync(string path, string? token, string body, string contentType, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Post, path, token, new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = MediaTypeHeaderValue.Parse(contentType) } }, headers);

    /// <summary>Sends a request as it is.</summary>
    public async Task<Answer> SendAsync(HttpRequestMessage request)
    {
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return new(response.StatusCode, response, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public Task<Answer> CreateImageAsync(object server, string? token, object createImage, params (string Name, string Value)[] headers) =>
        PostAsync($"/compute/v2.1/servers/{server}/action", token, new Dictionary<string, object> { ["createImage"] = createImage }, headers);

    public async Task<Answer> SendAsync(HttpMethod method, string path, string? token, HttpContent? content, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (token is not null)
        {
            request.Headers.Add("X-Auth-Token", token);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return new(response.StatusCode, response, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Asks as a browser does that has a session. Of what never ends, only the beginning is waited for.</summary>
    public async Task<Answer> BrowseAsync(HttpMethod method, string path, string? session, IReadOnlyDictionary<string, string>? form = null, string site = "same-origin", params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = form is null ? null : new FormUrlEncodedContent(form) };
        request.Headers.Add("Sec-Fetch-Site", site);
        if (session is not null)
        {
            request.Headers.Add("Cookie", $"snapshotflow={session}");
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        if (response.Content.Headers.ContentType?.MediaType is "text/event-stream")
        {
            response.Dispose();
            return new(response.StatusCode, response, "");
        }

        return new(response.StatusCode, response, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Whole or not at all: the api reads the file whenever it has changed.</summary>
    private async Task WriteUsersAsync()
    {
        await File.WriteAllTextAsync(UsersFile + ".new", TestTokens.YamlOf(everybody));
        File.Move(UsersFile + ".new", UsersFile, overwrite: true);
    }

    private async Task IssueTokensAsync()
    {
        try
        {
            await Tokens.IssueAsync(Service<UserDirectory>().Users, Service<DevelopmentTokenStore>(), CancellationToken.None);
        }
        catch (Exception e) when (e is SnapshotFlowException or NpgsqlException)
        {
            // A test without a database is about what happens then: its requests get as far as the look-up of their token.
        }
    }

    /// <summary>A server of the tests' project, or of another, with so many volumes.</summary>
    public async Task<Server> RegisterServerAsync(Func<Server, Server>? change = null, string? project = null, int volumes = 1)
    {
        var server = Given.Server(project ?? Tokens.Project);
        server = change?.Invoke(server) ?? server;
        var disks = Enumerable.Range(0, volumes).Select(i => Given.Volume(server.ProjectId, bootable: i == 0)).ToArray();
        await Service<ServerStore>().RegisterAsync(Given.Registration(server, disks), Given.Now, TestContext.Current.CancellationToken);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        if (host is not null)
        {
            // It is still somebody's.
            return;
        }

        client.Dispose();
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }

        Directory.Delete(directory, recursive: true);
    }
}

/// <summary>One api for the tests of a class, with nobody behind it at Temporal's address: for what is decided before a run starts.</summary>
public sealed class ApiAlone(PrivatePostgres postgres) : IAsyncLifetime
{
    public ApiUnderTest Api { get; private set; } = null!;

    public PrivatePostgres Postgres => postgres;

    public async ValueTask InitializeAsync() => Api = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true));

    public ValueTask DisposeAsync() => Api.DisposeAsync();
}
