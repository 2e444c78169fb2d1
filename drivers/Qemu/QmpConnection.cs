using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>QEMU said no to a command.</summary>
internal sealed class QmpErrorException(string command, string errorClass, string description) : Exception($"{command} was answered with {errorClass}: {description}");

/// <summary>What came back is not what the protocol allows, or the connection broke.</summary>
internal sealed class QmpProtocolException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// One conversation with a running QEMU: a greeting, then one JSON object per line in each direction, events in between. QEMU serves one client at a time;
/// the next one gets its greeting when this one has gone. Source: QEMU Machine Protocol specification.
/// </summary>
internal sealed class QmpConnection : IDisposable
{
    /// <summary>More lines than this before a greeting are another protocol.</summary>
    private const int MostLeftOver = 100;

    private readonly Socket socket;
    private readonly StreamReader lines;
    private int lastId;

    private QmpConnection(Socket socket)
    {
        this.socket = socket;
        lines = new(new NetworkStream(socket, ownsSocket: false), Encoding.UTF8, detectEncodingFromByteOrderMarks: false);
    }

    /// <summary>Connects and waits for the greeting. What QEMU still had to say to the client before comes first, and is passed over.</summary>
    /// <exception cref="QmpProtocolException">Whoever listens there is no QEMU.</exception>
    public static async Task<QmpConnection> OpenAsync(string path, CancellationToken ct)
    {
        var connection = new QmpConnection(await UnixSocket.ConnectAsync(path, ct).ConfigureAwait(false));
        try
        {
            await connection.GreetAsync(path, ct).ConfigureAwait(false);
            await connection.ExecuteAsync("qmp_capabilities", null, ct).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs one command.</summary>
    /// <exception cref="QmpErrorException">QEMU said no.</exception>
    public async Task<JsonElement> ExecuteAsync(string command, object? arguments, CancellationToken ct)
    {
        var id = ++lastId;
        object request = arguments is null ? new { execute = command, id } : new { execute = command, arguments, id };
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(request), (byte)'\n'];
        for (var sent = 0; sent < line.Length;)
        {
            sent += await socket.SendAsync(line.AsMemory(sent), ct).ConfigureAwait(false);
        }

        while (true)
        {
            var answer = await ReadAsync(ct).ConfigureAwait(false);
            if (!answer.TryGetProperty("id", out var answered) || answered.ValueKind != JsonValueKind.Number || answered.GetInt32() != id)
            {
                // An event.
                continue;
            }

            return answer.TryGetProperty("return", out var result) ? result
                : answer.TryGetProperty("error", out var error) ? throw new QmpErrorException(command, Text(error, "class"), Text(error, "desc"))
                : throw new QmpProtocolException($"the answer to {command} has neither 'return' nor 'error'");
        }
    }

    public void Dispose()
    {
        lines.Dispose();
        socket.Dispose();
    }

    private async Task GreetAsync(string path, CancellationToken ct)
    {
        var said = default(JsonElement);
        for (var line = 0; line < MostLeftOver; line++)
        {
            said = await ReadAsync(ct).ConfigureAwait(false);
            if (said.TryGetProperty("QMP", out _))
            {
                return;
            }
        }

        throw new QmpProtocolException($"{path} gives no QMP greeting, but says '{said.GetRawText()}'");
    }

    private static string Text(JsonElement element, string member) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private async Task<JsonElement> ReadAsync(CancellationToken ct)
    {
        var line = await lines.ReadLineAsync(ct).ConfigureAwait(false) ?? throw new QmpProtocolException("the connection was closed");
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(line) is { ValueKind: JsonValueKind.Object } answer ? answer : throw new QmpProtocolException($"'{line}' is not an object");
        }
        catch (JsonException e)
        {
            throw new QmpProtocolException($"'{line}' is not JSON", e);
        }
    }
}
