using Microsoft.Playwright;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Dashboard;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(BrowserAndStack))]
// One stack, whose faults are everybody's.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace SnapshotFlow.Tests.Dashboard;

/// <summary>The whole product as real processes, and the distribution's Chromium without a screen. Skips every test where there is none.</summary>
public sealed class BrowserAndStack : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";
    private const string Missing = $"there is no {Chromium}; install it: sudo apt-get install chromium";
    private const float Patience = 60_000;

    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-dashboard-");
    private IPlaywright? playwright;
    private IBrowser? browser;

    public DevelopmentStack Stack { get; private set; } = null!;

    /// <summary>A member of the project that the servers belong to, past the browser.</summary>
    public TenantClient Tenant { get; private set; } = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
        {
            return;
        }

        Stack = await DevelopmentStack.StartAsync(new StackOptions { StateDirectory = Path.Combine(directory.FullName, "state"), Ephemeral = true }, _ => { }, CancellationToken.None);
        Tenant = new(Stack.Api, Stack.Tokens.Tenant);
        await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Snapshots, 40, CancellationToken.None);
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(new()
        {
            // As root there is no sandbox; nothing but our own pages is opened.
            ExecutablePath = Chromium, Headless = true, Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"], Timeout = Patience,
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null)
        {
            await browser.DisposeAsync();
        }

        playwright?.Dispose();
        Tenant?.Dispose();
        if (Stack is not null)
        {
            await Stack.DisposeAsync();
        }

        directory.Delete(recursive: true);
    }

    /// <summary>A page of a browser of its own, which shares nothing with the others; what its scripts complain about fails the test at its end.</summary>
    public async Task<Visitor> VisitAsync(int width = 1280, int height = 900, ColorScheme scheme = ColorScheme.Light)
    {
        Assert.SkipUnless(browser is not null, Missing);
        var context = await browser.NewContextAsync(new() { BaseURL = Stack.Api.ToString(), ViewportSize = new() { Width = width, Height = height }, ColorScheme = scheme, Locale = "en-GB" });
        context.SetDefaultTimeout(Patience);
        return new(context, await context.NewPageAsync());
    }

    /// <summary>The same, signed in: with a session that was begun elsewhere, and which must not be ended here.</summary>
    public async Task<Visitor> VisitAsAsync(Func<Tokens, string> who, int width = 1280, int height = 900, ColorScheme scheme = ColorScheme.Light)
    {
        var visitor = await VisitAsync(width, height, scheme);
        await visitor.Page.Context.AddCookiesAsync([new() { Name = "snapshotflow", Value = who(Stack.Tokens), Url = Stack.Api.ToString(), HttpOnly = true, SameSite = SameSiteAttribute.Strict }]);
        return visitor;
    }

    /// <summary>A server of its own for a test, whose guest may be frozen for as long as a slow machine needs. The storage back end is well from now on.</summary>
    public async Task<GuestServer> ServerAsync(string name, string project = Tokens.TenantProject, bool withGuest = true)
    {
        Assert.SkipUnless(browser is not null, Missing);
        await FaultsAsync();
        return await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = name, Project = project, WithGuest = withGuest, FreezeDeadline = FreezeDeadline.Maximum }, Ct);
    }

    /// <summary>What goes wrong in the storage back end from now on; nothing without rules.</summary>
    public Task FaultsAsync(params FaultRule[] rules) => Stack.InjectAsync(Ct, rules);

    /// <summary>Lets no cut succeed, so that a guest stays frozen until somebody says otherwise (<see cref="FaultsAsync"/>) or its deadline passes.</summary>
    /// <param name="volume">Only cuts of this volume; null for all.</param>
    public static FaultRule Held(VolumeId? volume = null) =>
        new() { Operation = VolumeOperation.CreateSnapshot, Volume = volume, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendUnavailable, Message = "the pool is held" };
}
