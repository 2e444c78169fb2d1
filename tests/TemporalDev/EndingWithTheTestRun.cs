using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace SnapshotFlow.Tests.TemporalDev;

public sealed class EndingWithTheTestRun
{
    [Fact]
    public async Task A_test_server_ends_when_the_process_that_started_it_was_killed()
    {
        var ct = TestContext.Current.CancellationToken;
        var server = Path.Combine(AppContext.BaseDirectory, "temporal-dev");
        var port = FreePort();
        using var parent = Process.Start(new ProcessStartInfo("bash", ["-c", $"'{server}' {port} >/dev/null & echo $!; wait"]) { RedirectStandardOutput = true })!;
        using var child = Process.GetProcessById(int.Parse((await parent.StandardOutput.ReadLineAsync(ct))!, System.Globalization.CultureInfo.InvariantCulture));
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(TimeSpan.FromSeconds(60));
        await ListensAsync(port, deadline.Token);

        parent.Kill();

        await child.WaitForExitAsync(deadline.Token);
    }

    private static async Task ListensAsync(int port, CancellationToken ct)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, ct);
                return;
            }
            catch (SocketException)
            {
                await timer.WaitForNextTickAsync(ct);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
