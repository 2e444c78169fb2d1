using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Runs;

/// <summary>The answer to <c>dry_run</c>: what would happen if the same request were made without it. Nothing was written, frozen or cut.</summary>
/// <param name="DryRun">Always true.</param>
/// <param name="Accepted">Whether the request would be accepted.</param>
/// <param name="Refusal">Why it would not be, with the status that would say so.</param>
/// <param name="Consistency">What the image would be, as far as can be told before.</param>
/// <param name="Reason">Why it would not be better.</param>
/// <param name="Volumes">The volumes that would be cut.</param>
internal sealed record PlanView(
    bool DryRun, bool Accepted, PlannedRefusal? Refusal, Consistency? Consistency, string? Reason, IReadOnlyList<PlannedVolume> Volumes)
{
    public static PlanView Of(ImagePlan plan) => new(
        true,
        plan.Refusal is null,
        plan.Refusal is { } refusal ? new(FaultTable.Status(refusal.Kind), refusal.Kind, refusal.Message) : null,
        plan.Consistency,
        plan.Reason,
        plan.Volumes.Select(v => new PlannedVolume(v.Volume, v.DeviceName, v.SizeGib, v.VolumeType, v.Bootable)).ToList());
}

/// <summary>A refusal that did not happen.</summary>
internal sealed record PlannedRefusal(int Code, ErrorKind Kind, string Message);

/// <summary>A volume that would be cut.</summary>
internal sealed record PlannedVolume(VolumeId VolumeId, string? DeviceName, int SizeGib, string? VolumeType, bool Bootable);
