using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>What a server is, between operations. Source: Nova, compute vm_states; the REST API shows them in other words (<c>stopped</c> as SHUTOFF).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<VmState>))]
public enum VmState
{
    /// <summary>Running.</summary>
    [JsonStringEnumMemberName("active")] Active,

    /// <summary>Being built.</summary>
    [JsonStringEnumMemberName("building")] Building,

    /// <summary>Its virtual processors stand still; its memory is kept.</summary>
    [JsonStringEnumMemberName("paused")] Paused,

    /// <summary>Its memory is on disk.</summary>
    [JsonStringEnumMemberName("suspended")] Suspended,

    /// <summary>Powered off.</summary>
    [JsonStringEnumMemberName("stopped")] Stopped,

    /// <summary>Running from a rescue image.</summary>
    [JsonStringEnumMemberName("rescued")] Rescued,

    /// <summary>Waiting for a resize to be confirmed.</summary>
    [JsonStringEnumMemberName("resized")] Resized,

    /// <summary>Deleted, can be restored.</summary>
    [JsonStringEnumMemberName("soft-delete")] SoftDeleted,

    /// <summary>Gone.</summary>
    [JsonStringEnumMemberName("deleted")] Deleted,

    /// <summary>Something failed.</summary>
    [JsonStringEnumMemberName("error")] Error,

    /// <summary>Off, its disk kept as an image, still on its host.</summary>
    [JsonStringEnumMemberName("shelved")] Shelved,

    /// <summary>Off and on no host.</summary>
    [JsonStringEnumMemberName("shelved_offloaded")] ShelvedOffloaded,
}

/// <summary>Facts about server states.</summary>
public static class VmStates
{
    /// <summary>Whether <c>createImage</c> is allowed. Source: Nova, <c>snapshot_volume_backed</c>; paused since 2020.</summary>
    public static bool AllowsCreateImage(this VmState state) => state is VmState.Active or VmState.Stopped or VmState.Paused or VmState.Suspended;
}

/// <summary>
/// What is being done to a server right now; null when nothing is. Nova has many more of these, and a server that comes from elsewhere may carry any of
/// them: every one but null refuses <c>createImage</c>.
/// </summary>
public static class TaskState
{
    /// <summary>
    /// An image is being made. Nova sets this for image-backed servers only; here it is the lock that keeps a second image, a stop or a detach away from a
    /// volume-backed server while its volumes are cut, a deliberate improvement.
    /// </summary>
    public const string ImageSnapshot = "image_snapshot";
}
