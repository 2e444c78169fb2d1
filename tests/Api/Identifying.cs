using System.Net;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Who calls, and what they may do.</summary>
public sealed class Identifying(ApiAlone alone, PrivatePostgres postgres) : IClassFixture<ApiAlone>
{
    private const string Message = "The request you have made requires authentication.";

    private readonly ApiUnderTest api = alone.Api;

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("unknown")]
    public async Task No_token_and_an_unknown_one_are_401_in_the_shape_of_each_service(string? token)
    {
        (await api.GetAsync("/compute/v2.1/servers", token)).IsFault(401, "unauthorized", Message);
        (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/snapshots", token)).IsFault(401, "unauthorized", Message);
        (await api.GetAsync("/runs", token)).IsFault(401, "unauthorized", Message);
        var image = await api.GetAsync("/image/v2/images", token);
        image.IsImageFault(401, "Unauthorized", Message);
        Assert.Equal($"Keystone uri=\"{api.Url}identity\"", image.Header("WWW-Authenticate"));
    }

    [Fact]
    public async Task Every_way_to_change_something_wants_a_token()
    {
        foreach (var path in new[] { "/runs", $"/runs/{Guid.NewGuid()}/cancel", $"/compute/v2.1/servers/{Guid.NewGuid()}/action", $"/compute/v2.1/p/servers/{Guid.NewGuid()}/action" })
        {
            (await api.PostAsync(path, null, new { })).IsFault(401, "unauthorized", Message);
        }
    }

    [Fact]
    public async Task A_bearer_token_is_as_good()
    {
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync("/runs", null, ("Authorization", $"Bearer {api.Tokens.Reader}"))).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.GetAsync("/runs", null, ("Authorization", $"Basic {api.Tokens.Reader}"))).Status);
        // The header that OpenStack knows decides when both are there.
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.GetAsync("/runs", "unknown", ("Authorization", $"Bearer {api.Tokens.Reader}"))).Status);
    }

    [Fact]
    public async Task A_role_that_means_nothing_here_may_do_nothing()
    {
        (await api.GetAsync("/compute/v2.1/servers", api.Tokens.Nobody)).IsFault(403, "forbidden", "Policy doesn't allow os_compute_api:servers:index to be performed.");
        (await api.GetAsync("/runs", api.Tokens.Nobody)).IsFault(403, "forbidden");
        (await api.GetAsync("/image/v2/images", api.Tokens.Nobody)).IsImageFault(403, "Forbidden", "Policy doesn't allow get_images to be performed.");
    }

    [Fact]
    public async Task A_changed_users_file_is_in_force_at_once_and_a_broken_one_changes_nothing()
    {
        await using var own = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true), settings: "--Logging:LogLevel:Default=None");
        var before = await File.ReadAllTextAsync(own.UsersFile, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", own.Tokens.Member)).Status);

        await WriteAsync(before.Replace("[member]", "[some_other_role]", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Forbidden, (await own.GetAsync("/runs", own.Tokens.Member)).Status);
        await WriteAsync(before.Replace("[some_other_role]", "[reader]", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", own.Tokens.Nobody)).Status);

        await WriteAsync("users: 7");
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", own.Tokens.Nobody)).Status);
        File.Delete(own.UsersFile);
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", own.Tokens.Nobody)).Status);

        Task WriteAsync(string yaml) => File.WriteAllTextAsync(own.UsersFile, yaml, TestContext.Current.CancellationToken);
    }
}
