using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Tests.Api;

/// <summary>A wrong or missing value stops the process at its start, with the key's name.</summary>
public sealed class StoppingOnWrongConfiguration : IDisposable
{
    private const string Hash = "pbkdf2-sha512:1000:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    private const string Good = $$"""
        projects: [{id: p, name: demo}]
        users: [{id: u, name: demo, password: "{{Hash}}", roles: { demo: [member] } }]
        """;

    private readonly string directory = Directory.CreateTempSubdirectory("snapshotflow-api-").FullName;

    private string UsersFile => Path.Combine(directory, "users.yaml");

    private string[] Settings => ["--Store:ConnectionString=Host=127.0.0.1", "--Identity:Auth=development", $"--Identity:Development:UsersFile={UsersFile}", "--TEMPORAL_ADDRESS=127.0.0.1:1"];

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Good_configuration_is_good() => Assert.Equal("", await ProblemsAsync());

    [Theory]
    [InlineData("Store:ConnectionString", "--Store:ConnectionString=")]
    [InlineData("Store:ConnectionString", "--Store:ConnectionString=nonsense")]
    [InlineData("Identity:Auth", "--Identity:Auth=")]
    [InlineData("Identity:Auth", "--Identity:Auth=none")]
    [InlineData("Identity:Development:UsersFile", "--Identity:Development:UsersFile=")]
    [InlineData("Identity:Development:UsersFile", "--Identity:Development:UsersFile=/does/not/exist.yaml")]
    [InlineData("Identity:Development:TokenLifetime", "--Identity:Development:TokenLifetime=00:00:00")]
    [InlineData("Identity:Keystone:Url", "--Identity:Auth=keystone")]
    [InlineData("Identity:Keystone:Username", "--Identity:Auth=keystone")]
    [InlineData("Identity:Keystone:Password", "--Identity:Auth=keystone")]
    [InlineData("Policy:File", "--Policy:File=/does/not/exist.yaml")]
    [InlineData("TEMPORAL_ADDRESS", "--TEMPORAL_ADDRESS=nowhere")]
    [InlineData("Runs:AcceptTimeout", "--Runs:AcceptTimeout=00:00:00")]
    [InlineData("Runs:ProgressTimeout", "--Runs:ProgressTimeout=-00:00:01")]
    [InlineData("Api:PublicUrl", "--Api:PublicUrl=cloud.example")]
    public async Task The_key_is_named(string key, string setting) => Assert.Contains(key, await ProblemsAsync(setting), StringComparison.Ordinal);

    [Theory]
    [InlineData("Store:ConnectionString is missing: set the PostgreSQL connection string, for example ", "--Store:ConnectionString=")]
    [InlineData("Store:CommandTimeout must be between 1 second and 10 minutes.", "--Store:CommandTimeout=00:20:00")]
    [InlineData("Identity:Auth is missing: set it to keystone, or to development ", "--Identity:Auth=")]
    [InlineData("Identity:Auth is neither keystone nor development: set it to keystone, or to development ", "--Identity:Auth=none")]
    public async Task The_sentence_begins_with_the_key_and_says_what_is_wrong_with_it(string sentence, string setting) =>
        Assert.StartsWith(sentence, await ProblemsAsync(setting), StringComparison.Ordinal);

    [Fact]
    public async Task An_address_that_somebody_listens_on_is_said_in_a_sentence_too()
    {
        using var somebody = new TcpListener(IPAddress.Loopback, 0);
        somebody.Start();
        await File.WriteAllTextAsync(UsersFile, Good, TestContext.Current.CancellationToken);
        await using var app = SnapshotFlow.Api.Program.Build([.. Settings, $"--urls=http://{somebody.LocalEndpoint}", "--Logging:LogLevel:Default=None"]);
        var why = SnapshotFlow.Api.Program.WhyNot(await Assert.ThrowsAsync<IOException>(() => app.StartAsync(TestContext.Current.CancellationToken)));
        Assert.Equal(
            (1, $"Failed to bind to address http://{somebody.LocalEndpoint}: address already in use. Stop what listens there, or say where else to listen with urls, for example ASPNETCORE_URLS=http://127.0.0.1:8775"),
            (why.ExitCode, Assert.Single(why.Lines)));
    }

    [Theory]
    [InlineData("", "line 1: a mapping")]
    [InlineData("[]", "line 1: a mapping")]
    [InlineData("projects: [", "it is no YAML")]
    [InlineData("projects: []", "'users' is missing")]
    [InlineData("projects: []\nusers: []", "line 2: users: there is no user")]
    [InlineData("projects: []\nusers: []\ntokens: []", "line 3: tokens: there is no such key; known are projects, users, region")]
    [InlineData("projects: [{id: p, name: demo}, {id: p, name: other}]\nusers: []", "projects[1].id: another project has this id")]
    [InlineData("projects: [{id: p p, name: demo}]\nusers: []", "projects[0].id: an id has 1 to 64")]
    [InlineData("projects: []\nusers:\n- {id: u, name: u, password: open-sesame, roles: {}}", "line 3: users[0].password: it is no password hash")]
    [InlineData("projects: []\nusers:\n- {id: u, name: u, password: \"pbkdf2-sha512:1:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", roles: {}}", "between 1000 and 10000000 rounds, not 1")]
    [InlineData("projects: []\nusers:\n- {id: u, name: u, password: \"" + Hash + "\", roles: {demo: [member]}}", "users[0].roles.demo: there is no project 'demo'")]
    [InlineData("projects: [{id: p, name: demo}]\nusers:\n- {id: u, name: u, password: \"" + Hash + "\", default_project: demo, roles: {}}", "default_project: the user has no role in it")]
    public async Task A_wrong_users_file_is_named_with_line_and_key_and_no_password_is_quoted(string content, string part)
    {
        var problems = await ProblemsAsync(users: content);
        Assert.StartsWith("Identity:Development:UsersFile", problems, StringComparison.Ordinal);
        Assert.Contains(part, problems, StringComparison.Ordinal);
        Assert.DoesNotContain("open-sesame", problems, StringComparison.Ordinal);
    }

    private async Task<string> ProblemsAsync(string? setting = null, string users = Good)
    {
        await File.WriteAllTextAsync(UsersFile, users);
        try
        {
            await using var app = SnapshotFlow.Api.Program.Build([.. Settings, .. setting is null ? Array.Empty<string>() : [setting]]);
            app.Services.GetRequiredService<IStartupValidator>().Validate();
            return "";
        }
        catch (OptionsValidationException e)
        {
            return string.Join('\n', e.Failures);
        }
    }
}
