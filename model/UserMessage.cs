namespace SnapshotFlow.Model;

/// <summary>
/// Tells a user what went wrong after the request had been accepted. Source: Cinder, user messages: <c>VOLUME_&lt;resource type&gt;_&lt;action&gt;_&lt;detail&gt;</c>,
/// action and detail as three digits of its tables; shown for 30 days.
/// </summary>
/// <param name="Id">Its id.</param>
/// <param name="ProjectId">The project it is for.</param>
/// <param name="ResourceType"><c>VOLUME_SNAPSHOT</c> or <c>VOLUME</c>.</param>
/// <param name="ResourceId">The thing it is about.</param>
/// <param name="EventId">For example <c>VOLUME_VOLUME_SNAPSHOT_009_013</c>.</param>
/// <param name="Text">For the user.</param>
/// <param name="RequestId">The request that caused it.</param>
/// <param name="CreatedAt">When.</param>
public sealed record UserMessage(
    Guid Id, string ProjectId, string ResourceType, Guid ResourceId, string EventId, string Text, string RequestId, DateTimeOffset CreatedAt)
{
    /// <summary>How long a message is shown. Source: Cinder, default of <c>message_ttl</c>, 2592000 s.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>A message about a snapshot; its id follows from what it says, so that a repeated step says it once.</summary>
    public static UserMessage About(SnapshotId snapshot, string projectId, UserMessageKind kind, string requestId, DateTimeOffset now) =>
        Of("VOLUME_SNAPSHOT", snapshot.Value, projectId, kind, requestId, now);

    /// <summary>A message about a volume.</summary>
    public static UserMessage About(VolumeId volume, string projectId, UserMessageKind kind, string requestId, DateTimeOffset now) =>
        Of("VOLUME", volume.Value, projectId, kind, requestId, now);

    private static UserMessage Of(string resourceType, Guid resource, string projectId, UserMessageKind kind, string requestId, DateTimeOffset now)
    {
        var (code, text) = kind switch
        {
            UserMessageKind.SnapshotCreateFailed => ("009_013", "create snapshot: Snapshot fails to be created."),
            UserMessageKind.SnapshotMetadataFailed => ("009_014", "create snapshot: Metadata of the volume cannot be copied to the snapshot."),
            UserMessageKind.SnapshotBusy => ("010_015", "delete snapshot: Snapshot is busy."),
            UserMessageKind.SnapshotDeleteFailed => ("010_016", "delete snapshot: Snapshot fails to be deleted."),
            UserMessageKind.VolumeCreateFailed => ("007_004", "create volume from backend storage: Driver failed to create the volume."),
            UserMessageKind.VolumeDeleteFailed => ("013_018", "delete volume: Volume fails to be deleted."),
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
        var eventId = $"VOLUME_{resourceType}_{code}";
        return new(DeterministicId.Message(eventId, resource, requestId), projectId, resourceType, resource, eventId, text, requestId, now);
    }
}

/// <summary>What went wrong.</summary>
public enum UserMessageKind
{
    /// <summary>The driver could not make the snapshot.</summary>
    SnapshotCreateFailed,

    /// <summary>The image metadata of the volume could not be copied.</summary>
    SnapshotMetadataFailed,

    /// <summary>Something needs the snapshot: it was not deleted.</summary>
    SnapshotBusy,

    /// <summary>The driver could not delete the snapshot.</summary>
    SnapshotDeleteFailed,

    /// <summary>The driver could not make the volume.</summary>
    VolumeCreateFailed,

    /// <summary>The driver could not delete the volume.</summary>
    VolumeDeleteFailed,
}
