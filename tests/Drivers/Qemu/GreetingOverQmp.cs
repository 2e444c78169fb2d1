using System.Net.Sockets;
using System.Text;
using SnapshotFlow.Drivers.Qemu;

namespace SnapshotFlow.Tests.Drivers.Qemu;

/// <summary>What comes before QEMU's greeting.</summary>
public sealed class GreetingOverQmp : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-qmp-");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Path => System.IO.Path.Join(directory.FullName, "qmp.sock");

    public void Dispose() => directory.Delete(recursive: true);

    [Fact]
    public async Task What_was_meant_for_the_client_before_is_passed_over()
    {
        using var listener = Listen();
        var qemu = ServeAsync(listener, """
            {"return": {}, "id": 7}
            {"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}
            {"QMP": {"version": {}, "capabilities": []}}
            {"return": {}, "id": 1}

            """);
        using (await QmpConnection.OpenAsync(Path, Ct))
        {
            Assert.Contains("qmp_capabilities", await qemu, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Whoever_never_greets_is_no_QEMU_and_is_quoted()
    {
        using var listener = Listen();
        var somebody = ServeAsync(listener, string.Concat(Enumerable.Repeat("{\"hello\": \"there\"}\n", 200)));
        var refused = await Assert.ThrowsAsync<QmpProtocolException>(() => QmpConnection.OpenAsync(Path, Ct));
        Assert.Contains("there", refused.Message, StringComparison.Ordinal);
        Assert.Contains(Path, refused.Message, StringComparison.Ordinal);
        await somebody;
    }

    private Socket Listen()
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen();
        return listener;
    }

    /// <summary>Says it all to the first client, and answers with the first thing that the client says.</summary>
    private static async Task<string> ServeAsync(Socket listener, string says)
    {
        using var client = await listener.AcceptAsync(Ct);
        await client.SendAsync(Encoding.UTF8.GetBytes(says), Ct);
        var heard = new byte[1024];
        try
        {
            return Encoding.UTF8.GetString(heard, 0, await client.ReceiveAsync(heard, Ct));
        }
        catch (SocketException)
        {
            // Gone with half of it unread.
            return "";
        }
    }
}
