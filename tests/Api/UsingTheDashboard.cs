using System.Net;
using SnapshotFlow.Api.Identity.Sessions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Sessions of people with a browser, and what the pages promise without one.</summary>
public sealed class UsingTheDashboard(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private const string Html = "text/html,application/xhtml+xml,*/*;q=0.8";

    private readonly ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_root_is_the_dashboard_to_a_browser_and_the_list_of_services_to_a_program()
    {
        var browser = await api.GetAsync("/", null, ("Accept", Html));
        Assert.Equal((HttpStatusCode.Found, "/dashboard"), (browser.Status, browser.Header("Location")));
        Assert.Equal("SnapshotFlow", (await api.GetAsync("/", null)).Json.GetProperty("name").GetString());
        Assert.Equal("Accept", browser.Header("Vary"));
    }

    [Fact]
    public async Task Who_is_not_signed_in_is_asked_to_and_comes_back_to_where_he_wanted_to_go()
    {
        var asked = await api.BrowseAsync(HttpMethod.Get, "/dashboard/runs?status=failed", null, headers: ("Accept", Html));
        Assert.Equal((HttpStatusCode.Found, "/dashboard/sign-in?next=%2Fdashboard%2Fruns%3Fstatus%3Dfailed"), (asked.Status, asked.Header("Location")));
        var signedIn = await SignInAsync(api.Tokens.Member, TestTokens.Password, next: "/dashboard/runs?status=failed");
        Assert.Equal((HttpStatusCode.Found, "/dashboard/runs?status=failed"), (signedIn.Status, signedIn.Header("Location")));
    }

    [Theory]
    [InlineData("https://elsewhere.example/dashboard")]
    [InlineData("//elsewhere.example")]
    [InlineData("/dashboard/../\\elsewhere.example")]
    [InlineData("/dashboardelsewhere")]
    [InlineData("javascript:alert(1)")]
    public async Task Nobody_is_sent_elsewhere_after_signing_in(string next) =>
        Assert.Equal("/dashboard", (await SignInAsync(api.Tokens.Member, TestTokens.Password, next: next)).Header("Location"));

    [Fact]
    public async Task A_session_is_a_cookie_that_scripts_and_other_sites_do_not_get_and_ends_when_signed_out()
    {
        var signedIn = await SignInAsync(api.Tokens.Member, TestTokens.Password);
        var cookie = signedIn.Header("Set-Cookie")!;
        Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("expires", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("/dashboard", signedIn.Header("Location"));
        var session = Uri.UnescapeDataString(cookie.Split('=')[1].Split(';')[0]);
        Assert.Equal(HttpStatusCode.OK, (await api.BrowseAsync(HttpMethod.Get, "/dashboard", session)).Status);

        var out_ = await api.BrowseAsync(HttpMethod.Post, "/dashboard/sign-out", session, new Dictionary<string, string> { ["proof"] = SessionCookie.ProofOf(session) });
        Assert.Equal((HttpStatusCode.Found, "/dashboard/sign-in"), (out_.Status, out_.Header("Location")));
        Assert.Contains("01 Jan 1970", out_.Header("Set-Cookie"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.BrowseAsync(HttpMethod.Get, "/dashboard", session)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.GetAsync("/runs", session)).Status);
    }

    [Fact]
    public async Task Behind_TLS_the_cookie_stays_on_TLS_and_on_this_host()
    {
        await using var own = await ApiUnderTest.StartAsync(await alone.Postgres.CreateDatabaseAsync(migrated: true), settings: "--Api:PublicUrl=https://cloud.example");
        var answer = await own.BrowseAsync(HttpMethod.Post, "/dashboard/sign-in", null, new Dictionary<string, string> { ["user"] = own.Tokens.Member, ["password"] = TestTokens.Password });
        Assert.StartsWith("__Host-snapshotflow=", answer.Header("Set-Cookie"), StringComparison.Ordinal);
        Assert.Contains("; secure", answer.Header("Set-Cookie"), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; path=/", answer.Header("Set-Cookie"), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_wrong_password_an_unknown_user_and_a_foreign_project_begin_no_session()
    {
        foreach (var answer in new[]
        {
            await SignInAsync(api.Tokens.Member, "wrong"), await SignInAsync("nobody-at-all", TestTokens.Password), await SignInAsync(api.Tokens.Member, TestTokens.Password, project: api.Tokens.OtherProject),
        })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, answer.Status);
            Assert.Null(answer.Header("Set-Cookie"));
            Assert.Contains("role=\"alert\"", answer.Text, StringComparison.Ordinal);
            Assert.DoesNotContain(TestTokens.Password, WebUtility.HtmlDecode(answer.Text), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_cookie_opens_pages_only_and_a_token_in_a_header_opens_the_API_only()
    {
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.BrowseAsync(HttpMethod.Get, "/runs", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.GetAsync("/dashboard", api.Tokens.Member)).Status);
    }

    [Theory]
    [InlineData("cross-site", true)]
    [InlineData("same-site", true)]
    [InlineData("none", true)]
    [InlineData("same-origin", false)]
    public async Task A_form_from_elsewhere_or_without_the_sessions_proof_does_nothing(string site, bool withProof)
    {
        var run = await RunAsync();
        Dictionary<string, string> form = withProof ? new() { ["proof"] = SessionCookie.ProofOf(api.Tokens.Member) } : new() { ["proof"] = SessionCookie.ProofOf(api.Tokens.Reader) };
        var answer = await api.BrowseAsync(HttpMethod.Post, $"/dashboard/runs/{run}/cancel", api.Tokens.Member, form, site);
        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
        Assert.Contains("This form", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_browser_that_does_not_say_where_a_form_is_from_must_say_its_origin()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/dashboard/sign-in") { Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["user"] = api.Tokens.Member, ["password"] = TestTokens.Password }) };
        Assert.Equal(HttpStatusCode.Forbidden, (await api.SendAsync(request)).Status);
        foreach (var (origin, status) in new[] { (api.Url.GetLeftPart(UriPartial.Authority), HttpStatusCode.Found), ("https://elsewhere.example", HttpStatusCode.Forbidden), ("null", HttpStatusCode.Forbidden) })
        {
            using var again = new HttpRequestMessage(HttpMethod.Post, "/dashboard/sign-in") { Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["user"] = api.Tokens.Member, ["password"] = TestTokens.Password }) };
            again.Headers.Add("Origin", origin);
            Assert.Equal(status, (await api.SendAsync(again)).Status);
        }
    }

    [Fact]
    public async Task What_callers_chose_is_text_on_every_page()
    {
        const string evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        var run = await RunAsync(evil);
        foreach (var path in new[] { "/dashboard", "/dashboard/runs", $"/dashboard/runs/{run}", $"/dashboard/runs/{Uri.EscapeDataString(evil)}" })
        {
            var page = await ReadAsync(path, api.Tokens.Member, "&lt;script&gt;alert");
            Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
            Assert.DoesNotContain("<img src=x", page, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pages_allow_no_script_or_style_but_their_own_files_and_are_kept_nowhere()
    {
        var page = await api.BrowseAsync(HttpMethod.Get, "/dashboard", api.Tokens.Member);
        var policy = page.Header("Content-Security-Policy")!;
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("no-store", page.Header("Cache-Control"));
        Assert.DoesNotContain("style=", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("http://", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page.Text, StringComparison.Ordinal);
        foreach (System.Text.RegularExpressions.Match asset in System.Text.RegularExpressions.Regex.Matches(page.Text, "/dashboard/assets/[^\"]+"))
        {
            var file = await api.GetAsync(asset.Value, null);
            Assert.Equal(HttpStatusCode.OK, file.Status);
            Assert.Contains("immutable", file.Header("Cache-Control"), StringComparison.Ordinal);
            Assert.DoesNotContain("https://", file.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_administrator_sees_findings_and_every_projects_quota_and_a_tenant_its_own_quota_and_no_finding()
    {
        var run = await RunAsync("of the tenant");
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.OtherProject, Quota.Snapshots, 7, Ct);
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.Project, Quota.Snapshots, 9, Ct);
        var key = new FindingKey(FindingKind.FrozenGuest, "a-forgotten-server on host1");
        await api.Service<Database>().WriteAsync(s => api.Service<FindingStore>().RecordAsync(s, [new(key, "compute.host1", "frozen too long", Given.Now, Given.Now)], [], Given.Now), Ct);

        await ReadAsync("/dashboard", api.Tokens.Admin, run.ToString(), "a-forgotten-server", api.Tokens.OtherProject);
        var tenant = await ReadAsync("/dashboard", api.Tokens.Member, run.ToString());
        var other = await ReadAsync("/dashboard", api.Tokens.OtherMember, "<td class=\"number\">7</td>");
        Assert.DoesNotContain("a-forgotten-server", tenant, StringComparison.Ordinal);
        Assert.DoesNotContain(run.ToString(), other, StringComparison.Ordinal);
        Assert.DoesNotContain("<td class=\"number\">9</td>", other, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restores_and_deletions_are_shown_to_their_project_and_to_administrators_only()
    {
        var operation = new Operation
        {
            Id = OperationId.New(), Kind = OperationKind.RestoreImage, ImageId = await RunAsync(), ProjectId = api.Tokens.Project, UserId = "u", RequestId = "req-1", Status = RunStatus.Running,
            StartedAt = TimeProvider.System.GetUtcNow(),
        };
        await api.Service<Database>().WriteAsync(s => api.Service<OperationStore>().OpenAsync(s, operation), Ct);

        var line = $"data-run=\"{operation.Id}\"";
        await ReadAsync("/dashboard", api.Tokens.Member, line);
        await ReadAsync("/dashboard", api.Tokens.Admin, line);
        Assert.DoesNotContain(line, (await api.BrowseAsync(HttpMethod.Get, "/dashboard", api.Tokens.OtherMember)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_runs_come_in_pages_and_by_status()
    {
        for (var i = 0; i < 51; i++)
        {
            await RunAsync($"page {i}");
        }

        var first = (await api.BrowseAsync(HttpMethod.Get, "/dashboard/runs?status=completed", api.Tokens.Member)).Text;
        var next = WebUtility.HtmlDecode(System.Text.RegularExpressions.Regex.Match(first, "rel=\"next\" href=\"([^\"]+)\"").Groups[1].Value);
        Assert.StartsWith("/dashboard/runs?status=completed&marker=", next, StringComparison.Ordinal);
        var second = await api.BrowseAsync(HttpMethod.Get, next, api.Tokens.Member);
        Assert.Equal(HttpStatusCode.OK, second.Status);
        Assert.Contains("data-run=", second.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("data-run=", (await api.BrowseAsync(HttpMethod.Get, "/dashboard/runs?status=refused", api.Tokens.Member)).Text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, (await api.BrowseAsync(HttpMethod.Get, "/dashboard/runs?status=odd", api.Tokens.Member)).Status);
    }

    [Fact]
    public async Task With_Keystone_people_sign_in_with_its_users_and_signing_out_ends_the_token_there()
    {
        await using var keystone = await FakeKeystone.StartAsync();
        keystone.Add("token-of-a-person", "p1", ["member", "reader"]);
        keystone.LogsIn["person"] = "token-of-a-person";
        await using var own = await ApiUnderTest.StartAsync(
            await alone.Postgres.CreateDatabaseAsync(migrated: true), settings:
            ["--Identity:Auth=keystone", $"--Identity:Keystone:Url={keystone.Url}", "--Identity:Keystone:Username=snapshotflow", "--Identity:Keystone:Password=service-secret"]);
        Assert.Contains("name=\"domain\"", (await own.BrowseAsync(HttpMethod.Get, "/dashboard/sign-in", null)).Text, StringComparison.Ordinal);
        Dictionary<string, string> Form(string password) => new() { ["user"] = "person", ["password"] = password, ["project"] = "p", ["domain"] = "Default" };

        Assert.Equal(HttpStatusCode.Unauthorized, (await own.BrowseAsync(HttpMethod.Post, "/dashboard/sign-in", null, Form("wrong"))).Status);
        Assert.Equal(HttpStatusCode.Found, (await own.BrowseAsync(HttpMethod.Post, "/dashboard/sign-in", null, Form("user-secret"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await own.BrowseAsync(HttpMethod.Get, "/dashboard", "token-of-a-person")).Status);
        await own.BrowseAsync(HttpMethod.Post, "/dashboard/sign-out", "token-of-a-person", new Dictionary<string, string> { ["proof"] = SessionCookie.ProofOf("token-of-a-person") });
        Assert.False(keystone.Known.ContainsKey("token-of-a-person"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await own.BrowseAsync(HttpMethod.Get, "/dashboard", "token-of-a-person")).Status);
        keystone.Broken = 500;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await own.BrowseAsync(HttpMethod.Post, "/dashboard/sign-in", null, Form("user-secret"))).Status);
    }

    private Task<Answer> SignInAsync(string user, string password, string? next = null, string? project = null)
    {
        Dictionary<string, string> form = new() { ["user"] = user, ["password"] = password, ["next"] = next ?? "", ["project"] = project ?? "" };
        return api.BrowseAsync(HttpMethod.Post, "/dashboard/sign-in", null, form);
    }

    /// <summary>A page once it shows something: what was read a moment ago is shown again.</summary>
    private async Task<string> ReadAsync(string path, string session, params string[] texts) =>
        (await Eventually.IsAsync(() => api.BrowseAsync(HttpMethod.Get, path, session), page => texts.All(text => page.Text.Contains(text, StringComparison.Ordinal)))).Text;

    /// <summary>A run of the member's project that is over.</summary>
    private async Task<ImageId> RunAsync(string name = "a run")
    {
        var image = ImageId.New();
        var run = Given.Run(api.Tokens.Project, image) with { Name = name, StartedAt = TimeProvider.System.GetUtcNow() };
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<RunStore>().OpenAsync(s, run);
                await api.Service<RunStore>().CloseAsync(s, image, run.RequestId, RunStatus.Completed, null, null, [], [], Given.Now);
            },
            Ct);
        return image;
    }
}
