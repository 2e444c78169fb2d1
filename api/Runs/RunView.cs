using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Runs;

/// <summary>A run: how it was asked for, where it stands or how it ended. Durations are in milliseconds.</summary>
/// <param name="ImageId">The image, and the id of the run.</param>
/// <param name="ServerId">The server.</param>
/// <param name="ProjectId">The project of who asked.</param>
/// <param name="UserId">Who asked.</param>
/// <param name="RequestId">The request that started it, key of the instance action.</param>
/// <param name="GlobalRequestId">The caller's own id of that request.</param>
/// <param name="Name">Name of the image.</param>
/// <param name="Quiesce">What was wanted of the freeze.</param>
/// <param name="Status">Running, or how it ended.</param>
/// <param name="Step">The step it is at, or ended in.</param>
/// <param name="Live">Whether the run itself said so just now; false when its record did.</param>
/// <param name="Frozen">Whether it holds a freeze right now.</param>
/// <param name="FreezeDeadlineAt">When that freeze ends at the latest.</param>
/// <param name="StartedAt">When it began.</param>
/// <param name="EndedAt">When it ended.</param>
/// <param name="DurationMs">How long it took; null while it goes on.</param>
/// <param name="Reason">Why it was refused, failed or was cancelled.</param>
/// <param name="Evidence">How consistent the image is, and why.</param>
/// <param name="Steps">Every step that is known, in the order they began.</param>
/// <param name="Leftovers">What could not be undone.</param>
/// <param name="Links">The run, and its image.</param>
internal sealed record RunView(
    ImageId ImageId,
    ServerId ServerId,
    string ProjectId,
    string UserId,
    string RequestId,
    string? GlobalRequestId,
    string Name,
    QuiesceMode Quiesce,
    RunStatus Status,
    Step Step,
    bool Live,
    bool Frozen,
    DateTimeOffset? FreezeDeadlineAt,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt,
    double? DurationMs,
    ReasonView? Reason,
    EvidenceView? Evidence,
    IReadOnlyList<StepView> Steps,
    IReadOnlyList<Leftover> Leftovers,
    IReadOnlyList<Link> Links)
{
    /// <param name="run">The record.</param>
    /// <param name="live">What the run itself says; null when it was not asked or did not answer.</param>
    /// <param name="context">For the links.</param>
    public static RunView Of(RunRecord run, Progress? live, HttpContext context) => new(
        run.ImageId,
        run.ServerId,
        run.ProjectId,
        run.UserId,
        run.RequestId,
        run.GlobalRequestId,
        run.Name,
        run.Quiesce,
        live?.Status ?? run.Status,
        live?.Step ?? run.Step,
        live is not null,
        live?.Frozen ?? false,
        live?.FreezeDeadlineAt,
        run.StartedAt,
        run.EndedAt,
        Milliseconds(run.EndedAt - run.StartedAt),
        (live?.Reason ?? run.Reason) is { } reason ? new(reason.Kind, reason.Message) : null,
        (live?.Evidence ?? run.Evidence) is { } evidence ? EvidenceView.Of(evidence) : null,
        (live?.Steps ?? run.Steps).Select(StepView.Of).ToList(),
        live?.Leftovers ?? run.Leftovers,
        LinksOf(run.ImageId, context));

    public static IReadOnlyList<Link> LinksOf(ImageId image, HttpContext context) =>
        [Link.Self(context.Url($"/runs/{image}")), new("image", context.Url($"/image/v2/images/{image}"))];

    public static double? Milliseconds(TimeSpan? duration) => duration is { } d ? Math.Round(d.TotalMilliseconds, 1) : null;
}

/// <summary>Why a run did not complete.</summary>
internal sealed record ReasonView(ErrorKind Kind, string Message);

/// <summary>One step with its times.</summary>
internal sealed record StepView(
    Step Step, VolumeId? VolumeId, string? Detail, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, double? DurationMs, string? Error)
{
    public static StepView Of(RunStep step) =>
        new(step.Step, step.Volume, step.Detail, step.StartedAt, step.EndedAt, RunView.Milliseconds(step.EndedAt - step.StartedAt), step.Error);
}

/// <summary>Why the image may be trusted, and how far.</summary>
internal sealed record EvidenceView(
    Consistency Consistency,
    string? Reason,
    DateTimeOffset? FrozenAt,
    DateTimeOffset? ThawedAt,
    double? FreezeMs,
    bool LeaseExpired,
    string Cut,
    double? CutSkewMs,
    IReadOnlyList<CutView> Cuts)
{
    public static EvidenceView Of(Evidence e) => new(
        e.Consistency,
        e.Reason,
        e.FrozenAt,
        e.ThawedAt,
        RunView.Milliseconds(e.Freeze),
        e.LeaseExpired,
        e.Cut,
        RunView.Milliseconds(e.CutSkew),
        e.Cuts.Select(CutView.Of).ToList());
}

/// <summary>One cut.</summary>
internal sealed record CutView(
    VolumeId VolumeId,
    SnapshotId SnapshotId,
    DateTimeOffset StartedAt,
    DateTimeOffset CutAt,
    DateTimeOffset EndedAt,
    double? DurationMs,
    long SizeBytes,
    bool PointInTime)
{
    public static CutView Of(VolumeCut cut) =>
        new(cut.Volume, cut.Snapshot, cut.StartedAt, cut.CutAt, cut.EndedAt, RunView.Milliseconds(cut.EndedAt - cut.StartedAt), cut.SizeBytes, cut.PointInTime);
}
