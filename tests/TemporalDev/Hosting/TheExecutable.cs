using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Temporalio.Client;

namespace SnapshotFlow.Tests.TemporalDev.Hosting;

public sealed class TheExecutable
{
    private static readonly string Executable = Path.Combine(AppContext.BaseDirectory, "temporal-dev");

    private static Process Start(params string[] args) =>
        Process.Start(new ProcessStartInfo(Executable, args) { RedirectStandardOutput = true, RedirectStandardError = true })!;

    [Fact]
    public async Task Help_says_how_to_start_it()
    {
        using var process = Start("--help");
        var text = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("temporal-dev server start-dev", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_said_in_one_line()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        using var process = Start("server", "start-dev", "--port", $"{port}");
        var text = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, process.ExitCode);
        Assert.Contains($"127.0.0.1:{port}", text, StringComparison.Ordinal);
        Assert.Single(text.Trim().Split('\n'));
    }

    [Fact]
    public async Task A_terminated_server_stops_in_good_order_and_says_nothing()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        using var process = Start("server", "start-dev", "--port", $"{port}", "--log-level", "info");
        Assert.Equal($"temporal-dev listens on 127.0.0.1:{port}", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));

        // With a long poll open, which must not hold the stop up.
        var client = await TemporalClient.ConnectAsync(new($"127.0.0.1:{port}"));
        var poll = client.Connection.WorkflowService.PollWorkflowTaskQueueAsync(
            new() { Namespace = "default", TaskQueue = new() { Name = "q" }, Identity = "waiting" },
            new() { Retry = false });
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"])!;
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        Assert.Equal("", await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await Record.ExceptionAsync(() => poll);
    }
}
