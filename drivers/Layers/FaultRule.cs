using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Layers;

/// <summary>What goes wrong with a call.</summary>
public enum VolumeFault
{
    /// <summary>Fails with <see cref="FaultRule.Kind"/> before anything is done.</summary>
    Fail,

    /// <summary>Does the work, then fails with <see cref="ErrorKind.BackendUnavailable"/> as if the answer were lost.</summary>
    LoseAnswer,

    /// <summary>Does nothing and ends only when the call is cancelled.</summary>
    Hang,

    /// <summary>Waits <see cref="FaultRule.Delay"/>, then does the work.</summary>
    Delay,
}

/// <summary>
/// One fault to inject. A fault file is a JSON array of rules with snake_case keys:
/// <code>
/// [ { "operation": "CreateSnapshot", "volume": "0c6a…", "fault": "Fail", "times": 2, "kind": "BackendUnavailable", "message": "the pool is offline" },
///   { "operation": "DeleteSnapshot", "fault": "Delay", "delay": "00:00:01.5" } ]
/// </code>
/// The first rule that matches a call and is not used up is applied, and only that one. An absent file or an empty array is no fault; a file that cannot
/// be understood fails every call. The file is read at every call: replace it by renaming a new one over it, so that nobody reads half of it.
/// How often a rule was applied is counted per process and rule text; a changed rule counts anew.
/// </summary>
public sealed record FaultRule
{
    /// <summary>Which calls. Null: all of them.</summary>
    public VolumeOperation? Operation { get; init; }

    /// <summary>Only calls about this volume. Null: any.</summary>
    public VolumeId? Volume { get; init; }

    /// <summary>Only calls about this snapshot. Null: any.</summary>
    public SnapshotId? Snapshot { get; init; }

    /// <summary>What happens.</summary>
    public required VolumeFault Fault { get; init; }

    /// <summary>How often, at least 1. Null: always.</summary>
    public int? Times { get; init; }

    /// <summary>With <see cref="VolumeFault.Fail"/>: the kind of failure. Default <see cref="ErrorKind.BackendRefused"/>.</summary>
    public ErrorKind Kind { get; init; } = ErrorKind.BackendRefused;

    /// <summary>With <see cref="VolumeFault.Delay"/>: how long.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>The failure's text. Null: one that says it was injected.</summary>
    public string? Message { get; init; }

    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        Converters = { new JsonStringEnumConverter(namingPolicy: null, allowIntegerValues: false) },
    };

    /// <summary>Whether the rule is about this call.</summary>
    public bool Matches(VolumeCall call) =>
        (Operation is null || Operation == call.Operation)
        && (Volume is null || Volume == call.Volume)
        && (Snapshot is null || Snapshot == call.Snapshot);

    /// <summary>The rules as a fault file has them.</summary>
    public static string Write(IEnumerable<FaultRule> rules) => JsonSerializer.Serialize(rules, Format);

    /// <summary>Reads a fault file's text.</summary>
    /// <exception cref="JsonException">Not a list of rules; the message says where.</exception>
    public static IReadOnlyList<FaultRule> Read(string text)
    {
        var rules = JsonSerializer.Deserialize<List<FaultRule?>>(text, Format) ?? throw new JsonException("a fault file is an array of rules");
        return [.. rules.Select((rule, at) => rule switch
        {
            null => throw new JsonException($"rule {at} is null"),
            { Times: < 1 } => throw new JsonException($"rule {at}: times is {rule.Times}; it is at least 1, or absent for always"),
            { Fault: VolumeFault.Delay, Delay: var delay } when delay <= TimeSpan.Zero => throw new JsonException($"rule {at}: Delay needs a delay above zero, such as \"00:00:01.5\""),
            _ => rule,
        })];
    }
}
