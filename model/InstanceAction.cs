namespace SnapshotFlow.Model;

/// <summary>Something that was asked of a server, for its owner to look up. Source: Nova, <c>os-instance-actions</c>.</summary>
/// <param name="ServerId">The server.</param>
/// <param name="Action">For example <see cref="CreateImage"/>.</param>
/// <param name="RequestId"><c>req-…</c>: with the server, its key.</param>
/// <param name="UserId">Who asked.</param>
/// <param name="ProjectId">The project of who asked.</param>
/// <param name="StartedAt">When.</param>
/// <param name="UpdatedAt">When it last changed.</param>
/// <param name="Message">Null, or <c>Error</c> when it failed.</param>
/// <param name="Events">What was done about it, in the order it began.</param>
public sealed record InstanceAction(
    ServerId ServerId, string Action, string RequestId, string UserId, string ProjectId, DateTimeOffset StartedAt, DateTimeOffset UpdatedAt, string? Message,
    IReadOnlyList<InstanceActionEvent> Events)
{
    /// <summary>The action that makes an image.</summary>
    public const string CreateImage = "createImage";
}

/// <summary>One thing done about an action.</summary>
/// <param name="Event">For example <see cref="ApiSnapshotInstance"/>.</param>
/// <param name="StartedAt">When it began.</param>
/// <param name="FinishedAt">When it ended; null while it goes on.</param>
/// <param name="Result"><c>Success</c> or <c>Error</c>; null while it goes on.</param>
/// <param name="Details">Why it failed; null otherwise.</param>
public sealed record InstanceActionEvent(string Event, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, string? Result, string? Details)
{
    /// <summary>The event of <see cref="InstanceAction.CreateImage"/> on a volume-backed server.</summary>
    public const string ApiSnapshotInstance = "api_snapshot_instance";
}
