using Microsoft.Playwright;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Dashboard;

/// <summary>Somebody in front of a browser.</summary>
public sealed class Visitor : IAsyncDisposable
{
    /// <summary>Where screenshots go, for people who want to look at them; none are made without it.</summary>
    private static readonly string? Pictures = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_SCREENSHOTS");

    private readonly IBrowserContext context;
    private readonly List<string> complaints = [];

    public Visitor(IBrowserContext context, IPage page)
    {
        this.context = context;
        Page = page;
        page.PageError += (_, error) => complaints.Add(error);
        // What the policy forbids is an error on the console.
        page.Console += (_, message) => complaints.AddRange(message.Type is "error" && !message.Text.Contains("status of", StringComparison.Ordinal) ? [message.Text] : []);
        page.Request += (_, request) => complaints.AddRange(new Uri(request.Url).IsLoopback ? [] : [$"asked for {request.Url}"]);
    }

    public IPage Page { get; }

    public async Task SignInAsync(Account account)
    {
        await Page.GotoAsync("/");
        await Page.GetByLabel("User name").FillAsync(account.Name);
        await Page.GetByLabel("Password").FillAsync(account.Password);
        await Page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).WaitForAsync();
    }

    /// <summary>Opens a page and waits until it follows what happens.</summary>
    public async Task WatchAsync(string path)
    {
        await Page.GotoAsync(path);
        await Page.Locator(".live[data-state=live]").WaitForAsync();
        await Page.EvaluateAsync("window.neverReloaded = true");
    }

    /// <summary>Whether the page is still the one that <see cref="WatchAsync"/> opened.</summary>
    public Task<bool> NeverReloadedAsync() => Page.EvaluateAsync<bool>("window.neverReloaded === true");

    /// <summary>Waits until an element shows a text.</summary>
    public Task SeesAsync(string selector, string text) => Page.Locator(selector).Filter(new() { HasText = text }).First.WaitForAsync();

    /// <summary>Takes a picture of the whole page, if somebody wants one.</summary>
    public async Task PictureAsync(string name)
    {
        if (Pictures is not null)
        {
            await Page.ScreenshotAsync(new() { Path = Path.Combine(Pictures, $"{name}.png"), FullPage = true });
        }
    }

    public async ValueTask DisposeAsync()
    {
        await context.DisposeAsync();
        Assert.Empty(complaints);
    }
}
