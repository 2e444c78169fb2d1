using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>
/// A cloud made up by chance, with the truth about every thing in it: to whom it belongs, and so what may become of it. The truth is written down as things
/// are made, from how they came about and not from how they look, so that it can be held against what <see cref="Reconciliation"/> makes of the looks.
/// </summary>
internal sealed partial class RandomWorld
{
    public static readonly DateTimeOffset Noon = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly Random random;
    private readonly List<RunFact> runs = [];
    private readonly List<LeaseFact> leases = [];
    private readonly List<StoredFact> stored = [];
    private readonly List<SnapshotFact> snapshots = [];
    private readonly List<ImageFact> images = [];
    private readonly List<ReservationFact> reservations = [];
    private readonly List<TaskStateFact> tasks = [];
    private readonly List<OperationFact> operations = [];
    private readonly List<VolumeFact> volumes = [];
    private readonly ReconciliationRules rules;

    public RandomWorld(int seed, ReconciliationRules rules)
    {
        random = new Random(seed);
        this.rules = rules;
        for (var i = random.Next(1, 12); i > 0; i--)
        {
            MakeRun();
        }

        for (var i = random.Next(4); i > 0; i--)
        {
            MakeForeign();
        }

        for (var i = random.Next(5); i > 0; i--)
        {
            Pick<Action>(MakeDeletion, MakeRestore, MakeSnapshotAlone, MakeVolumeAlone)();
        }
    }

    /// <summary>Things that no repair may touch, by what a repair would name: somebody lives on them, they are young, foreign, or in use.</summary>
    public HashSet<object> Untouchable { get; } = [];

    /// <summary>Things that are left over for certain, and must be dealt with by the second look.</summary>
    public HashSet<object> Leftover { get; } = [];

    public ReconciliationWorld Look(params string[] unseen) => new()
    {
        Runs = Shuffled(runs),
        Leases = Shuffled(leases.Where(l => !unseen.Contains(Names.ComputeQueue(l.Host)))),
        Stored = Shuffled(stored.Where(s => !unseen.Contains(Names.VolumeQueue(s.Backend)))),
        Snapshots = Shuffled(snapshots),
        Images = Shuffled(images),
        Reservations = Shuffled(reservations),
        TaskStates = Shuffled(tasks),
        Operations = Shuffled(operations),
        Volumes = Shuffled(volumes),
        Unseen = unseen,
    };

    /// <summary>What a repair touches, in the words of <see cref="Untouchable"/> and <see cref="Leftover"/>.</summary>
    public IEnumerable<object> TouchedBy(Repair repair) => repair switch
    {
        { Kind: RepairKind.Thaw } => [("freeze", repair.Server)],
        { Kind: RepairKind.DeleteSnapshot } => [("stored", repair.Snapshot)],
        { Kind: RepairKind.ReleaseReservation } => [("reservation", repair.Image)],
        { Kind: RepairKind.ReleaseServer } => [("task", repair.Server, repair.Image)],
        { Operation: { } operation } => PartsOf(operations.Single(o => o.Operation == operation)),
        { Kind: RepairKind.FinishDeletion or RepairKind.GiveUpCreation, Snapshot: not null } => [("row", repair.Snapshot)],
        { Kind: RepairKind.FinishDeletion or RepairKind.GiveUpCreation, Volume: not null } => [("volume", repair.Volume)],
        { Kind: RepairKind.UndoRun } =>
        [
            ("run", repair.Image),
            .. images.Where(i => i.Image == repair.Image).Select(i => (object)("image", repair.Image)),
            .. snapshots.Where(s => s.Image == repair.Image).Select(s => (object)("row", (SnapshotId?)s.Snapshot)),
            .. stored.Where(s => s.Tombstone?.Image == repair.Image).Select(s => (object)("stored", (SnapshotId?)s.Snapshot)),
            .. reservations.Where(r => r.Image == repair.Image).Select(r => (object)("reservation", repair.Image)),
            .. tasks.Where(t => t.Image == repair.Image).Select(t => (object)("task", (ServerId?)t.Server, repair.Image)),
        ],
        _ => throw new ArgumentOutOfRangeException(nameof(repair)),
    };

    /// <summary>Does a repair, as the workflow would.</summary>
    public void Apply(Repair repair)
    {
        leases.RemoveAll(l => repair.Kind is RepairKind.Thaw && l.Server == repair.Server);
        stored.RemoveAll(s => repair.Kind is RepairKind.DeleteSnapshot && s.Snapshot == repair.Snapshot);
        reservations.RemoveAll(r => repair.Kind is RepairKind.ReleaseReservation or RepairKind.UndoRun && r.Image == repair.Image);
        tasks.RemoveAll(t => (repair.Kind is RepairKind.ReleaseServer && t.Server == repair.Server) || (repair.Kind is RepairKind.UndoRun && t.Image == repair.Image));
        switch (repair)
        {
            case { Kind: RepairKind.FinishDeletion, Operation: { } operation }:
                Replace(operations, o => o.Operation == operation, o => o with { Work = Alive });
                var image = operations.Single(o => o.Operation == operation).Image;
                Replace(images, i => i.Image == image, i => i with { Work = Alive });
                break;
            case { Kind: RepairKind.FinishDeletion }:
                Replace(snapshots, s => s.Snapshot == repair.Snapshot, s => s with { Work = Alive });
                Replace(volumes, v => v.Volume == repair.Volume, v => v with { Work = Alive });
                break;
            case { Kind: RepairKind.GiveUpCreation }:
                volumes.RemoveAll(v => v.Volume == repair.Volume || (repair.Operation is { } restore && v.Restore == restore));
                operations.RemoveAll(o => o.Operation == repair.Operation);
                Replace(snapshots, s => s.Snapshot == repair.Snapshot, s => s with { Status = SnapshotStatus.Error, Work = null });
                break;
        }

        if (repair.Kind is RepairKind.UndoRun)
        {
            snapshots.RemoveAll(s => s.Image == repair.Image);
            stored.RemoveAll(s => s.Tombstone?.Image == repair.Image);
            images.RemoveAll(i => i.Image == repair.Image);
            runs[runs.FindIndex(r => r.Image == repair.Image)] = runs.Single(r => r.Image == repair.Image) with { Row = RunStatus.Failed, Leftovers = 0, UndoBegun = true };
        }
    }

    private static WorkFact Alive { get; } = new(true, "running", Noon);

    private List<object> PartsOf(OperationFact operation) =>
    [
        ("operation", (OperationId?)operation.Operation),
        .. volumes.Where(v => v.Restore == operation.Operation).Select(v => (object)("volume", (VolumeId?)v.Volume)),
        .. images.Where(i => operation.Kind is OperationKind.DeleteImage && i.Image == operation.Image).Select(i => (object)("image", (ImageId?)i.Image)),
        .. snapshots.Where(s => operation.Kind is OperationKind.DeleteImage && s.Image == operation.Image && s.Status is SnapshotStatus.Deleting).Select(s => (object)("row", (SnapshotId?)s.Snapshot)),
    ];

    private static void Replace<T>(List<T> list, Predicate<T> which, Func<T, T> by)
    {
        for (var i = list.FindIndex(which); i >= 0; i = i + 1 < list.Count ? list.FindIndex(i + 1, which) : -1)
        {
            list[i] = by(list[i]);
        }
    }

    private bool Chance(double p) => random.NextDouble() < p;

    private T Pick<T>(params T[] from) => from[random.Next(from.Length)];

    private List<T> Shuffled<T>(IEnumerable<T> things)
    {
        var list = things.ToArray();
        random.Shuffle(list);
        return [.. list];
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static DateTimeOffset Max(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
