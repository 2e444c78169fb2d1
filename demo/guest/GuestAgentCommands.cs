using System.Reflection;
using System.Text.Json;

namespace SnapshotFlow.DemoGuest;

/// <summary>
/// The commands of the QEMU guest agent that the demo guest knows, with the agent's names, results and refusals.
/// Source: QEMU guest agent protocol reference.
/// </summary>
internal sealed class GuestAgentCommands(FreezeGate gate, Journal journal, int fileSystems)
{
    private static readonly string Version = typeof(GuestAgentCommands).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>Every command, and whether it works while the guest is frozen.</summary>
    private static readonly (string Name, bool WhileFrozen)[] All =
    [
        ("guest-sync", true), ("guest-sync-delimited", true), ("guest-ping", true), ("guest-info", true),
        ("guest-fsfreeze-status", true), ("guest-fsfreeze-freeze", false), ("guest-fsfreeze-thaw", true),
        ("guest-get-osinfo", false), ("guest-get-host-name", false),
    ];

    /// <summary>Answers one line.</summary>
    /// <param name="line">A line as it came in, without its line feed.</param>
    /// <param name="delimited">Whether the answer has to begin with the byte 0xFF.</param>
    public string Answer(ReadOnlySpan<byte> line, out bool delimited)
    {
        delimited = false;
        JsonElement request;
        try
        {
            request = JsonSerializer.Deserialize<JsonElement>(line);
        }
        catch (JsonException)
        {
            return Error("GenericError", "the line is not JSON");
        }

        if (request.ValueKind != JsonValueKind.Object || !request.TryGetProperty("execute", out var execute) || execute.ValueKind != JsonValueKind.String)
        {
            return Error("GenericError", "the line is not an object with the text 'execute'");
        }

        var name = execute.GetString()!;
        if (!All.Any(c => c.Name == name))
        {
            return Error("CommandNotFound", $"the command {name} has not been found");
        }

        if (gate.IsFrozen && !All.Any(c => c.Name == name && c.WhileFrozen))
        {
            return Error("CommandNotFound", $"the command {name} is disabled while the guest is frozen");
        }

        delimited = name == "guest-sync-delimited";
        return name switch
        {
            "guest-sync" or "guest-sync-delimited" => Sync(request, ref delimited),
            "guest-ping" => Return(new { }),
            "guest-info" => Return(new
            {
                version = Version,
                supported_commands = All.Select(c => new Dictionary<string, object> { ["name"] = c.Name, ["enabled"] = c.WhileFrozen || !gate.IsFrozen, ["success-response"] = true }),
            }),
            "guest-fsfreeze-status" => Return(gate.IsFrozen ? "frozen" : "thawed"),
            "guest-fsfreeze-freeze" => Return(Freeze()),
            "guest-fsfreeze-thaw" => Return(Thaw()),
            "guest-get-osinfo" => Return(new Dictionary<string, string> { ["id"] = "snapshotflow-demo", ["name"] = "SnapshotFlow demo guest", ["version-id"] = Version }),
            _ => Return(new Dictionary<string, string> { ["host-name"] = "demo" }),
        };
    }

    private int Freeze()
    {
        if (!gate.Freeze())
        {
            return 0;
        }

        journal.Append("frozen");
        return fileSystems;
    }

    private int Thaw()
    {
        if (!gate.Thaw())
        {
            return 0;
        }

        journal.Append("thawed");
        return fileSystems;
    }

    private static string Sync(JsonElement request, ref bool delimited)
    {
        if (request.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.Object
            && arguments.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out var number))
        {
            return Return(number);
        }

        delimited = false;
        return Error("GenericError", "the argument 'id' must be an integer");
    }

    private static string Return(object value) => JsonSerializer.Serialize(new { @return = value });

    private static string Error(string errorClass, string description) =>
        JsonSerializer.Serialize(new { error = new Dictionary<string, string> { ["class"] = errorClass, ["desc"] = description } });
}
