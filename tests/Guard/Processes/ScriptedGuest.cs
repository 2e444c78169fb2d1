using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>An agent in this process that follows the protocol, and lies or answers with errors when it is told to. One client at a time, as every agent.</summary>
internal sealed class ScriptedGuest : IAsyncDisposable
{
    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource stop = new();
    private readonly IHostClock clock;
    private readonly string path;
    private readonly Task serving;
    private volatile bool frozen;
    private int thawErrors;
    private int thaws;

    public ScriptedGuest(string directory, IHostClock clock)
    {
        this.clock = clock;
        path = Path.Combine(directory, $"{Server.ToString()[..8]}.sock");
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(16);
        serving = ServeAsync();
    }

    public ServerId Server { get; } = ServerId.New();

    public string Address => $"qga:unix:{path}";

    public bool IsFrozen
    {
        get => frozen;
        set => frozen = value;
    }

    /// <summary>When the last thaw took effect; null when none has.</summary>
    public HostInstant? ThawedAt { get; private set; }

    public int Thaws => Volatile.Read(ref thaws);

    /// <summary>How many thaws are answered with an error.</summary>
    public int ThawErrors
    {
        get => Volatile.Read(ref thawErrors);
        set => Volatile.Write(ref thawErrors, value);
    }

    /// <summary>Whether a thaw that is answered with an error thaws all the same.</summary>
    public bool ThawsInSpiteOfError { get; set; }

    /// <summary>A freeze is answered with an error, and freezes all the same.</summary>
    public bool FreezesInSpiteOfError { get; set; }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await serving;
        listener.Dispose();
        stop.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptAsync(stop.Token);
                await TalkAsync(client);
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task TalkAsync(Socket client)
    {
        try
        {
            var line = new List<byte>();
            var buffer = new byte[4096];
            while (await client.ReceiveAsync(buffer, stop.Token) is var count and > 0)
            {
                foreach (var b in buffer[..count])
                {
                    if (b == 0xFF)
                    {
                        line.Clear();
                    }
                    else if (b != '\n')
                    {
                        line.Add(b);
                    }
                    else
                    {
                        await client.SendAsync(Answer([.. line]), stop.Token);
                        line.Clear();
                    }
                }
            }
        }
        catch (SocketException)
        {
            // The client is gone.
        }
    }

    private byte[] Answer(byte[] line)
    {
        var request = JsonSerializer.Deserialize<JsonElement>(line);
        return request.GetProperty("execute").GetString() switch
        {
            "guest-sync-delimited" => [0xFF, .. Line($"{{\"return\":{request.GetProperty("arguments").GetProperty("id")}}}")],
            "guest-fsfreeze-status" => Line(frozen ? "{\"return\":\"frozen\"}" : "{\"return\":\"thawed\"}"),
            "guest-fsfreeze-freeze" => Freeze(),
            "guest-fsfreeze-thaw" => Thaw(),
            _ => Line("{\"return\":{}}"),
        };
    }

    private byte[] Freeze()
    {
        frozen = true;
        return Line(FreezesInSpiteOfError ? "{\"error\":{\"class\":\"GenericError\",\"desc\":\"a hook failed\"}}" : "{\"return\":1}");
    }

    private byte[] Thaw()
    {
        Interlocked.Increment(ref thaws);
        var error = ThawErrors > 0;
        if (error)
        {
            Interlocked.Decrement(ref thawErrors);
        }

        var was = frozen;
        frozen = frozen && error && !ThawsInSpiteOfError;
        ThawedAt = was && !frozen ? clock.Now : ThawedAt;
        return Line(error ? "{\"error\":{\"class\":\"GenericError\",\"desc\":\"limit of 10 seconds\"}}" : $"{{\"return\":{(was ? 1 : 0)}}}");
    }

    private static byte[] Line(string text) => Encoding.UTF8.GetBytes(text + "\n");
}
