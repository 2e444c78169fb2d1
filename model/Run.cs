using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>Who asks. Never carries the token that proved it.</summary>
/// <param name="ProjectId">The project of the token.</param>
/// <param name="UserId">The user of the token.</param>
/// <param name="Roles">Lower-case role names: <c>admin</c>, <c>member</c>, <c>reader</c>.</param>
public sealed record Caller(string ProjectId, string UserId, IReadOnlyList<string> Roles)
{
    /// <summary>Whether the caller may act on any project.</summary>
    [JsonIgnore]
    public bool IsAdmin => Roles.Contains("admin");
}

/// <summary>Where a run stands or how it ended. Stored as the lower-case name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RunStatus>))]
public enum RunStatus
{
    /// <summary>Not ended yet.</summary>
    [JsonStringEnumMemberName("running")] Running,

    /// <summary>The image is active.</summary>
    [JsonStringEnumMemberName("completed")] Completed,

    /// <summary>Refused before anything was frozen or cut; nothing left.</summary>
    [JsonStringEnumMemberName("refused")] Refused,

    /// <summary>Failed; everything was undone.</summary>
    [JsonStringEnumMemberName("failed")] Failed,

    /// <summary>Cancelled; everything was undone.</summary>
    [JsonStringEnumMemberName("cancelled")] Cancelled,

    /// <summary>Failed or cancelled, and something could not be undone: see the leftovers.</summary>
    [JsonStringEnumMemberName("compensation_failed")] CompensationFailed,
}

/// <summary>A step of a run. The names of the enumeration are what callers, the Temporal UI and search attributes show.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Step>))]
public enum Step
{
    /// <summary>Loads the server, takes its task state, works out image and volumes.</summary>
    PrepareImage,

    /// <summary>Reserves quota for every volume at once.</summary>
    CheckQuota,

    /// <summary>Writes the records that callers see while the run goes on.</summary>
    ReserveRecords,

    /// <summary>Asks the guest agent whether a freeze is possible.</summary>
    ProbeGuest,

    /// <summary>Freezes the guest under a lease.</summary>
    Quiesce,

    /// <summary>Cuts one volume.</summary>
    CreateVolumeSnapshot,

    /// <summary>Thaws the guest.</summary>
    Unquiesce,

    /// <summary>Copies the image metadata of a bootable volume to its snapshot.</summary>
    CopyGlanceMetadata,

    /// <summary>Makes the snapshots available and commits the quota.</summary>
    CompleteSnapshots,

    /// <summary>Makes the image active.</summary>
    CreateImageRecord,

    /// <summary>Undoes what was done, newest first.</summary>
    Compensate,
}

/// <summary>One step of a run with its times, for callers and operators.</summary>
/// <param name="Step">Which step.</param>
/// <param name="Volume">The volume it was about, for steps that run once per volume.</param>
/// <param name="Detail">A few words for a person; null when the name says it all.</param>
/// <param name="StartedAt">When the run asked for it.</param>
/// <param name="EndedAt">When the run had the answer; null while it goes on.</param>
/// <param name="Error">Why it failed; null while it goes on and after success.</param>
public sealed record RunStep(Step Step, VolumeId? Volume, string? Detail, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string? Error);

/// <summary>Something that undoing could not remove.</summary>
/// <param name="Kind">What undo failed: <c>Unquiesce</c>, <c>DeleteVolumeSnapshot</c>, <c>RemoveRecords</c>, <c>ReleaseQuota</c>, <c>ReleaseServer</c>.</param>
/// <param name="Subject">Id or name of the thing that is left.</param>
/// <param name="Error">What the undo said.</param>
public sealed record Leftover(string Kind, string Subject, string Error);

/// <summary>Why a run was refused or failed.</summary>
/// <param name="Kind">The kind decides the HTTP status.</param>
/// <param name="Message">For the caller; free of secrets and of other projects' ids.</param>
public sealed record Refusal(ErrorKind Kind, string Message);
