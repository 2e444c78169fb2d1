using Microsoft.Playwright;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Dashboard;

/// <summary>The pages with a keyboard, to a screen reader, on a small screen, in the dark, and without scripts.</summary>
public sealed class ReachingEveryone(BrowserAndStack shared)
{
    /// <summary>What is wrong with a page for who cannot see it, or not well; checks of WCAG 2.2 that can be made without judgement.</summary>
    private const string Wrong = """
        () => {
          const wrong = [];
          const say = (what, e) => wrong.push(`${what}: ${e.outerHTML.slice(0, 120)}`);
          if (document.documentElement.lang !== "en") wrong.push("no language");
          if (!document.title) wrong.push("no title");
          for (const landmark of ["header", "main"]) if (document.querySelectorAll(landmark).length !== 1) wrong.push(`not one ${landmark}`);
          if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
          let level = 0;
          for (const h of document.querySelectorAll("h1,h2,h3,h4")) { const l = +h.tagName[1]; if (l > level + 1) say("heading skips a level", h); level = l; }
          const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
          for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push(`id twice: ${id}`);
          for (const e of document.querySelectorAll("input:not([type=hidden]),select,textarea,progress")) if (!e.labels?.length && !e.getAttribute("aria-label")) say("without label", e);
          for (const e of document.querySelectorAll("a,button")) if (!e.textContent.trim() && !e.getAttribute("aria-label")) say("without name", e);
          for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) say("without alt", e);
          for (const e of document.querySelectorAll("svg")) if (e.getAttribute("aria-hidden") !== "true" && !e.getAttribute("role")) say("drawing without words", e);
          for (const e of document.querySelectorAll("table")) if (!e.caption) say("without caption", e);
          for (const e of document.querySelectorAll("nav,section,dialog")) if (!e.getAttribute("aria-label") && !document.getElementById(e.getAttribute("aria-labelledby"))) say("unnamed region", e);
          for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) say("order of its own", e);
          // Contrast of every text with what is behind it: 4.5, or 3 for large text.
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const rgb = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
          const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
          const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const e = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest(".unseen,script,svg,option")) continue;
            const style = getComputedStyle(e), [a, b] = [light(rgb(style.color)), light(behind(e))].sort((x, y) => y - x), large = parseFloat(style.fontSize) >= 24;
            if ((a + .05) / (b + .05) < (large ? 3 : 4.5)) say(`contrast ${((a + .05) / (b + .05)).toFixed(2)}`, e);
          }
          return wrong;
        }
        """;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Every_page_has_names_landmarks_and_contrast_and_fits_a_small_screen(ColorScheme scheme)
    {
        await using var server = await shared.ServerAsync($"server-with-a-long-name-{scheme}");
        var image = await shared.Tenant.CreateImageAsync(server.Id, $"an image with quite a long name for a small screen, {scheme}", Ct);
        await shared.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct);
        await using var own = await shared.ServerAsync($"of-the-administrator-{scheme}", Tokens.AdminProject, withGuest: false);
        await using var visitor = await shared.VisitAsync(width: 390, height: 844, scheme: scheme);
        await visitor.Page.GotoAsync("/dashboard/sign-in");
        await CheckAsync("sign-in");
        await visitor.SignInAsync(shared.Stack.Accounts.Admin);
        foreach (var (name, path) in new[] { ("now", "/dashboard"), ("runs", "/dashboard/runs"), ("run", $"/dashboard/runs/{image}"), ("new", "/dashboard/new"), ("missing", "/dashboard/runs/none") })
        {
            await visitor.Page.GotoAsync(path);
            await CheckAsync(name);
        }

        async Task CheckAsync(string name)
        {
            await visitor.PictureAsync($"small-{name}-{scheme.ToString().ToLowerInvariant()}");
            Assert.Empty(await visitor.Page.EvaluateAsync<string[]>(Wrong));
            Assert.Equal(0, await visitor.Page.EvaluateAsync<int>("document.documentElement.scrollWidth - document.documentElement.clientWidth"));
        }
    }

    [Fact]
    public async Task Everything_is_reached_with_the_keyboard_and_what_has_the_focus_is_seen()
    {
        await using var server = await shared.ServerAsync("keyboard", withGuest: false);
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.Page.GotoAsync("/dashboard/new");
        List<string> reached = [];
        do
        {
            await visitor.Page.Keyboard.PressAsync("Tab");
            var (name, outline) = await FocusAsync(visitor.Page);
            reached.Add(name);
            Assert.True(outline > 0, $"the focus on '{name}' is not seen");
        }
        while (reached.Count < 25 && !reached[^1].StartsWith("Make the image", StringComparison.Ordinal));

        Assert.Equal("Skip to content", reached[0]);
        Assert.Contains("Sign out", reached);
        Assert.Contains("name", reached);
        Assert.Equal("Make the image", reached[^1]);
    }

    [Fact]
    public async Task What_has_the_focus_keeps_it_when_the_page_changes()
    {
        await using var server = await shared.ServerAsync("focus");
        var first = await shared.Tenant.CreateImageAsync(server.Id, "focused", Ct);
        await shared.Tenant.WaitForEndAsync(first, TimeSpan.FromMinutes(2), Ct);
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.WatchAsync("/dashboard");
        await visitor.SeesAsync("#recent tr", "focused");
        await visitor.Page.Locator($"#recent-{first}").FocusAsync();

        var next = await shared.Tenant.CreateImageAsync(server.Id, "after", Ct);
        await shared.Tenant.WaitForEndAsync(next, TimeSpan.FromMinutes(2), Ct);
        await visitor.SeesAsync("#recent tr", "after");
        Assert.Equal($"recent-{first}", await visitor.Page.EvaluateAsync<string>("document.activeElement.id"));
        Assert.True(await visitor.NeverReloadedAsync());
    }

    [Fact]
    public async Task A_session_that_ends_elsewhere_leads_back_to_signing_in_and_no_address_holds_a_token()
    {
        await using var visitor = await shared.VisitAsync();
        await visitor.SignInAsync(shared.Stack.Accounts.Tenant);
        List<string> addresses = [];
        visitor.Page.Request += (_, request) => addresses.Add(request.Url);
        await visitor.WatchAsync("/dashboard");
        var cookie = Assert.Single(await visitor.Page.Context.CookiesAsync());
        Assert.True(cookie.HttpOnly && cookie.SameSite is SameSiteAttribute.Strict, $"{cookie.Name} {cookie.HttpOnly} {cookie.SameSite}");
        Assert.Equal("", await visitor.Page.EvaluateAsync<string>("document.cookie"));

        using var elsewhere = new TenantClient(shared.Stack.Api, cookie.Value);
        await elsewhere.SendAsync(HttpMethod.Delete, "/identity/v3/auth/tokens", null, Ct, ("X-Subject-Token", cookie.Value));
        await visitor.Page.ReloadAsync();
        Assert.Contains("/dashboard/sign-in", visitor.Page.Url, StringComparison.Ordinal);
        Assert.All(addresses, address => Assert.DoesNotContain(cookie.Value, address, StringComparison.Ordinal));
    }

    private static async Task<(string Name, int Outline)> FocusAsync(IPage page)
    {
        var found = await page.EvaluateAsync<string[]>("""
            () => { const e = document.activeElement; return [e.textContent.trim().split("\n")[0] || e.name || e.id || e.tagName, "" + parseInt(getComputedStyle(e).outlineWidth)]; }
            """);
        return (found[0], int.Parse(found[1], System.Globalization.CultureInfo.InvariantCulture));
    }
}
