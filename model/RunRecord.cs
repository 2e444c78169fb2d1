namespace SnapshotFlow.Model;

/// <summary>A run as the records know it: how it was asked for, and how it ended. While it goes on, its workflow knows more.</summary>
public sealed record RunRecord
{
    /// <summary>The image it makes, which names it.</summary>
    public required ImageId ImageId { get; init; }

    /// <summary>The server.</summary>
    public required ServerId ServerId { get; init; }

    /// <summary>The project of who asked; nobody else sees the run, but administrators.</summary>
    public required string ProjectId { get; init; }

    /// <summary>Who asked.</summary>
    public required string UserId { get; init; }

    /// <summary><c>req-…</c>.</summary>
    public required string RequestId { get; init; }

    /// <summary>The caller's own id of the request, from <c>X-OpenStack-Request-ID</c>; null when it gave none.</summary>
    public string? GlobalRequestId { get; init; }

    /// <summary>Name of the image.</summary>
    public required string Name { get; init; }

    /// <summary>Where it stands or how it ended.</summary>
    public required RunStatus Status { get; init; }

    /// <summary>The last step that was recorded.</summary>
    public required Step Step { get; init; }

    /// <summary>What was wanted of the freeze.</summary>
    public required QuiesceMode Quiesce { get; init; }

    /// <summary>Why it was refused, failed or was cancelled.</summary>
    public Refusal? Reason { get; init; }

    /// <summary>What was observed; null when it never came to that.</summary>
    public Evidence? Evidence { get; init; }

    /// <summary>Every step; empty while the run goes on.</summary>
    public IReadOnlyList<RunStep> Steps { get; init; } = [];

    /// <summary>What could not be undone.</summary>
    public IReadOnlyList<Leftover> Leftovers { get; init; } = [];

    /// <summary>When it began.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended; null while it goes on.</summary>
    public DateTimeOffset? EndedAt { get; init; }
}
