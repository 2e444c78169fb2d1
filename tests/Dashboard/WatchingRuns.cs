using System.Net;
using Microsoft.Playwright;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Dashboard;

/// <summary>What an operator sees of runs, while they go on and afterwards.</summary>
public sealed class WatchingRuns(BrowserAndStack shared)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_that_is_asked_for_is_followed_live_to_its_end_on_both_pages()
    {
        await using var server = await shared.ServerAsync("watched");
        await shared.FaultsAsync(BrowserAndStack.Held());
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.Page.GotoAsync("/");
        await using var overview = await shared.VisitAsAsync(a => a.Tenant, scheme: ColorScheme.Dark);
        await overview.WatchAsync("/dashboard");

        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "New image" }).ClickAsync();
        await visitor.Page.GetByLabel("Server").SelectOptionAsync(new SelectOptionValue { Value = server.Id.ToString() });
        await visitor.Page.GetByLabel("Name of the image").FillAsync("watched <live>");
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Make the image" }).ClickAsync();
        await visitor.Page.Locator(".live[data-state=live]").WaitForAsync();
        await visitor.Page.EvaluateAsync("window.neverReloaded = true");
        await visitor.SeesAsync("#summary .notice.frozen", "The guest is frozen");
        Assert.Matches(@"^(\d+(\.\d)?|\d+ min \d+) s left$", await visitor.Page.Locator("#summary .countdown .left").First.TextContentAsync());
        await visitor.PictureAsync("run-frozen");
        await overview.SeesAsync("#frozen li", "watched");
        await overview.SeesAsync("#running tr", "watched <live>");
        await overview.PictureAsync("now-frozen-dark");

        await shared.FaultsAsync();
        await visitor.SeesAsync("#summary .badge", "completed");
        await overview.SeesAsync("#recent tr", "watched <live>");
        await overview.SeesAsync("#frozen", "No guest is frozen.");
        Assert.True(await visitor.NeverReloadedAsync() && await overview.NeverReloadedAsync());
        await visitor.SeesAsync("#evidence", "application");
        await visitor.SeesAsync(".live", "Over");
        Assert.Equal(0, await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Cancel this run" }).CountAsync());
        Assert.Contains("watched <live>: completed", await visitor.Page.Locator("#announce").TextContentAsync(), StringComparison.Ordinal);
        await visitor.PictureAsync("run-completed");
    }

    [Fact]
    public async Task The_timeline_is_drawn_to_scale_with_the_freeze_around_every_cut()
    {
        await using var server = await shared.ServerAsync("drawn");
        await shared.FaultsAsync(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = TimeSpan.FromSeconds(1) });
        var image = await shared.Tenant.CreateImageAsync(server.Id, "drawn", Ct);
        var run = await shared.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct);
        await shared.FaultsAsync();
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.Page.GotoAsync($"/dashboard/runs/{image}");

        var magnified = visitor.Page.Locator("table.timeline").Nth(1);
        var band = await BoxAsync(magnified.Locator("rect.bar.freeze"));
        var cuts = await magnified.Locator("rect.bar.cut").AllAsync();
        Assert.Equal(run.Evidence!.Cuts.Count, cuts.Count);
        foreach (var cut in cuts)
        {
            var bar = await BoxAsync(cut);
            Assert.True(bar.X >= band.X && bar.X + bar.Width <= band.X + band.Width + 0.5, $"{bar.X}+{bar.Width} is not inside {band.X}+{band.Width}");
        }

        // A pixel is as long on every bar.
        var longest = run.Evidence.Cuts.Max(c => c.DurationMs);
        var widest = (await Task.WhenAll(cuts.Select(BoxAsync))).Max(b => b.Width);
        Assert.InRange(longest / run.Evidence.FreezeMs!.Value / (widest / band.Width), 0.97, 1.03);

        var all = visitor.Page.Locator("table.timeline").First;
        Assert.Equal(run.Steps.Select(s => s.Step), await all.Locator("tbody th .label").AllTextContentsAsync());
        Assert.Equal(run.Steps.Count, await all.Locator("rect.band").CountAsync());
        var total = await BoxAsync(all.Locator("tbody svg").First);
        var quiesced = await BoxAsync(all.Locator("rect.band").First);
        Assert.InRange(quiesced.Width, 1, total.Width);
    }

    [Fact]
    public async Task A_run_is_cancelled_after_a_question_that_can_be_taken_back_with_the_keyboard()
    {
        await using var server = await shared.ServerAsync("cancelled");
        await shared.FaultsAsync(BrowserAndStack.Held());
        var image = await shared.Tenant.CreateImageAsync(server.Id, "to be cancelled", Ct);
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.WatchAsync($"/dashboard/runs/{image}");
        await visitor.SeesAsync("#summary .notice.frozen", "The guest is frozen");
        var ask = visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Cancel this run…" });
        var question = visitor.Page.GetByRole(AriaRole.Dialog);

        await ask.FocusAsync();
        await visitor.Page.Keyboard.PressAsync("Enter");
        await question.WaitForAsync();
        Assert.Equal("Let it run", await visitor.Page.EvaluateAsync<string>("document.activeElement.textContent"));
        await visitor.PictureAsync("cancel-dialog");
        await visitor.Page.Keyboard.PressAsync("Escape");
        await question.WaitForAsync(new() { State = WaitForSelectorState.Hidden });
        Assert.Equal("Cancel this run…", await visitor.Page.EvaluateAsync<string>("document.activeElement.textContent"));
        Assert.Equal("running", (await shared.Tenant.ShowRunAsync(image, Ct)).Status);

        await ask.ClickAsync();
        await question.GetByRole(AriaRole.Button, new() { Name = "Cancel the run" }).ClickAsync();
        await visitor.SeesAsync("#summary .badge", "cancelled");
        await visitor.SeesAsync("#left", "Nothing: everything was undone.");
        Assert.False(await server.IsFrozenAsync(Ct));
        Assert.Equal("cancelled", (await shared.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct)).Status);
        await visitor.PictureAsync("run-cancelled");
    }

    [Fact]
    public async Task A_failed_run_says_why_what_was_tried_again_and_what_is_left()
    {
        await using var server = await shared.ServerAsync("failing");
        await shared.FaultsAsync(
            new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[0], Fault = VolumeFault.Fail, Times = 1, Kind = ErrorKind.BackendUnavailable, Message = "the pool hesitates" },
            new FaultRule { Operation = VolumeOperation.DeleteSnapshot, Volume = server.Volumes[1], Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the snapshot is protected" },
            BrowserAndStack.Held(server.Volumes[2]));
        var image = await shared.Tenant.CreateImageAsync(server.Id, "left over", Ct);
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await visitor.WatchAsync($"/dashboard/runs/{image}");
        await visitor.SeesAsync("#retries", "the pool hesitates");
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Cancel this run…" }).ClickAsync();
        await visitor.Page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Cancel the run" }).ClickAsync();
        await visitor.SeesAsync("#summary .badge", "left something behind");
        await visitor.SeesAsync("#left", "the snapshot is protected");
        await visitor.SeesAsync("#retries", "2 attempts");
        await visitor.SeesAsync("#retries", "the pool hesitates");
        await visitor.PictureAsync("run-left-over");

        await using var second = await shared.ServerAsync("failing-too");
        await shared.FaultsAsync(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = second.Volumes[2], Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the pool is offline" });
        var failed = await shared.Tenant.CreateImageAsync(second.Id, "failed", Ct);
        await shared.Tenant.WaitForEndAsync(failed, TimeSpan.FromMinutes(2), Ct);
        await visitor.Page.GotoAsync("/dashboard/runs?status=failed");
        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "failed", Exact = true }).Last.ClickAsync();
        await visitor.SeesAsync("#summary .notice.bad", "the pool is offline");
        await visitor.SeesAsync("#timeline tr.why", "the pool is offline");
        await visitor.SeesAsync("#left", "Nothing: everything was undone.");
        await visitor.PictureAsync("run-failed");
    }

    [Fact]
    public async Task Another_tenant_sees_none_of_it_and_an_administrator_all()
    {
        await using var server = await shared.ServerAsync("secret-server");
        var image = await shared.Tenant.CreateImageAsync(server.Id, "secret-image", Ct);
        await shared.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct);

        await using var other = await shared.VisitAsAsync(a => a.Other);
        await other.WatchAsync("/dashboard");
        await other.SeesAsync("#recent", "No run has ended yet.");
        Assert.DoesNotContain("secret", await other.Page.ContentAsync(), StringComparison.Ordinal);
        await other.Page.GotoAsync("/dashboard/runs");
        Assert.DoesNotContain("secret", await other.Page.ContentAsync(), StringComparison.Ordinal);
        await other.Page.GotoAsync("/dashboard/new");
        Assert.DoesNotContain("secret", await other.Page.ContentAsync(), StringComparison.Ordinal);
        foreach (var path in new[] { $"/dashboard/runs/{image}", $"/dashboard/runs/{image}/events" })
        {
            var answer = await other.Page.GotoAsync(path);
            Assert.Equal(404, answer!.Status);
            Assert.DoesNotContain("secret", await other.Page.ContentAsync(), StringComparison.Ordinal);
        }

        await using var admin = await shared.VisitAsAsync(a => a.Admin);
        await admin.WatchAsync("/dashboard");
        await admin.SeesAsync("#recent tr", "secret-image");
        await admin.SeesAsync("#h-findings", "Findings of the reconciler");
        await admin.PictureAsync("now-admin");
    }

    [Fact]
    public async Task Restores_deletions_and_single_snapshots_are_seen_while_they_go_on_and_afterwards_and_by_nobody_else()
    {
        await using var server = await shared.ServerAsync("other-work", withGuest: false);
        var image = await shared.Tenant.CreateImageAsync(server.Id, "other work", Ct);
        await shared.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct);
        await using var visitor = await shared.VisitAsAsync(a => a.Tenant);
        await using var other = await shared.VisitAsAsync(a => a.Other);
        await visitor.WatchAsync("/dashboard");
        await other.WatchAsync("/dashboard");

        await shared.FaultsAsync(BrowserAndStack.Held());
        var snapshot = await shared.Tenant.PostAsync($"/volume/v3/{Tokens.TenantProject}/snapshots", new { snapshot = new { volume_id = server.Volumes[1].ToString(), name = "nightly", force = true } }, Ct);
        Assert.Equal(HttpStatusCode.Accepted, snapshot.Status);
        await visitor.SeesAsync("#running tr", "nightly");
        await visitor.SeesAsync("#running tr", "creating");
        await visitor.PictureAsync("now-other-work");
        await shared.FaultsAsync();
        await visitor.SeesAsync("#other tr", "nightly");
        await visitor.SeesAsync("#other tr", "available");

        Assert.Equal(HttpStatusCode.NoContent, (await shared.Tenant.SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null, Ct)).Status);
        await visitor.SeesAsync("#other tr", "Deletion");
        await visitor.SeesAsync("#other tr", "completed");
        Assert.True(await visitor.NeverReloadedAsync());
        var foreign = await other.Page.ContentAsync();
        Assert.DoesNotContain("nightly", foreign, StringComparison.Ordinal);
        Assert.DoesNotContain("other work", foreign, StringComparison.Ordinal);
    }

    private static async Task<LocatorBoundingBoxResult> BoxAsync(ILocator element) => await element.BoundingBoxAsync() ?? throw new InvalidOperationException("it is not drawn");
}
