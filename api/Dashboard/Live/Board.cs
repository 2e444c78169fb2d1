using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Dashboard.Live;

/// <summary>A run as it stands now.</summary>
/// <param name="Record">Its row.</param>
/// <param name="Live">What the run itself says; null when it has ended, or does not answer.</param>
/// <param name="Server">The server's name; its id when it is not known any more.</param>
public sealed record RunNow(RunRecord Record, Progress? Live, string Server)
{
    /// <summary>Where it stands, or how it ended.</summary>
    public RunStatus Status => Live?.Status ?? Record.Status;

    /// <summary>The step that it is at, or ended in.</summary>
    public Step Step => Live?.Step ?? Record.Step;

    /// <summary>Until when its guest stands still at the latest; null when it does not.</summary>
    public DateTimeOffset? FrozenUntil => Live is { Frozen: true } ? Live.FreezeDeadlineAt : null;

    /// <summary>Every step that is known.</summary>
    public IReadOnlyList<RunStep> Steps => Live?.Steps ?? Record.Steps;

    /// <summary>What was observed, if anything yet.</summary>
    public Evidence? Evidence => Live?.Evidence ?? Record.Evidence;

    /// <summary>Why it did not complete.</summary>
    public Refusal? Reason => Live?.Reason ?? Record.Reason;

    /// <summary>What could not be undone.</summary>
    public IReadOnlyList<Leftover> Leftovers => Live?.Leftovers ?? Record.Leftovers;

    /// <summary>Where the server sees a volume; the beginning of its id when the run does not say.</summary>
    public string DeviceOf(VolumeId volume) => Steps.FirstOrDefault(s => s.Step is Step.CreateVolumeSnapshot && s.Volume == volume)?.Detail ?? volume.ToString()[..8];

    /// <summary>Since when its guest is asked to stand still; null when it is not.</summary>
    public DateTimeOffset? FreezeAskedAt => FrozenUntil is null ? null : Steps.LastOrDefault(s => s.Step is Step.Quiesce)?.StartedAt;
}

/// <summary>Whose things somebody sees.</summary>
/// <param name="Project">Runs of this project; null for all.</param>
/// <param name="Quota">Whether quotas are seen too.</param>
/// <param name="Findings">Whether findings of the reconciler are seen too.</param>
/// <param name="Other">What is seen of other work.</param>
public sealed record Sight(string? Project, bool Quota, bool Findings, SightOfOtherWork Other);

/// <summary>What somebody sees beside runs.</summary>
/// <param name="Project">Of this project; null for all.</param>
/// <param name="Operations">Whether restores and deletions of images are seen.</param>
/// <param name="Snapshots">Whether snapshots of single volumes are seen.</param>
public sealed record SightOfOtherWork(string? Project, bool Operations, bool Snapshots);

/// <summary>How things stand.</summary>
/// <param name="Sight">For whom.</param>
/// <param name="At">When it was read.</param>
/// <param name="Running">Runs that go on, newest first.</param>
/// <param name="Recent">Runs that have ended, those that began last first.</param>
/// <param name="Other">Restores and deletions of images and snapshots of single volumes: what goes on, then what was done lately.</param>
/// <param name="Tallies">How many there are; of those that ended, in the last day.</param>
/// <param name="Quota">Limits and use; null when they are not seen.</param>
/// <param name="Findings">What is out of order; null when it is not seen.</param>
public sealed record Board(
    Sight Sight, DateTimeOffset At, IReadOnlyList<RunNow> Running, IReadOnlyList<RunNow> Recent, IReadOnlyList<Work> Other, RunTallies Tallies, IReadOnlyList<QuotaLevel>? Quota, IReadOnlyList<FindingRecord>? Findings)
{
    /// <summary>Runs that hold a freeze now, the next deadline first.</summary>
    public IEnumerable<RunNow> Frozen => Running.Where(r => r.FrozenUntil is not null).OrderBy(r => r.FrozenUntil);

    /// <summary>Guests that stay frozen though nobody needs it.</summary>
    public IEnumerable<FindingRecord> Forgotten => (Findings ?? []).Where(f => f.Finding.Key.Kind is FindingKind.FrozenGuest);
}
