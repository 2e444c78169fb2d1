using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>Runs programs in a guest through its agent, as an operator would. Not through the product's own channel: what it is to be judged by must not depend on it.</summary>
internal static class AgentShell
{
    /// <summary>Runs a line of shell and returns what it printed.</summary>
    public static async Task<string> RunAsync(string socket, string line, CancellationToken ct)
    {
        using var agent = await OpenAsync(socket, ct);
        var started = await CallAsync(agent, "guest-exec", new Dictionary<string, object> { ["path"] = "/bin/sh", ["arg"] = new[] { "-c", line }, ["capture-output"] = true }, ct);
        var pid = started.GetProperty("pid").GetInt32();
        while (true)
        {
            var status = await CallAsync(agent, "guest-exec-status", new { pid }, ct);
            if (status.GetProperty("exited").GetBoolean())
            {
                return status.TryGetProperty("out-data", out var said) ? Encoding.UTF8.GetString(said.GetBytesFromBase64()) : "";
            }

            ct.WaitHandle.WaitOne(20);
        }
    }

    /// <summary>One command.</summary>
    public static async Task<JsonElement> AskAsync(string socket, string command, CancellationToken ct)
    {
        using var agent = await OpenAsync(socket, ct);
        return await CallAsync(agent, command, null, ct);
    }

    /// <summary>A connection in step with the agent, for tests that do to it what others would.</summary>
    public static async Task<Socket> OpenAsync(string path, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await SyncAsync(socket, path, ct);
            return socket;
        }
        catch
        {
            // Left open it would keep everybody else from the agent.
            socket.Dispose();
            throw;
        }
    }

    private static async Task SyncAsync(Socket socket, string path, CancellationToken ct)
    {
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
        var id = Random.Shared.Next(1, int.MaxValue);
        await socket.SendAsync((byte[])[0xFF, .. Encoding.UTF8.GetBytes($$$"""{"execute":"guest-sync-delimited","arguments":{"id":{{{id}}}}}""" + "\n")], ct);
        var seen = new List<byte>();
        while (!Encoding.UTF8.GetString([.. seen.SkipWhile(b => b != 0xFF).Skip(1)]).Contains($"{id}", StringComparison.Ordinal) || seen[^1] != (byte)'\n')
        {
            seen.Add(await ByteAsync(socket, ct));
        }
    }

    private static async Task<JsonElement> CallAsync(Socket socket, string execute, object? arguments, CancellationToken ct)
    {
        object request = arguments is null ? new { execute } : new { execute, arguments };
        await socket.SendAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(request), (byte)'\n'], ct);
        var line = new List<byte>();
        while (line.Count == 0 || line[^1] != (byte)'\n')
        {
            line.Add(await ByteAsync(socket, ct));
        }

        var answer = JsonSerializer.Deserialize<JsonElement>(line.ToArray());
        return answer.TryGetProperty("return", out var result) ? result : throw new InvalidOperationException($"{execute}: {answer}");
    }

    private static async Task<byte> ByteAsync(Socket socket, CancellationToken ct)
    {
        var one = new byte[1];
        return await socket.ReceiveAsync(one, ct) == 1 ? one[0] : throw new InvalidOperationException("the agent's socket was closed");
    }
}
