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
        var file = Path.Combine(directory, "users.yaml");
        await File.WriteAllTextAsync(file, users);
        string[] settings = ["--Store:ConnectionString=Host=127.0.0.1", "--Identity:Auth=development", $"--Identity:Development:UsersFile={file}", "--TEMPORAL_ADDRESS=127.0.0.1:1", .. setting is null ? Array.Empty<string>() : [setting]];
        try
        {
            await using var app = SnapshotFlow.Api.Program.Build(settings);
            app.Services.GetRequiredService<IStartupValidator>().Validate();
            return "";
        }
        catch (OptionsValidationException e)
        {
            return string.Join('\n', e.Failures);
        }
    }
}
