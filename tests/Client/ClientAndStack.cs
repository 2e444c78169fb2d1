using System.Diagnostics;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Client;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(ClientAndStack))]
// One client, one command at a time; and quotas are everybody's.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace SnapshotFlow.Tests.Client;

/// <summary>The whole product as real processes, a running server, and the stock client logged in as its owner; a second client as an administrator.</summary>
public sealed class ClientAndStack : IAsyncLifetime
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-client-");

    public DevelopmentStack Stack { get; private set; } = null!;

    public GuestServer Server { get; private set; } = null!;

    /// <summary>A member of the server's project.</summary>
    public OpenStackClient Demo { get; private set; } = null!;

    /// <summary>An administrator.</summary>
    public OpenStackClient Admin { get; private set; } = null!;

    /// <summary>The script <c>snapshotflow</c> beside its program, as <c>./snapshotflow publish</c> leaves them.</summary>
    public string Script => Path.Combine(directory.FullName, "snapshotflow");

    public async ValueTask InitializeAsync()
    {
        File.Copy(Path.Combine(Root(), "snapshotflow"), Script);
        File.CreateSymbolicLink(Path.Combine(directory.FullName, "snapshotflow-stack"), Path.Combine(AppContext.BaseDirectory, "snapshotflow-stack"));
        Stack = await DevelopmentStack.StartAsync(new StackOptions { StateDirectory = Path.Combine(directory.FullName, "state"), Ephemeral = true }, _ => { }, CancellationToken.None);
        await ClientFiles.WriteAsync(directory.FullName, Stack.Api, Stack.Accounts, CancellationToken.None);
        Server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "web", Pause = TimeSpan.FromMilliseconds(20) }, CancellationToken.None);
        await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Snapshots, 500, CancellationToken.None);
        var clients = await Task.WhenAll(
            new[] { "openrc", "openrc-admin" }.Select(file => OpenStackClient.StartAsync(Path.Combine(directory.FullName, file), CancellationToken.None)));
        (Demo, Admin) = (clients[0], clients[1]);
    }

    /// <summary>
    /// Makes an image of the server and returns what <c>image show</c> says of it. The client's own <c>--wait</c> looks every five seconds; most tests are not about that.
    /// </summary>
    public async Task<Said> MakeImageAsync(string arguments)
    {
        var id = (await Demo.RunAsync($"server image create {arguments} -f value -c id")).Succeeds().Out.Trim();
        Said image = null!;
        await Wait.UntilAsync(
            $"image {id} to be active", TimeSpan.FromMinutes(1),
            async _ => (image = (await Demo.RunAsync($"image show {id} -f json")).Succeeds())["status"] == "active", TestContext.Current.CancellationToken);
        return image;
    }

    /// <summary>Runs a command of the script. Of the environment, what is null is taken away.</summary>
    public async Task<(int Code, string Said)> RunScriptAsync(IReadOnlyDictionary<string, string?> environment, params string[] words)
    {
        var start = new ProcessStartInfo(Script, words) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var ct = TestContext.Current.CancellationToken;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(ct);
        var error = await process.StandardError.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return (process.ExitCode, await output + error);
    }

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "SnapshotFlow.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("the repository is not above the test program");
        }

        return directory;
    }

    public async ValueTask DisposeAsync()
    {
        await Demo.DisposeAsync();
        await Admin.DisposeAsync();
        await Server.DisposeAsync();
        await Stack.DisposeAsync();
        directory.Delete(recursive: true);
    }
}
