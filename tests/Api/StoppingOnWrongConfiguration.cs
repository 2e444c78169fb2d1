using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Tests.Api;

/// <summary>A wrong or missing value stops the process at its start, with the key's name.</summary>
public sealed class StoppingOnWrongConfiguration : IDisposable
{
    private const string Good = """{"tokens": [{"token": "secret-token", "project_id": "p", "user_id": "u", "roles": ["member"]}]}""";

    private readonly string directory = Directory.CreateTempSubdirectory("snapshotflow-api-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Good_configuration_is_good() => Assert.Equal("", await ProblemsAsync());

    [Theory]
    [InlineData("Store:ConnectionString", "--Store:ConnectionString=")]
    [InlineData("Store:ConnectionString", "--Store:ConnectionString=nonsense")]
    [InlineData("Identity:TokenFile", "--Identity:TokenFile=")]
    [InlineData("Identity:TokenFile", "--Identity:TokenFile=/does/not/exist.json")]
    [InlineData("TEMPORAL_ADDRESS", "--TEMPORAL_ADDRESS=nowhere")]
    [InlineData("Runs:AcceptTimeout", "--Runs:AcceptTimeout=00:00:00")]
    [InlineData("Runs:ProgressTimeout", "--Runs:ProgressTimeout=-00:00:01")]
    [InlineData("Api:PublicUrl", "--Api:PublicUrl=cloud.example")]
    public async Task The_key_is_named(string key, string setting) => Assert.Contains(key, await ProblemsAsync(setting), StringComparison.Ordinal);

    [Theory]
    [InlineData("", "not a token file")]
    [InlineData("null", "object is expected")]
    [InlineData("[]", "not a token file")]
    [InlineData("""{"tokens": []}""", "no token")]
    [InlineData("""{"tokens": [{"token": "secret-token", "project_id": "p", "user_id": "u"}]}""", "not a token file")]
    [InlineData("""{"tokens": [{"token": "secret-token", "project_id": "p", "user_id": "u", "roles": []}]}""", "tokens[0].roles is empty")]
    [InlineData("""{"tokens": [{"token": "secret-token", "project_id": " ", "user_id": "u", "roles": ["member"]}]}""", "tokens[0].project_id is empty")]
    [InlineData("""{"tokens": [{"token": "secret-token", "project_id": "p", "user_id": "u", "roles": ["member"], "admin": true}]}""", "not a token file")]
    [InlineData("""{"tokens": [{"token": "secret-token", "project_id": "p", "user_id": "u", "roles": ["member"]}, {"token": "secret-token", "project_id": "q", "user_id": "u", "roles": ["member"]}]}""", "same token twice")]
    public async Task A_wrong_token_file_is_named_and_never_quoted(string content, string part)
    {
        var problems = await ProblemsAsync(tokens: content);
        Assert.StartsWith("Identity:TokenFile", problems, StringComparison.Ordinal);
        Assert.Contains(part, problems, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-token", problems, StringComparison.Ordinal);
    }

    private async Task<string> ProblemsAsync(string? setting = null, string tokens = Good)
    {
        var file = Path.Combine(directory, "tokens.json");
        await File.WriteAllTextAsync(file, tokens);
        string[] settings = ["--Store:ConnectionString=Host=127.0.0.1", $"--Identity:TokenFile={file}", "--TEMPORAL_ADDRESS=127.0.0.1:1", .. setting is null ? Array.Empty<string>() : [setting]];
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
