using System.Net.Sockets;
using System.Text;

namespace SnapshotFlow.DemoGuest;

/// <summary>
/// The agent's socket: JSON lines, one client at a time as on a virtio serial port. A second client is connected by the kernel but gets no byte until the first
/// has gone. The byte 0xFF drops a line in progress.
/// </summary>
internal sealed class GuestAgentServer : IDisposable
{
    private const byte Sentinel = 0xFF;
    private const int MaxLineBytes = 64 * 1024;

    private readonly string path;
    private readonly GuestAgentCommands commands;
    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    /// <summary>Listens on the path; a socket that a dead process left there is replaced.</summary>
    /// <exception cref="SocketException">It cannot be listened on, or another process does.</exception>
    public GuestAgentServer(string path, GuestAgentCommands commands)
    {
        this.path = path;
        this.commands = commands;
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && IsDeadSocket(path))
        {
            File.Delete(path);
            listener.Bind(new UnixDomainSocketEndPoint(path));
        }

        listener.Listen(16);
    }

    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            using var client = await listener.AcceptAsync(ct).ConfigureAwait(false);
            try
            {
                await ServeAsync(client, ct).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // The client went away in the middle; whatever it froze stays frozen, as with the real agent.
            }
        }
    }

    public void Dispose()
    {
        listener.Dispose();
        File.Delete(path);
    }

    private async Task ServeAsync(Socket client, CancellationToken ct)
    {
        var buffer = new byte[4096];
        var line = new List<byte>();
        while (await client.ReceiveAsync(buffer, ct).ConfigureAwait(false) is var count and > 0)
        {
            for (var i = 0; i < count; i++)
            {
                if (buffer[i] == Sentinel || line.Count > MaxLineBytes)
                {
                    line.Clear();
                }
                else if (buffer[i] != '\n')
                {
                    line.Add(buffer[i]);
                }
                else
                {
                    await AnswerAsync(client, [.. line], ct).ConfigureAwait(false);
                    line.Clear();
                }
            }
        }
    }

    private async Task AnswerAsync(Socket client, byte[] line, CancellationToken ct)
    {
        // A freeze waits for the write under way, so it does not run on a thread of the pool.
        var (answer, delimited) = await Task.Factory.StartNew(() => (commands.Answer(line, out var sentinel), sentinel),
            ct, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
        byte[] bytes = [.. delimited ? (byte[])[Sentinel] : [], .. Encoding.UTF8.GetBytes(answer), (byte)'\n'];
        for (var sent = 0; sent < bytes.Length;)
        {
            sent += await client.SendAsync(bytes.AsMemory(sent), ct).ConfigureAwait(false);
        }
    }

    private static bool IsDeadSocket(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused && (File.GetAttributes(path) & FileAttributes.Directory) == 0 && new FileInfo(path).Length == 0;
        }
    }
}
