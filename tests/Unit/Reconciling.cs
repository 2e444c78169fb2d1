using SnapshotFlow.Model;
using SnapshotFlow.Workflows;

namespace SnapshotFlow.Tests.Unit;

public sealed class Reconciling
{
    private const int Worlds = 10_000;
    private static readonly ReconciliationRules Rules = new(TimeSpan.FromMinutes(1), CreateImageWorkflow.LongestRun, Steps.LongestRun);
    private static readonly DateTimeOffset Noon = RandomWorld.Noon;

    [Fact]
    public void No_repair_in_any_world_touches_what_lives_is_young_or_is_not_ours_and_every_certain_leftover_is_repaired_on_the_second_look()
    {
        var (touched, leftovers) = (0, 0);
        var kinds = new HashSet<RepairKind>();
        for (var seed = 0; seed < Worlds; seed++)
        {
            var world = new RandomWorld(seed, Rules);
            var first = Reconciliation.Decide(world.Look(), [], Noon - Rules.Interval, Rules);
            Assert.True(first.Repairs.Count == 0, $"seed {seed}: repaired at first sight");
            var second = Reconciliation.Decide(world.Look(), first.Findings, Noon, Rules);

            var touches = second.Repairs.SelectMany(r => world.TouchedBy(r.Repair)).ToList();
            var wrong = touches.Where(world.Untouchable.Contains).ToList();
            Assert.True(wrong.Count == 0, $"seed {seed}: touched {string.Join(", ", wrong)}");
            var forgotten = world.Leftover.Except(touches).ToList();
            Assert.True(forgotten.Count == 0, $"seed {seed}: left {string.Join(", ", forgotten)}");

            touched += touches.Count;
            leftovers += world.Leftover.Count;
            kinds.UnionWith(second.Repairs.Select(r => r.Repair.Kind));
            second.Repairs.ToList().ForEach(r => world.Apply(r.Repair));
            var third = Reconciliation.Decide(world.Look(), second.Findings, Noon, Rules);
            Assert.True(third.Repairs.Count == 0, $"seed {seed}: not done after the repairs: {string.Join(", ", third.Repairs.Select(r => r.Repair))}");
        }

        // The worlds had something to find, of every kind.
        Assert.Equal(Enum.GetValues<RepairKind>().Length, kinds.Count);
        Assert.True(leftovers > Worlds && touched >= leftovers, $"{leftovers} leftovers, {touched} touched");
    }

    [Fact]
    public void In_no_world_is_anything_repaired_or_called_gone_that_this_look_could_not_see()
    {
        for (var seed = 0; seed < Worlds; seed++)
        {
            var world = new RandomWorld(seed, Rules);
            var first = Reconciliation.Decide(world.Look(), [], Noon, Rules);
            var queue = Names.VolumeQueue("host1@file");
            var second = Reconciliation.Decide(world.Look(queue, Names.ComputeQueue("host1")), first.Findings, Noon + Rules.Interval, Rules);
            Assert.DoesNotContain(second.Repairs, r => r.Repair.Queue == queue || r.Repair.Queue == Names.ComputeQueue("host1"));
            var places = first.Findings.ToDictionary(f => f.Key, f => f.Place);
            Assert.DoesNotContain(second.Gone, key => places[key] == queue || places[key] == Names.ComputeQueue("host1"));
        }
    }

    [Fact]
    public void Two_looks_closer_together_than_the_interval_repair_nothing()
    {
        var world = new RandomWorld(1, Rules);
        var first = Reconciliation.Decide(world.Look(), [], Noon, Rules);
        Assert.Empty(Reconciliation.Decide(world.Look(), first.Findings, Noon + Rules.Interval - TimeSpan.FromTicks(1), Rules).Repairs);
        Assert.NotEmpty(first.Findings);
    }

    [Fact]
    public void A_finding_that_was_gone_in_between_begins_anew()
    {
        var image = ImageId.New();
        var stranded = new ReconciliationWorld { Runs = [new(image, false, "terminated", RunStatus.Running, Noon.AddDays(-1), false, 0)] };
        var first = Reconciliation.Decide(stranded, [], Noon, Rules);
        var second = Reconciliation.Decide(new(), first.Findings, Noon.AddMinutes(1), Rules);
        Assert.Equal(first.Findings.Select(f => f.Key), second.Gone);
        Assert.Empty(Reconciliation.Decide(stranded, second.Findings, Noon.AddMinutes(2), Rules).Repairs);
    }

    [Fact]
    public void A_frozen_guest_waits_for_the_longest_freeze_and_not_for_the_longest_run()
    {
        var image = ImageId.New();
        var world = new ReconciliationWorld
        {
            Runs = [new(image, false, "terminated", RunStatus.Running, Noon.AddMinutes(-2), false, 0)],
            Leases = [new("host1", ServerId.New(), image.ToString(), "qga:unix:/run/guest.sock", Noon.AddMinutes(-2), Noon.AddMinutes(-2).AddSeconds(8))],
        };
        var first = Reconciliation.Decide(world, [], Noon, Rules);
        var repair = Assert.Single(Reconciliation.Decide(world, first.Findings, Noon + Rules.Interval, Rules).Repairs).Repair;
        Assert.Equal((RepairKind.Thaw, "compute.host1"), (repair.Kind, repair.Queue));
    }

    [Fact]
    public void One_young_part_of_a_deletion_keeps_all_of_it_and_it_goes_on_as_a_whole_once_all_is_old()
    {
        var (image, operation, snapshot) = (ImageId.New(), OperationId.New(), SnapshotId.New());
        ReconciliationWorld World(DateTimeOffset marked, DateTimeOffset asked) => new()
        {
            Runs = [new(image, false, "completed", RunStatus.Completed, Noon.AddDays(-9), false, 0)],
            Images = [new(image, ImageStatus.PendingDelete, Noon.AddDays(-1), 0, new(false, "terminated", asked))],
            Snapshots = [new(snapshot, "host1@file", image, SnapshotStatus.Deleting, marked, false, new(false, "terminated", asked))],
            Operations = [new(operation, OperationKind.DeleteImage, image, Noon.AddDays(-1), 0, new(false, "terminated", asked))],
        };
        ReconciliationDecision Look(DateTimeOffset marked, DateTimeOffset asked) =>
            Reconciliation.Decide(World(marked, asked), Reconciliation.Decide(World(marked, asked), [], Noon - Rules.Interval, Rules).Findings, Noon, Rules);

        Assert.Empty(Look(marked: Noon.AddHours(-1), asked: Noon.AddDays(-1)).Repairs);
        Assert.Empty(Look(marked: Noon.AddDays(-1), asked: Noon.AddHours(-1)).Repairs);
        var planned = Assert.Single(Look(marked: Noon.AddDays(-1), asked: Noon.AddDays(-1)).Repairs);
        Assert.Equal(new Repair(RepairKind.FinishDeletion, Operation: operation), planned.Repair);
        Assert.Equal([FindingKind.StuckSnapshot, FindingKind.StuckImage, FindingKind.StrandedOperation], planned.Findings.Select(f => f.Kind));
    }

    [Fact]
    public void What_is_in_use_was_registered_or_put_into_its_status_by_who_knows_whom_is_reported_and_left_to_people()
    {
        var over = new WorkFact(false, "terminated", Noon.AddDays(-2));
        var world = new ReconciliationWorld
        {
            Operations = [new(OperationId.New(), OperationKind.RestoreImage, ImageId.New(), Noon.AddDays(-2), 1, over)],
            Volumes = [new(VolumeId.New(), VolumeStatus.Deleting, MadeHere: false, null, Noon.AddDays(-2), over, ByItsRun: true)],
            Snapshots =
            [
                new(SnapshotId.New(), "host1@file", null, SnapshotStatus.Creating, Noon.AddDays(-2), false, over, ByItsRun: false),
                new(SnapshotId.New(), "host1@file", null, SnapshotStatus.Deleting, Noon.AddDays(-2), false, over, ByItsRun: false),
            ],
        };
        var first = Reconciliation.Decide(world, [], Noon, Rules);
        Assert.Equal([FindingKind.StuckSnapshot, FindingKind.StuckSnapshot, FindingKind.StuckVolume, FindingKind.StrandedOperation], first.Findings.Select(f => f.Key.Kind));
        Assert.Empty(Reconciliation.Decide(world, first.Findings, Noon.AddDays(1), Rules).Repairs);
    }

    [Fact]
    public void What_cannot_be_put_in_order_is_reported_and_left_to_people()
    {
        var (image, snapshot) = (ImageId.New(), SnapshotId.New());
        var world = new ReconciliationWorld
        {
            Runs = [new(image, false, "completed", RunStatus.Completed, Noon.AddDays(-2), false, 0)],
            Images = [new(image, ImageStatus.Active, Noon.AddDays(-2), 0)],
            Snapshots = [new(snapshot, "host1@file", image, SnapshotStatus.Available, Noon.AddDays(-2), Missing: true), new(SnapshotId.New(), "host1@file", null, SnapshotStatus.Deleting, Noon.AddDays(-2), false)],
            Stored = [new("host1@file", VolumeId.New(), SnapshotId.New(), Noon.AddDays(-9), null)],
        };
        var first = Reconciliation.Decide(world, [], Noon, Rules);
        Assert.Equal(
            [FindingKind.SnapshotWithoutRow, FindingKind.RowWithoutSnapshot, FindingKind.StuckSnapshot, FindingKind.ImageWithoutSnapshots], first.Findings.Select(f => f.Key.Kind));
        Assert.Empty(Reconciliation.Decide(world, first.Findings, Noon.AddDays(1), Rules).Repairs);
    }

    [Fact]
    public void The_longest_run_covers_every_time_out_of_the_run() =>
        // Three steps before the acceptance, probe, description of the back ends, freeze, cuts, thaw asked for twice, three steps of records, five undos, and one attempt at a cut that nobody waits for.
        Assert.Equal(
            TimeSpan.FromSeconds((3 * 20) + 8 + 2 + 60) + TimeSpan.FromMinutes(15 + (2 * 2) + (3 * 10) + (5 * 5) + 10), CreateImageWorkflow.LongestRun);

    [Fact]
    public void The_longest_operation_covers_every_time_out_of_a_restore_which_has_the_most_of_them() =>
        // The step before the acceptance, the volumes, their completion, the deletes, two undos of records, and ten minutes and one attempt for what outlives it.
        Assert.Equal(TimeSpan.FromSeconds(20) + TimeSpan.FromHours(1 + 1 + 2) + TimeSpan.FromMinutes((2 * 10) + 30), Steps.LongestRun);
}
