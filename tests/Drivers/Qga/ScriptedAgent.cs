using System.Net.Sockets;
using System.Text;

namespace SnapshotFlow.Tests.Drivers.Qga;

/// <summary>
/// An agent that says exactly what a test tells it to. Each step is what it does with the next line that it receives; the sync is done for the test unless the test
/// scripts that too. Lines it got are kept.
/// </summary>
internal sealed class ScriptedAgent : IAsyncDisposable
{
    public const byte Sentinel = 0xFF;

    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource end = new();
    private readonly Queue<Func<Conversation, string, Task>> script = [];
    private readonly Task serving;

    /// <summary>What to send before anything was asked, on every connection.</summary>
    public byte[] Stale { get; init; } = [];

    /// <summary>How to answer a sync; by default properly.</summary>
    public Func<Conversation, long, Task> OnSync { get; init; } = (conversation, id) => conversation.SendAsync([Sentinel, .. Line($"{{\"return\": {id}}}")]);

    public ScriptedAgent()
    {
        Path = System.IO.Path.Join(System.IO.Path.GetTempPath(), $"sf-{Guid.NewGuid():N}.sock");
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen(4);
        serving = ServeAsync();
    }

    public string Path { get; }

    /// <summary>The commands received, without syncs.</summary>
    public List<string> Received { get; } = [];

    public static byte[] Line(string text) => Encoding.UTF8.GetBytes(text + "\n");

    /// <summary>The next command is answered with this line.</summary>
    public ScriptedAgent Answer(string json) => Then((conversation, _) => conversation.SendAsync(Line(json)));

    /// <summary>The next command is never answered.</summary>
    public ScriptedAgent Hang() => Then((_, _) => Task.CompletedTask);

    /// <summary>At the next command the connection is closed.</summary>
    public ScriptedAgent Close() => Then((conversation, _) =>
    {
        conversation.Close();
        return Task.CompletedTask;
    });

    public ScriptedAgent Then(Func<Conversation, string, Task> step)
    {
        script.Enqueue(step);
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
        listener.Dispose();
        end.Dispose();
        System.IO.File.Delete(Path);
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            using var socket = await listener.AcceptAsync(end.Token);
            var conversation = new Conversation(socket, end.Token);
            try
            {
                await conversation.SendAsync(Stale);
                while (await conversation.ReadLineAsync() is { } line)
                {
                    if (line.Contains("guest-sync-delimited", StringComparison.Ordinal))
                    {
                        await OnSync(conversation, System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("arguments").GetProperty("id").GetInt64());
                    }
                    else
                    {
                        Received.Add(System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("execute").GetString()!);
                        await script.Dequeue()(conversation, line);
                    }
                }
            }
            catch (SocketException)
            {
                // The driver gave up; the next connection goes on with the script.
            }
        }
    }

    internal sealed class Conversation(Socket socket, CancellationToken ct)
    {
        private readonly byte[] one = new byte[1];

        public async Task SendAsync(byte[] bytes)
        {
            if (bytes.Length > 0)
            {
                await socket.SendAsync(bytes, ct);
            }
        }

        public void Close() => socket.Shutdown(SocketShutdown.Both);

        public async Task<string?> ReadLineAsync()
        {
            var line = new List<byte>();
            while (await socket.ReceiveAsync(one, ct) == 1)
            {
                if (one[0] == '\n')
                {
                    return Encoding.UTF8.GetString([.. line]);
                }

                if (one[0] == Sentinel)
                {
                    line.Clear();
                }
                else
                {
                    line.Add(one[0]);
                }
            }

            return null;
        }
    }
}
