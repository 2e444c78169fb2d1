using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>How much an image can be trusted to look like one instant of the server. Stored as the lower-case name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Consistency>))]
public enum Consistency
{
    /// <summary>The guest was frozen from before the first cut until after the last: file systems are flushed, applications were told.</summary>
    [JsonStringEnumMemberName("application")] Application,

    /// <summary>Each volume is one instant, as after a power cut. Between volumes the cut skew applies.</summary>
    [JsonStringEnumMemberName("crash")] Crash,

    /// <summary>The server was not running; nothing could write.</summary>
    [JsonStringEnumMemberName("offline")] Offline,

    /// <summary>A running guest wrote while a back end without instant snapshots copied: not even one volume is one instant.</summary>
    [JsonStringEnumMemberName("none")] None,
}

/// <summary>What a request wants of the freeze. Stored as the lower-case name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<QuiesceMode>))]
public enum QuiesceMode
{
    /// <summary>Freeze if the guest can; otherwise make a crash-consistent image and say so. The default, as Nova does.</summary>
    [JsonStringEnumMemberName("try")] Try,

    /// <summary>Freeze or refuse. Also what the image property <c>os_require_quiesce</c> asks for.</summary>
    [JsonStringEnumMemberName("require")] Require,

    /// <summary>Do not freeze. Refused for a server whose image property <c>os_require_quiesce</c> is set.</summary>
    [JsonStringEnumMemberName("skip")] Skip,
}

/// <summary>What happens when the freeze deadline passes before the last volume is cut. Stored as the lower-case name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ExpiryPolicy>))]
public enum ExpiryPolicy
{
    /// <summary>The guest is thawed, the cuts go on, the image says <see cref="Consistency.Crash"/>. The default.</summary>
    [JsonStringEnumMemberName("downgrade")] Downgrade,

    /// <summary>The guest is thawed and the run fails, leaving nothing. Always so when quiescing is required.</summary>
    [JsonStringEnumMemberName("fail")] Fail,
}

/// <summary>How long a guest may stay frozen.</summary>
public static class FreezeDeadline
{
    /// <summary>8 s: below the 10 s after which Windows' VSS gives up on its own.</summary>
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(8);

    /// <summary>1 s.</summary>
    public static readonly TimeSpan Minimum = TimeSpan.FromSeconds(1);

    /// <summary>60 s: Nova's RPC timeout for quiescing.</summary>
    public static readonly TimeSpan Maximum = TimeSpan.FromSeconds(60);
}

/// <summary>One cut: the moment a back end fixed the contents of one volume.</summary>
/// <param name="Volume">The volume.</param>
/// <param name="Snapshot">The snapshot it became.</param>
/// <param name="StartedAt">When the driver was called, clock of the volume worker's host.</param>
/// <param name="CutAt">When the driver says the contents were fixed, same clock.</param>
/// <param name="EndedAt">When the driver answered, same clock.</param>
/// <param name="SizeBytes">Size of the snapshot in bytes.</param>
/// <param name="PointInTime">Whether the driver fixes a whole volume at one instant even while it is written to.</param>
/// <param name="InGroup">Whether the back end cut it at one instant together with the server's other volumes in it.</param>
public sealed record VolumeCut(
    VolumeId Volume, SnapshotId Snapshot, DateTimeOffset StartedAt, DateTimeOffset CutAt, DateTimeOffset EndedAt, long SizeBytes, bool PointInTime, bool InGroup = false);

/// <summary>Why an image may be trusted, and how far. Recorded on the run, and as properties of the image.</summary>
/// <param name="Consistency">The verdict.</param>
/// <param name="Reason">Why it is not better than it is; null for <see cref="Consistency.Application"/>.</param>
/// <param name="FrozenAt">When the guest confirmed the freeze, clock of the compute host; null if it was not frozen.</param>
/// <param name="ThawedAt">When the guest confirmed the thaw, same clock; null if it was not frozen.</param>
/// <param name="LeaseExpired">The guest was thawed because its freeze deadline passed.</param>
/// <param name="Cuts">One per volume, in the order of the block device mapping.</param>
public sealed record Evidence(
    Consistency Consistency, string? Reason, DateTimeOffset? FrozenAt, DateTimeOffset? ThawedAt, bool LeaseExpired, IReadOnlyList<VolumeCut> Cuts)
{
    /// <summary>How long the guest stood still; null if it was not frozen.</summary>
    [JsonIgnore]
    public TimeSpan? Freeze => ThawedAt - FrozenAt;

    /// <summary>How the volumes were cut: <c>group</c>, all at one instant by the back end, or <c>each</c>, one by one, all called for at once.</summary>
    [JsonIgnore]
    public string Cut => Cuts.Count > 0 && Cuts.All(c => c.InGroup) && Cuts.DistinctBy(c => c.CutAt).Count() == 1 ? "group" : "each";

    /// <summary>Time between the first and the last cut; zero for fewer than two volumes.</summary>
    [JsonIgnore]
    public TimeSpan CutSkew => Cuts.Count < 2 ? TimeSpan.Zero : Cuts.Max(c => c.CutAt) - Cuts.Min(c => c.CutAt);
}
