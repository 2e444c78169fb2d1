using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Client;

/// <summary>Tokens, catalog, projects: <c>openstack token issue</c>, <c>catalog list</c>, <c>project show</c>, and what the user reads when it goes wrong.</summary>
public sealed class KnowingWhoIAm(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    [Fact]
    public async Task Token_issue()
    {
        var token = (await Demo.RunAsync("token issue -f json")).Succeeds();
        Assert.Equal(Tokens.TenantProject, token["project_id"]);
        Assert.Equal(Tokens.TenantUser, token["user_id"]);
        Assert.NotEqual("", token["id"]);
    }

    [Fact]
    public async Task Token_revoke()
    {
        var token = (await Demo.RunAsync("token issue -f value -c id")).Succeeds().Out.Trim();
        (await Demo.RunAsync($"token revoke {token}")).Succeeds();
        (await Demo.RunAsync("server list", [.. WithToken("token", token)])).Fails("The request you have made requires authentication.", "HTTP 401");
    }

    /// <summary>The client refuses a token beside a user, so a user of it unsets the rest of the openrc file.</summary>
    private static IEnumerable<(string Name, string Value)> WithToken(string type, string token) =>
        [("OS_AUTH_TYPE", type), ("OS_TOKEN", token), ("OS_USERNAME", ""), ("OS_PASSWORD", ""), ("OS_USER_DOMAIN_NAME", "")];

    [Fact]
    public async Task A_token_is_enough_to_log_in_with()
    {
        var token = (await Demo.RunAsync("token issue -f value -c id")).Succeeds().Out.Trim();
        Assert.Contains("web", (await Demo.RunAsync("server list -f json", [.. WithToken("v3token", token)])).Succeeds().Column("Name"));
    }

    [Fact]
    public async Task Catalog_list()
    {
        var catalog = (await Demo.RunAsync("catalog list -f json")).Succeeds();
        Assert.Equal(["block-storage", "compute", "identity", "image", "volumev3"], catalog.Column("Type").Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("compute")]
    [InlineData("image")]
    [InlineData("volumev3")]
    [InlineData("identity")]
    public async Task Catalog_show(string type) => Assert.Equal(type, (await Demo.RunAsync($"catalog show {type} -f json")).Succeeds()["type"]);

    [Fact]
    public async Task Catalog_show_of_what_there_is_not() => Assert.Contains("service network not found", (await Demo.RunAsync("catalog show network")).Err, StringComparison.Ordinal);

    [Fact]
    public async Task Versions_show()
    {
        var versions = (await Demo.RunAsync("versions show -f json")).Succeeds();
        Assert.Equal(["block-storage", "compute", "identity", "image"], versions.Column("Service Type").Order(StringComparer.Ordinal));
        Assert.All(versions.Column("Status"), s => Assert.Equal("CURRENT", s));
    }

    [Fact]
    public async Task Project_show_and_list()
    {
        Assert.Equal(Tokens.TenantProject, (await Demo.RunAsync("project show demo -f json")).Succeeds()["id"]);
        Assert.Equal(["demo"], (await Demo.RunAsync("project list -f json")).Succeeds().Column("Name"));
        Assert.Equal(["admin", "demo", "other"], (await both.Admin.RunAsync("project list -f json")).Succeeds().Column("Name").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Project_show_of_somebody_elses() => (await Demo.RunAsync("project show other")).Fails("Policy doesn't allow identity:list_projects to be performed.");

    [Fact]
    public async Task User_list_and_role_list_are_for_administrators()
    {
        Assert.Equal(["admin", "demo", "other"], (await both.Admin.RunAsync("user list -f json")).Succeeds().Column("Name").Order(StringComparer.Ordinal));
        Assert.Contains("member", (await both.Admin.RunAsync("role list -f json")).Succeeds().Column("Name"));
        (await Demo.RunAsync("user list")).Fails("Policy doesn't allow identity:list_users to be performed.", "HTTP 403");
    }

    [Fact]
    public async Task A_wrong_password() =>
        (await Demo.RunAsync("server list", ("OS_PASSWORD", "wrong"))).Fails("The request you have made requires authentication. (HTTP 401)");

    [Fact]
    public async Task A_project_of_others() =>
        (await Demo.RunAsync("server list", ("OS_PROJECT_NAME", "other"))).Fails("The request you have made requires authentication. (HTTP 401)");

    [Fact]
    public async Task A_region_that_there_is_not() =>
        (await Demo.RunAsync("server list", ("OS_REGION_NAME", "Atlantis"))).Fails("endpoint for compute service in Atlantis region not found");
}
