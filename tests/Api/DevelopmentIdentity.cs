using System.Net;
using System.Text.Json;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>The Identity API that development brings along, as keystoneauth uses it.</summary>
public sealed class DevelopmentIdentity(ApiAlone alone, PrivatePostgres postgres) : IClassFixture<ApiAlone>
{
    private const string Refused = "The request you have made requires authentication.";

    private readonly ApiUnderTest api = alone.Api;

    private string Tokens => "/identity/v3/auth/tokens";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_password_gets_a_token_for_a_project_with_roles_and_a_catalog_that_leads_here()
    {
        var answer = await LogInAsync(api.Tokens.Member, project: new { name = api.Tokens.Project, domain = new { id = "default" } });
        Assert.Equal(HttpStatusCode.Created, answer.Status);
        var token = answer.Json.GetProperty("token");
        Assert.Equal(["password"], Texts(token.GetProperty("methods")));
        Assert.Equal(api.Tokens.Project, token.GetProperty("project").GetProperty("id").GetString());
        Assert.Equal(["member", "reader"], token.GetProperty("roles").EnumerateArray().Select(r => r.GetProperty("name").GetString()!));
        var catalog = token.GetProperty("catalog").EnumerateArray().ToDictionary(s => s.GetProperty("type").GetString()!, s => s);
        Assert.Equal(["block-storage", "compute", "identity", "image", "volumev3"], catalog.Keys.Order(StringComparer.Ordinal));
        Assert.All(catalog.Values, s => Assert.Equal(["admin", "internal", "public"], s.GetProperty("endpoints").EnumerateArray().Select(e => e.GetProperty("interface").GetString()!).Order(StringComparer.Ordinal)));
        Assert.Equal($"{api.Url}volume/v3/{api.Tokens.Project}", UrlOf(catalog["volumev3"]));
        Assert.Equal($"{api.Url}compute/v2.1", UrlOf(catalog["compute"]));

        // Every address of the catalog answers, with the token or without.
        foreach (var url in catalog.Values.Select(UrlOf))
        {
            var status = (int)(await api.GetAsync(new Uri(url).AbsolutePath, null)).Status;
            Assert.True(status is 200 or 300 or 404, $"{url}: {status}");
        }

        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync("/runs", answer.Header("X-Subject-Token"))).Status);
    }

    [Fact]
    public async Task Without_a_scope_the_token_is_for_the_default_project_or_for_none()
    {
        Assert.Equal(api.Tokens.Project, (await LogInAsync(api.Tokens.Member)).Json.GetProperty("token").GetProperty("project").GetProperty("id").GetString());
        var none = await LogInAsync(api.Tokens.Reader);
        Assert.False(none.Json.GetProperty("token").TryGetProperty("project", out _));
        Assert.False(none.Json.GetProperty("token").TryGetProperty("catalog", out _));
        var token = none.Header("X-Subject-Token");
        (await api.GetAsync("/runs", token)).IsFault(403, "forbidden");
        (await api.GetAsync("/compute/v2.1/servers", token)).IsFault(403, "forbidden");

        // It is good for finding out where one may go, and for going there.
        var projects = (await api.GetAsync("/identity/v3/auth/projects", token)).Json.GetProperty("projects");
        Assert.Equal(api.Tokens.Project, Assert.Single(projects.EnumerateArray()).GetProperty("id").GetString());
        var scoped = await PostAsync(new { methods = new[] { "token" }, token = new { id = token } }, new { project = new { id = api.Tokens.Project } });
        Assert.Equal(["password", "token"], Texts(scoped.Json.GetProperty("token").GetProperty("methods")));
        Assert.Equal(none.Json.GetProperty("token").GetProperty("expires_at").GetString(), scoped.Json.GetProperty("token").GetProperty("expires_at").GetString());
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync("/runs", scoped.Header("X-Subject-Token"))).Status);
    }

    [Fact]
    public async Task A_wrong_password_an_unknown_user_and_a_project_of_others_are_all_the_same_401()
    {
        (await LogInAsync(api.Tokens.Member, password: "wrong")).IsImageFault(401, "Unauthorized", Refused);
        (await LogInAsync("nobody at all")).IsImageFault(401, "Unauthorized", Refused);
        (await LogInAsync(api.Tokens.Member, project: new { id = api.Tokens.OtherProject })).IsImageFault(401, "Unauthorized", Refused);
        (await LogInAsync(api.Tokens.Member, project: new { id = "none" })).IsImageFault(401, "Unauthorized", Refused);
        (await LogInAsync(api.Tokens.Member, domain: "Elsewhere")).IsImageFault(401, "Unauthorized", Refused);
        (await PostAsync(new { methods = new[] { "token" }, token = new { id = "no token" } }, null)).IsImageFault(401, "Unauthorized", Refused);
        Assert.Equal(401, (int)(await PostAsync(new { methods = new[] { "totp" }, totp = new { } }, null)).Status);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"auth": null}""")]
    [InlineData("""{"auth": {"identity": {}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": []}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": "password"}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": ["password"]}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "u", "password": 7}}}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "u", "password": "secret-password"}}}}}""")]
    [InlineData("""{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "u", "password": "secret-password"}}}, "scope": {}}}""")]
    public async Task A_body_that_asks_for_nothing_is_400_and_never_shows_a_password(string body)
    {
        var answer = await api.PostTextAsync(Tokens, null, body, "application/json");
        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal("Bad Request", answer.Json.GetProperty("error").GetProperty("title").GetString());
        Assert.DoesNotContain("secret-password", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_can_be_shown_checked_and_revoked_by_its_owner()
    {
        var token = (await LogInAsync(api.Tokens.Member)).Header("X-Subject-Token")!;
        var shown = await api.GetAsync(Tokens, token, ("X-Subject-Token", token));
        Assert.Equal(api.Tokens.Member, shown.Json.GetProperty("token").GetProperty("user").GetProperty("name").GetString());
        Assert.Equal(token, shown.Header("X-Subject-Token"));
        Assert.False((await api.GetAsync(Tokens + "?nocatalog", token, ("X-Subject-Token", token))).Json.GetProperty("token").TryGetProperty("catalog", out _));
        Assert.Equal(HttpStatusCode.OK, (await api.SendAsync(HttpMethod.Head, Tokens, token, null, ("X-Subject-Token", token))).Status);

        Assert.Equal(HttpStatusCode.NoContent, (await api.SendAsync(HttpMethod.Delete, Tokens, token, null, ("X-Subject-Token", token))).Status);
        (await api.GetAsync("/runs", token)).IsFault(401, "unauthorized", Refused);
        (await api.GetAsync(Tokens, api.Tokens.Admin, ("X-Subject-Token", token))).IsImageFault(404, "Not Found", "Could not find token.");
    }

    [Fact]
    public async Task A_token_of_somebody_else_is_for_administrators_to_look_at()
    {
        var token = (await LogInAsync(api.Tokens.OtherMember, project: new { id = api.Tokens.OtherProject })).Header("X-Subject-Token")!;
        Assert.Equal(403, (int)(await api.GetAsync(Tokens, api.Tokens.Member, ("X-Subject-Token", token))).Status);
        Assert.Equal(403, (int)(await api.SendAsync(HttpMethod.Delete, Tokens, api.Tokens.Member, null, ("X-Subject-Token", token))).Status);
        Assert.Equal(200, (int)(await api.GetAsync(Tokens, api.Tokens.Admin, ("X-Subject-Token", token))).Status);
        Assert.Equal(400, (int)(await api.GetAsync(Tokens, api.Tokens.Admin)).Status);
    }

    [Fact]
    public async Task Projects_and_users_are_for_administrators_and_ones_own()
    {
        Assert.Equal(3, (await api.GetAsync("/identity/v3/projects", api.Tokens.Admin)).Json.GetProperty("projects").GetArrayLength());
        Assert.Single((await api.GetAsync($"/identity/v3/projects?name={api.Tokens.Project}", api.Tokens.Admin)).Json.GetProperty("projects").EnumerateArray());
        Assert.Equal(403, (int)(await api.GetAsync("/identity/v3/projects", api.Tokens.Member)).Status);
        Assert.Equal(200, (int)(await api.GetAsync($"/identity/v3/projects/{api.Tokens.Project}", api.Tokens.Member)).Status);
        Assert.Equal(403, (int)(await api.GetAsync($"/identity/v3/projects/{api.Tokens.OtherProject}", api.Tokens.Member)).Status);
        Assert.Equal(403, (int)(await api.GetAsync("/identity/v3/projects/none", api.Tokens.Member)).Status);
        Assert.Equal(404, (int)(await api.GetAsync("/identity/v3/projects/none", api.Tokens.Admin)).Status);
        Assert.Equal(200, (int)(await api.GetAsync($"/identity/v3/users/{api.Tokens.Member}", api.Tokens.Member)).Status);
        Assert.Equal(403, (int)(await api.GetAsync($"/identity/v3/users/{api.Tokens.OtherMember}", api.Tokens.Member)).Status);
        Assert.DoesNotContain("pbkdf2", (await api.GetAsync("/identity/v3/users", api.Tokens.Admin)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_password_in_the_users_file_ends_the_tokens_of_the_old_one()
    {
        await using var own = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true));
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", own.Tokens.Member)).Status);
        var file = await File.ReadAllTextAsync(own.UsersFile, Ct);
        await File.WriteAllTextAsync(own.UsersFile, System.Text.RegularExpressions.Regex.Replace(file, "pbkdf2-sha512[^\"]*", Model.PasswordHash.Of("another", 1000).ToString()), Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, (await own.GetAsync("/runs", own.Tokens.Member)).Status);
    }

    [Fact]
    public async Task A_token_ends_with_its_time_and_is_good_for_a_service_that_finishes_the_work()
    {
        await using var own = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true), settings: ["--Identity:ServiceTokenRoles:0=admin"]);
        var store = own.Service<SnapshotFlow.Store.DevelopmentTokenStore>();
        var user = own.Service<SnapshotFlow.Api.Identity.Development.UserDirectory>().Users.User(own.Tokens.Member)!;
        var now = TimeProvider.System.GetUtcNow();
        await store.AddAsync("over", new() { UserId = user.Id, ProjectId = own.Tokens.Project, Credential = user.Credential, IssuedAt = now.AddHours(-2), ExpiresAt = now.AddHours(-1) }, now.AddDays(-9), Ct);

        Assert.Equal(HttpStatusCode.Unauthorized, (await own.GetAsync("/runs", "over")).Status);
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync("/runs", "over", ("X-Service-Token", own.Tokens.Admin))).Status);
        // Who passes requests on must be a service, and known.
        Assert.Equal(HttpStatusCode.Unauthorized, (await own.GetAsync("/runs", "over", ("X-Service-Token", own.Tokens.Member))).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await own.GetAsync("/runs", own.Tokens.Member, ("X-Service-Token", "unknown"))).Status);
    }

    [Fact]
    public async Task The_version_documents_lead_to_version_3()
    {
        var all = await api.GetAsync("/identity", null);
        Assert.Equal(300, (int)all.Status);
        Assert.Equal("stable", Assert.Single(all.Json.GetProperty("versions").GetProperty("values").EnumerateArray()).GetProperty("status").GetString());
        Assert.Equal($"{api.Url}identity/v3/", (await api.GetAsync("/identity/v3", null)).Json.GetProperty("version").GetProperty("links")[0].GetProperty("href").GetString());
    }

    private Task<Answer> LogInAsync(string user, string password = TestTokens.Password, object? project = null, string domain = "Default") => PostAsync(
        new { methods = new[] { "password" }, password = new { user = new { name = user, password, domain = new { name = domain } } } },
        project is null ? null : new { project });

    private Task<Answer> PostAsync(object identity, object? scope) =>
        api.PostAsync(Tokens, null, scope is null ? new { auth = new { identity } } : new { auth = new { identity, scope } });

    private static IEnumerable<string> Texts(JsonElement list) => list.EnumerateArray().Select(m => m.GetString()!);

    private static string UrlOf(JsonElement service) => service.GetProperty("endpoints")[0].GetProperty("url").GetString()!;
}
