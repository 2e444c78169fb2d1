using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using SnapshotFlow.Drivers.Layers;

namespace SnapshotFlow.Drivers.Qga;

/// <summary>What came back is not what the protocol allows, or nothing came back: nobody knows what the agent did.</summary>
internal sealed class QgaProtocolException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The agent answered with an error object.</summary>
internal sealed class QgaErrorException(string command, string errorClass, string description) : Exception($"{command} was answered with {errorClass}: {description}");

/// <summary>One conversation with a QEMU guest agent, whatever carries it.</summary>
internal interface IQgaChannel : IDisposable
{
    /// <summary>Sends one command and returns what it returned.</summary>
    /// <exception cref="QgaErrorException">The agent answered with an error.</exception>
    /// <exception cref="QgaProtocolException">There is no answer, or it cannot be understood.</exception>
    Task<JsonElement> CallAsync(string command, CancellationToken ct);
}

/// <summary>
/// One conversation with a QEMU guest agent: a unix socket, brought into step, then one JSON object per line in each direction.
/// <para>The channel behind the socket has no connections of its own: what an earlier user did not read is still on its way, and what he sent in part is still
/// in the agent's buffer. Source: QEMU guest agent protocol reference, <c>guest-sync-delimited</c>.</para>
/// </summary>
internal sealed class QgaChannel : IQgaChannel
{
    /// <summary>The byte that no JSON text contains: it makes the agent forget a line in progress, and marks where its answer to the sync begins.</summary>
    private const byte Sentinel = 0xFF;

    // guest-info of qemu-ga 7.2 is about 6 KiB.
    private const int MaxLineBytes = 1 << 20;

    private readonly Socket socket;
    private readonly byte[] buffer = new byte[16 * 1024];
    private int at;
    private int filled;

    private QgaChannel(Socket socket) => this.socket = socket;

    /// <summary>Connects and gets into step with the agent.</summary>
    public static async Task<QgaChannel> OpenAsync(string path, CancellationToken ct)
    {
        var channel = new QgaChannel(await UnixSocket.ConnectAsync(path, ct).ConfigureAwait(false));
        try
        {
            await channel.SyncAsync(ct).ConfigureAwait(false);
            return channel;
        }
        catch
        {
            channel.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<JsonElement> CallAsync(string command, CancellationToken ct)
    {
        using var span = DriverTelemetry.Source.StartActivity(command, ActivityKind.Client);
        try
        {
            return await AskAsync(command, ct).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            span.Fail(e, e.GetType().Name);
            throw;
        }
    }

    private async Task<JsonElement> AskAsync(string command, CancellationToken ct)
    {
        await SendAsync(JsonSerializer.SerializeToUtf8Bytes(new { execute = command }), delimited: false, ct).ConfigureAwait(false);
        var line = await ReadLineAsync(ct).ConfigureAwait(false);
        var answer = Parse(line) ?? throw new QgaProtocolException($"the answer to {command} is not a JSON object");
        if (answer.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object)
        {
            throw new QgaErrorException(command, Text(error, "class") ?? "an error", Text(error, "desc") ?? "no description");
        }

        return answer.TryGetProperty("return", out var result) ? result : throw new QgaProtocolException($"the answer to {command} has neither 'return' nor 'error'");
    }

    public void Dispose() => socket.Dispose();

    /// <summary>The text of a member; null when it is absent or no text.</summary>
    internal static string? Text(JsonElement element, string member) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private async Task SyncAsync(CancellationToken ct)
    {
        // Positive and within 32 bits: every agent returns such an id unchanged.
        var id = RandomNumberGenerator.GetInt32(1, int.MaxValue);
        await SendAsync(JsonSerializer.SerializeToUtf8Bytes(new { execute = "guest-sync-delimited", arguments = new { id } }), delimited: true, ct).ConfigureAwait(false);
        while (true)
        {
            while (await ReadByteAsync(ct).ConfigureAwait(false) != Sentinel)
            {
                // Meant for somebody who is gone.
            }

            // An answer with another id was for an earlier caller's sync; ours is still to come.
            if (Parse(await ReadLineAsync(ct).ConfigureAwait(false)) is { } answer
                && answer.TryGetProperty("return", out var returned) && returned.ValueKind == JsonValueKind.Number && returned.TryGetInt64(out var got) && got == id)
            {
                return;
            }
        }
    }

    private async Task SendAsync(byte[] json, bool delimited, CancellationToken ct)
    {
        byte[] line = delimited ? [Sentinel, .. json, (byte)'\n'] : [.. json, (byte)'\n'];
        for (var sent = 0; sent < line.Length;)
        {
            sent += await socket.SendAsync(line.AsMemory(sent), ct).ConfigureAwait(false);
        }
    }

    /// <summary>The bytes up to the next line feed, without what stands before a sentinel.</summary>
    private async Task<byte[]> ReadLineAsync(CancellationToken ct)
    {
        var line = new List<byte>();
        while (true)
        {
            switch (await ReadByteAsync(ct).ConfigureAwait(false))
            {
                case (byte)'\n':
                    return [.. line];
                case Sentinel:
                    line.Clear();
                    break;
                case var other:
                    line.Add(other);
                    break;
            }

            if (line.Count > MaxLineBytes)
            {
                throw new QgaProtocolException($"the agent sent a line of more than {MaxLineBytes} bytes");
            }
        }
    }

    private async ValueTask<byte> ReadByteAsync(CancellationToken ct)
    {
        if (at == filled)
        {
            at = 0;
            filled = await socket.ReceiveAsync(buffer, ct).ConfigureAwait(false);
            if (filled == 0)
            {
                throw new QgaProtocolException("the agent's socket was closed before the answer");
            }
        }

        return buffer[at++];
    }

    private static JsonElement? Parse(byte[] line)
    {
        try
        {
            var element = JsonSerializer.Deserialize<JsonElement>(line);
            return element.ValueKind == JsonValueKind.Object ? element : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
