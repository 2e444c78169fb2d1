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

    /// <summary>The same, signed in.</summary>
    public async Task<Visitor> VisitAsAsync(Func<Accounts, Account> who, int width = 1280, int height = 900, ColorScheme scheme = ColorScheme.Light)
    {
        var visitor = await VisitAsync(width, height, scheme);
        await visitor.SignInAsync(who(Stack.Accounts));
        return visitor;
    }

    /// <summary>A server of its own for a test.</summary>
    public Task<GuestServer> ServerAsync(string name, string project = Tokens.TenantProject, bool withGuest = true)
    {
        Assert.SkipUnless(browser is not null, Missing);
        return GuestServer.StartAsync(Stack, new GuestServerOptions { Name = name, Project = project, WithGuest = withGuest }, Ct);
    }

    /// <summary>What goes wrong in the storage back end from now on.</summary>
    public Task FaultsAsync(params FaultRule[] rules) => Stack.InjectAsync(Ct, rules);

    /// <summary>Holds every cut back, so that a guest stays frozen for a while.</summary>
    public Task HoldCutsAsync(TimeSpan delay) => FaultsAsync(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = delay });
}
