using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// One image of three snapshots, and single snapshots and volumes: records and back end in memory, as one stateful fake of the contracts. Tests script what goes wrong
/// and look at what is there afterwards.
/// </summary>
public sealed class FakeResources : ISnapshotActivities, IImageActivities, IVolumeRecordActivities, IVolumeCloneActivities
{
    public const string Backend = "host-1@file";

    private static readonly Caller Member = new("project", "user", ["member"]);

    // Its script and its journal.
    private readonly FakeCloud calls = new();

    public VolumeId Volume { get; } = VolumeId.New();

    public ImageId Image { get; } = ImageId.New();

    /// <summary>The image's snapshots.</summary>
    public IReadOnlyList<SnapshotId> OfImage { get; } = [SnapshotId.New(), SnapshotId.New(), SnapshotId.New()];

    /// <summary>Whether the volume has image metadata to copy.</summary>
    public bool Bootable { get; init; } = true;

    /// <summary>Statuses of snapshot rows; a tombstone is "deleted".</summary>
    public Dictionary<SnapshotId, string> SnapshotRows { get; } = [];

    /// <summary>Statuses of volume rows; a tombstone is "deleted".</summary>
    public Dictionary<VolumeId, string> VolumeRows { get; } = [];

    /// <summary>What the back end has.</summary>
    public HashSet<SnapshotId> StoredSnapshots { get; } = [];

    /// <summary>What the back end has.</summary>
    public HashSet<VolumeId> StoredVolumes { get; } = [];

    public string ImageStatus { get; private set; } = "active";

    /// <summary>Where the operation's row stands, or how it was closed.</summary>
    public RunStatus? Operation { get; private set; }

    /// <summary>The deletion that has opened the operation's row.</summary>
    public DeleteImageInput? Deletion { get; private set; }

    /// <summary>The restore that has opened the operation's row.</summary>
    public RestoreImageInput? Restoring { get; private set; }

    public IReadOnlyList<Leftover> Leftovers { get; private set; } = [];

    /// <summary>What users were told.</summary>
    public List<UserMessageKind> Told { get; } = [];

    public IReadOnlyList<string> Journal => calls.Journal;

    public FakeResources()
    {
        foreach (var snapshot in OfImage)
        {
            SnapshotRows[snapshot] = "available";
            StoredSnapshots.Add(snapshot);
        }
    }

    public void Script(string activity, params Fault[] script) => calls.Script(activity, script);

    public CreateVolumeSnapshotInput Snapshot() => new(SnapshotId.New(), Volume, "snap", null, new Dictionary<string, string>(), false, Member, "req-1");

    public DeleteSnapshotInput DeleteSnapshot() => new(OfImage[0], false, Member, "req-1");

    public DeleteImageInput DeleteImage(bool keepSnapshots = false) => new(OperationId.New(), Image, keepSnapshots, Member, "req-1");

    public RestoreImageInput Restore() => new(OperationId.New(), Image, null, Member, "req-1");

    public CreateVolumeInput MakeVolume() => new(VolumeId.New(), OfImage[0], null, "disk", null, null, null, new Dictionary<string, string>(), Member, "req-1");

    /// <summary>A volume that is there.</summary>
    public DeleteVolumeInput DeleteVolume()
    {
        VolumeRows[Volume] = "available";
        StoredVolumes.Add(Volume);
        return new(Volume, false, Member, "req-1");
    }

    [Activity]
    public Task<AdmittedSnapshot> AdmitSnapshotAsync(CreateVolumeSnapshotInput input) => Do("AdmitSnapshot", () =>
    {
        if (!SnapshotRows.TryAdd(input.Snapshot, "creating") && SnapshotRows[input.Snapshot] == "deleted")
        {
            throw Fault.Failure(ErrorKind.StaleStatus, "withdrawn");
        }

        return new AdmittedSnapshot(
            new() { Id = input.Snapshot, VolumeId = input.Volume, ProjectId = "project", UserId = "user", Status = SnapshotStatus.Creating, ProgressPercent = 0, SizeGib = 1 }, Backend, Bootable);
    });

    [Activity]
    public Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input) => Do("CreateVolumeSnapshot", () =>
    {
        StoredSnapshots.Add(input.Snapshot);
        var now = TimeProvider.System.GetUtcNow();
        return new VolumeCut(input.Volume, input.Snapshot, now, now, now, 1 << 30, true);
    });

    [Activity]
    public Task CopyGlanceMetadataAsync(VolumeSnapshotInput input) => Do("CopyGlanceMetadata", () => true);

    [Activity]
    public Task CompleteSnapshotAsync(CreateVolumeSnapshotInput input) => Do("CompleteSnapshot", () => SnapshotRows[input.Snapshot] = "available");

    [Activity]
    public Task FailSnapshotAsync(FailSnapshotInput input) => Do("FailSnapshot", () =>
    {
        SnapshotRows[input.Request.Snapshot] = "error";
        Told.Add(input.Kind);
        return true;
    });

    [Activity]
    public Task WithdrawSnapshotAsync(CreateVolumeSnapshotInput input) => Do("WithdrawSnapshot", () => SnapshotRows[input.Snapshot] = "deleted");

    [Activity]
    public Task<SnapshotToDelete> BeginDeleteSnapshotAsync(DeleteSnapshotInput input) => Do("BeginDeleteSnapshot", () =>
    {
        Begin(input.Resume, SnapshotRows[input.Snapshot] == "deleting");
        SnapshotRows[input.Snapshot] = "deleting";
        return new SnapshotToDelete(Backend, Volume, input.Snapshot);
    });

    [Activity]
    public Task EndDeleteSnapshotAsync(EndDeleteSnapshotInput input) => Do("EndDeleteSnapshot", () => End(input.Outcome));

    [Activity]
    public Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input) => Do("DeleteVolumeSnapshot", () => StoredSnapshots.Remove(input.Snapshot));

    [Activity]
    public Task<IReadOnlyList<SnapshotToDelete>> BeginDeleteImageAsync(DeleteImageInput input) => Do<IReadOnlyList<SnapshotToDelete>>("BeginDeleteImage", () =>
    {
        Begin(input.Resume, ImageStatus == "pending_delete");
        ImageStatus = "pending_delete";
        (Deletion, Operation) = (input, RunStatus.Running);
        if (input.KeepSnapshots)
        {
            return [];
        }

        foreach (var snapshot in OfImage)
        {
            SnapshotRows[snapshot] = "deleting";
        }

        return [.. OfImage.Select(s => new SnapshotToDelete(Backend, Volume, s))];
    });

    [Activity]
    public Task EndDeleteImageAsync(EndDeleteImageInput input) => Do("EndDeleteImage", () =>
    {
        foreach (var outcome in input.Snapshots)
        {
            End(outcome);
        }

        ImageStatus = "deleted";
        Leftovers = [.. input.Snapshots.Where(s => s.Failure is not null).Select(s => new Leftover("DeleteVolumeSnapshot", Names.Snapshot(s.Snapshot), s.Failure!.Message))];
        Operation = Leftovers.Count == 0 ? RunStatus.Completed : RunStatus.CompensationFailed;
        return true;
    });

    [Activity]
    public Task<PreparedRestore> PrepareRestoreAsync(RestoreImageInput input) => Do("PrepareRestore", () =>
    {
        var restored = OfImage.Select((s, i) => new RestoredVolume(DeterministicId.Volume(input.Operation, s), s, $"/dev/vd{(char)('a' + i)}", i == 0 ? 0 : null, 1)).ToList();
        restored.ForEach(v => VolumeRows[v.Volume] = "creating");
        (Restoring, Operation) = (input, RunStatus.Running);
        return new PreparedRestore([.. restored.Select(v => new VolumeToMake(v.Volume, Volume, v.Snapshot, Backend, 1))], restored);
    });

    [Activity]
    public Task CompleteRestoreAsync(CompleteRestoreInput input) => Do("CompleteRestore", () =>
    {
        input.Volumes.ToList().ForEach(v => VolumeRows[v.Volume] = "available");
        Operation = RunStatus.Completed;
        return true;
    });

    [Activity]
    public Task UndoRestoreAsync(UndoRestoreInput input) => Do("UndoRestore", () =>
    {
        foreach (var volume in VolumeRows.Keys.ToList())
        {
            VolumeRows[volume] = input.LeftBehind.Contains(volume) ? "error" : "deleted";
        }

        return true;
    });

    [Activity]
    public Task CloseRestoreAsync(CloseRestoreInput input) => Do("CloseRestore", () =>
    {
        (Operation, Leftovers) = (input.Status, input.Leftovers);
        return true;
    });

    [Activity]
    public Task<AdmittedVolume> AdmitVolumeAsync(CreateVolumeInput input) => Do("AdmitVolume", () =>
    {
        VolumeRows.TryAdd(input.Volume, "creating");
        return new AdmittedVolume(
            new() { Id = input.Volume, ProjectId = "project", UserId = "user", Status = "creating", SizeGib = 1 }, new(input.Volume, Volume, input.Snapshot, Backend, 1));
    });

    [Activity]
    public Task CompleteVolumeAsync(MadeVolume made) => Do("CompleteVolume", () => VolumeRows[made.Volume] = "available");

    [Activity]
    public Task FailVolumeAsync(FailVolumeInput input) => Do("FailVolume", () =>
    {
        Told.Add(UserMessageKind.VolumeCreateFailed);
        return VolumeRows[input.Request.Volume] = "error";
    });

    [Activity]
    public Task WithdrawVolumeAsync(CreateVolumeInput input) => Do("WithdrawVolume", () => VolumeRows[input.Volume] = "deleted");

    [Activity]
    public Task<VolumeToDelete> BeginDeleteVolumeAsync(DeleteVolumeInput input) => Do("BeginDeleteVolume", () =>
    {
        Begin(input.Resume, VolumeRows[input.Volume] == "deleting");
        VolumeRows[input.Volume] = "deleting";
        return new VolumeToDelete(input.Volume, Backend);
    });

    [Activity]
    public Task EndDeleteVolumeAsync(EndDeleteVolumeInput input) => Do("EndDeleteVolume", () =>
    {
        VolumeRows[input.Request.Volume] = input.Failure is null ? "deleted" : "error_deleting";
        if (input.Failure is not null)
        {
            Told.Add(UserMessageKind.VolumeDeleteFailed);
        }

        return true;
    });

    [Activity]
    public Task<MadeVolume> CreateVolumeFromSnapshotAsync(VolumeToMake input) => FakeActivities.Heartbeating(() => Do("CreateVolumeFromSnapshot", () =>
    {
        StoredVolumes.Add(input.Volume);
        return new MadeVolume(input.Volume, false);
    }));

    [Activity]
    public Task DeleteVolumeAsync(VolumeId volume) => Do("DeleteVolume", () => StoredVolumes.Remove(volume));

    private static void Begin(bool resume, bool begun)
    {
        if (resume && !begun)
        {
            throw Fault.Failure(ErrorKind.StaleStatus, "not begun");
        }
    }

    private bool End(DeletedSnapshot outcome)
    {
        SnapshotRows[outcome.Snapshot] = outcome.Failure switch { null => "deleted", { Kind: ErrorKind.Busy } => "available", _ => "error_deleting" };
        if (outcome.Failure is { } failure)
        {
            Told.Add(failure.Kind is ErrorKind.Busy ? UserMessageKind.SnapshotBusy : UserMessageKind.SnapshotDeleteFailed);
        }

        return true;
    }

    private Task<T> Do<T>(string activity, Func<T> effect) => calls.DoAsync(activity, effect);
}
