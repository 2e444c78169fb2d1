using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Tests.Store;

/// <summary>What the records tell a look, what it may change in them, and what it keeps of its findings.</summary>
public sealed class Reconciling : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly TimeSpan Interval = Looks.Interval;
    private readonly StoreDatabase db;
    private readonly Looks looks;
    private readonly Looks.Clock clock;
    private readonly ReconcileActivities steps;

    public Reconciling(StoreDatabase db)
    {
        this.db = db;
        db.Require();
        looks = new(db);
        (clock, steps) = (looks.Time, looks.Steps);
    }

    public static TheoryData<Step> Steps => [Step.PrepareImage, Step.CheckQuota, Step.ReserveRecords, Step.CompleteSnapshots];

    [Fact]
    public async Task What_is_being_made_or_deleted_by_a_run_of_its_own_is_no_finding_and_without_the_run_it_is()
    {
        var keeping = new ResourceKeeping(db);
        var making = ResourceKeeping.Cut(await keeping.VolumeAsync());
        await Run(() => keeping.Snapshots.AdmitSnapshotAsync(making));
        var deleted = await keeping.SnapshotAsync();
        await Run(() => keeping.Snapshots.BeginDeleteSnapshotAsync(new(deleted.Id, false, Given.Member(deleted.ProjectId), "req-2")));
        var (image, snapshots) = await keeping.ImageAsync();
        await Run(() => keeping.Images.BeginDeleteImageAsync(new(OperationId.New(), image.Image, false, image.Caller, "req-2")));
        var restored = await keeping.ImageAsync();
        var restore = new RestoreImageInput(OperationId.New(), restored.Request.Image, null, restored.Request.Caller, "req-3");
        var volumes = (await Run(() => keeping.Images.PrepareRestoreAsync(restore))).Volumes;
        var deletion = (await db.Operations.FindDeletionAsync(image.Image, None))!.Value;
        string[] subjects =
        [
            making.Snapshot.ToString(), deleted.Id.ToString(), image.Image.ToString(), .. snapshots.Select(s => s.Id.ToString()),
            deletion.ToString(), restore.Operation.ToString(), .. volumes.Select(v => v.Volume.ToString()),
        ];
        string[] workflows =
        [
            Names.CreateSnapshotWorkflow(making.Snapshot), Names.DeleteSnapshotWorkflow(deleted.Id), Names.DeleteImageWorkflow(image.Image),
            Names.RestoreImageWorkflow(restore.Operation),
        ];

        looks.Live.UnionWith(workflows);
        Assert.DoesNotContain((await LookAsync()).Findings, f => subjects.Contains(f.Key.Subject));
        looks.Live.ExceptWith(workflows);
        Assert.Equal(subjects.Order(), (await LookAsync()).Findings.Select(f => f.Key.Subject).Where(subjects.Contains).Order());
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task A_run_that_died_after_any_step_is_found_undone_and_closed_as_failed_with_a_reason(Step last)
    {
        var records = await RecordKeeping.OnAsync(db);
        var before = await records.HoldingsAsync();
        var prepared = await UpToAsync(records, last);
        clock.Now = Given.Now + CreateImageWorkflow.LongestRun;
        Assert.DoesNotContain((await LookAsync()).Repairs, r => r.Repair.Image == records.Input.Image);
        clock.Now += Interval;
        var planned = Assert.Single((await LookAsync()).Repairs, r => r.Repair.Image == records.Input.Image);
        Assert.Equal(RepairKind.UndoRun, planned.Repair.Kind);

        var plan = (await Run(() => steps.BeginUndoAsync(records.Input.Image)))!;
        Assert.Equal(last >= Step.ReserveRecords ? prepared.Draft.Volumes.Select(v => v.Snapshot).Order(ById) : [], plan.Snapshots.Select(s => s.Snapshot));
        Assert.All(plan.Snapshots, s => Assert.Equal("host1@file", s.Backend));
        // From here on the run is closed to whoever comes late, and lists what there is to go.
        var open = await FindRunAsync(records);
        Assert.Equal((RunStatus.CompensationFailed, plan.Snapshots.Count), (open.Status, open.Leftovers.Count));
        Assert.Equal(ErrorKind.StaleStatus, (await RecordKeeping.RefusedAsync(() => records.CompleteAsync(prepared))).Kind);

        records.Input = plan.Request;
        await records.UndoAsync();
        await Run(() => steps.RecordRepairAsync(new(planned.Repair, planned.Findings, "undone", true)));
        Assert.Equal(before, await records.HoldingsAsync());
        Assert.Equal(RunStatus.Failed, (await FindRunAsync(records)).Status);
        Assert.DoesNotContain((await LookAsync()).Findings, f => f.Key.Subject == records.Input.Image.ToString());
        Assert.All(await FindingsAboutAsync(records), f => Assert.Equal((clock.Now, "undone"), (f.RepairedAt!.Value, f.Done)));
    }

    [Fact]
    public async Task Findings_that_ended_long_ago_are_forgotten_and_open_ones_never()
    {
        var (open, gone, repaired) = (Key(), Key(), Key());
        await db.Database.WriteAsync(
            async s =>
            {
                await db.Findings.RecordAsync(s, [.. new[] { open, gone, repaired }.Select(k => new Finding(k, null, "x", Given.Now, Given.Now))], [], Given.Now);
                await db.Findings.RecordAsync(s, [], [gone], Given.Now);
                await db.Findings.RecordRepairAsync(s, [repaired], "done", succeeded: true, Given.Now);
            },
            None);

        clock.Now = Given.Now + ReconcileActivities.KeepEnded;
        await LookAsync();
        Assert.Equal(2, (await LeftAsync()).Count(k => k == gone || k == repaired));
        clock.Now += TimeSpan.FromSeconds(1);
        await LookAsync();

        var left = await LeftAsync();
        Assert.DoesNotContain(gone, left);
        Assert.DoesNotContain(repaired, left);
        Assert.Contains(open, left);

        static FindingKey Key() => new(FindingKind.StuckImage, Guid.NewGuid().ToString());
        async Task<List<FindingKey>> LeftAsync() => [.. (await db.Findings.ListAsync(new(FindingKind.StuckImage), null, 10_000, None)).Select(f => f.Finding.Key)];
    }

    [Fact]
    public async Task A_run_that_died_says_in_its_row_where_and_how()
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, Step.ReserveRecords);
        var plan = (await Run(() => steps.BeginUndoAsync(records.Input.Image)))!;
        Assert.Equal(ErrorKind.StaleStatus, plan.Reason.Kind);
        Assert.Contains("at ReserveRecords (in Temporal: terminated)", plan.Reason.Message, StringComparison.Ordinal);
        // Asked again, after the answer was lost, it says the same.
        Assert.Equal(plan.Snapshots, (await Run(() => steps.BeginUndoAsync(records.Input.Image)))!.Snapshots);
        Assert.Equal(plan.Reason, (await FindRunAsync(records)).Reason);
    }

    [Fact]
    public async Task A_run_that_lives_is_no_finding_and_is_not_undone()
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, Step.ReserveRecords);
        var picture = await records.PictureAsync();
        looks.Live.Add(Names.CreateImageWorkflow(records.Input.Image));
        clock.Now = Given.Now + (2 * CreateImageWorkflow.LongestRun);
        Assert.DoesNotContain((await LookAsync()).Findings, f => IsAbout(f, records));
        Assert.Null(await Run(() => steps.BeginUndoAsync(records.Input.Image)));
        Assert.False(await Run(() => steps.RepairRecordsAsync(new(RepairKind.ReleaseReservation, records.Input.Image))));
        Assert.False(await Run(() => steps.RepairRecordsAsync(new(RepairKind.ReleaseServer, records.Input.Image, records.Server.Id))));
        Assert.Equal(picture, await records.PictureAsync());
    }

    [Fact]
    public async Task A_completed_run_is_in_order_and_cannot_be_undone()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await records.SucceedAsync();
        var picture = await records.PictureAsync();
        Assert.Null(await Run(() => steps.BeginUndoAsync(records.Input.Image)));
        Assert.DoesNotContain((await LookAsync()).Findings, f => IsAbout(f, records));
        Assert.False(await Run(() => steps.ConfirmDeletionAsync(DeletionOf(records, prepared.Draft.Volumes[0]))));
        Assert.Equal(picture, await records.PictureAsync());
    }

    [Fact]
    public async Task A_refused_run_is_never_undone_because_its_image_may_be_asked_for_again()
    {
        var records = await RecordKeeping.OnAsync(db);
        var prepared = await UpToAsync(records, Step.ReserveRecords);
        await records.UndoAsync(RunStatus.Refused);
        Assert.Null(await Run(() => steps.BeginUndoAsync(records.Input.Image)));
        Assert.False(await Run(() => steps.ConfirmDeletionAsync(DeletionOf(records, prepared.Draft.Volumes[0]))));
    }

    [Fact]
    public async Task An_active_image_whose_run_says_running_is_left_to_people()
    {
        var records = await RecordKeeping.OnAsync(db);
        await records.SucceedAsync();
        await db.ScalarAsync($"UPDATE runs SET status = 'running', ended_at = NULL WHERE image_id = '{records.Input.Image}'");
        clock.Now = Given.Now + CreateImageWorkflow.LongestRun;
        await LookAsync();
        clock.Now += Interval;
        var look = await LookAsync();
        Assert.Contains(look.Findings, f => f.Key == new FindingKey(FindingKind.StrandedRun, records.Input.Image.ToString()));
        Assert.DoesNotContain(look.Repairs, r => r.Repair.Image == records.Input.Image);
        Assert.Null(await Run(() => steps.BeginUndoAsync(records.Input.Image)));
        Assert.Equal(ImageStatus.Active, (await db.Images.FindVisibleAsync(records.Input.Image, records.Owner, None))!.Status);
    }

    [Fact]
    public async Task A_page_of_a_back_end_is_compared_with_the_rows_of_its_range_and_foreign_snapshots_have_no_tombstone()
    {
        var project = Given.Project();
        var backend = "host1@" + Guid.NewGuid();
        Volume[] volumes = [.. Enumerable.Range(0, 4).Select(_ => Given.Volume(project) with { Backend = backend })];
        var records = await RecordKeeping.OnAsync(db, volumes: volumes);
        var done = (await records.SucceedAsync()).Draft.Volumes.OrderBy(v => v.Snapshot, ById).ToList();
        var undone = await RecordKeeping.OnAsync(db, volumes: volumes);
        var gone = (await UpToAsync(undone, Step.ReserveRecords)).Draft.Volumes[0];
        await undone.UndoAsync();
        var foreign = new StoredSnapshot(SnapshotId.New(), VolumeId.New(), Given.Now);
        StoredSnapshot Stored(VolumeToCut v) => new(v.Snapshot, v.Volume, Given.Now);

        var all = await CompareAsync(backend, null, null, [.. done.Select(Stored), Stored(gone), foreign]);
        Assert.Empty(all.Missing);
        Assert.Equal(
            new[] { (gone.Snapshot, (SnapshotTombstone?)new(gone.Volume, undone.Input.Image, Given.Now)), (foreign.Snapshot, null) }, all.Stored.Select(s => (s.Snapshot, s.Tombstone)));
        Assert.True(await Run(() => steps.ConfirmDeletionAsync(DeletionOf(undone, gone))));
        Assert.False(await Run(() => steps.ConfirmDeletionAsync(new(RepairKind.DeleteSnapshot, null, null, foreign.Volume, foreign.Snapshot))));
        Assert.False(await Run(() => steps.ConfirmDeletionAsync(new(RepairKind.DeleteSnapshot, undone.Input.Image, null, foreign.Volume, gone.Snapshot))));

        // The first page ends with the second row, the last has no end; each row is missing in its own range only.
        var first = await CompareAsync(backend, null, done[1].Snapshot, [Stored(done[1])]);
        var rest = await CompareAsync(backend, done[1].Snapshot, null, [Stored(done[2])]);
        Assert.Equal([done[0].Snapshot], first.Missing.Select(m => m.Snapshot));
        Assert.Equal([done[3].Snapshot], rest.Missing.Select(m => m.Snapshot));
        Assert.All(first.Missing, m => Assert.Equal((backend, records.Input.Image, true), (m.Backend, m.Image!.Value, m.Missing)));
    }

    [Fact]
    public async Task What_a_finished_run_still_holds_by_a_change_of_hand_is_released_once_and_what_others_hold_is_not()
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, Step.CheckQuota);
        var (image, server) = (records.Input.Image, records.Server.Id);
        await db.ScalarAsync($"UPDATE runs SET status = 'failed', ended_at = started_at WHERE image_id = '{image}'");
        clock.Now = Given.Now + CreateImageWorkflow.LongestRun;
        await LookAsync();
        clock.Now += Interval;
        var repairs = (await LookAsync()).Repairs.Where(r => r.Repair.Image == image).ToList();
        Assert.Equal([RepairKind.ReleaseReservation, RepairKind.ReleaseServer], repairs.Select(r => r.Repair.Kind));
        Assert.False(await Run(() => steps.RepairRecordsAsync(new(RepairKind.ReleaseServer, ImageId.New(), server))));
        foreach (var repair in repairs)
        {
            Assert.True(await Run(() => steps.RepairRecordsAsync(repair.Repair)));
            Assert.False(await Run(() => steps.RepairRecordsAsync(repair.Repair)));
        }

        Assert.Null((await db.Servers.FindAsync(server, None))!.TaskState);
        Assert.Equal(0, (await db.Quotas.LevelsAsync(records.Server.ProjectId, Given.Now, None)).Sum(l => l.Reserved));
    }

    [Fact]
    public async Task A_finding_keeps_its_first_sight_until_it_is_gone_and_comes_back_as_another_one()
    {
        var records = await RecordKeeping.OnAsync(db);
        await UpToAsync(records, Step.PrepareImage);
        clock.Now = Given.Now.AddSeconds(1);
        await LookAsync();
        clock.Now += Interval;
        await LookAsync();
        var seen = Assert.Single(await FindingsAboutAsync(records), f => f.Finding.Key.Kind is FindingKind.StrandedRun);
        Assert.Equal((Given.Now.AddSeconds(1), clock.Now), (seen.Finding.FirstSeenAt, seen.Finding.LastSeenAt));

        looks.Live.Add(Names.CreateImageWorkflow(records.Input.Image));
        clock.Now += Interval;
        await LookAsync();
        Assert.All(await FindingsAboutAsync(records), f => Assert.Equal(clock.Now, f.GoneAt));
        looks.Live.Clear();
        clock.Now += Interval;
        await LookAsync();
        var again = (await FindingsAboutAsync(records)).Where(f => f.Finding.Key.Kind is FindingKind.StrandedRun).ToList();
        Assert.Equal([clock.Now, Given.Now.AddSeconds(1)], again.Select(f => f.Finding.FirstSeenAt));
    }

    private static Comparer<SnapshotId> ById { get; } = Comparer<SnapshotId>.Create((a, b) => string.CompareOrdinal(a.ToString(), b.ToString()));

    private static Repair DeletionOf(RecordKeeping records, VolumeToCut cut) => new(RepairKind.DeleteSnapshot, records.Input.Image, null, cut.Volume, cut.Snapshot);

    private static bool IsAbout(Finding finding, RecordKeeping records) =>
        finding.Key.Subject == records.Input.Image.ToString() || finding.Key.Subject == records.Server.Id.ToString()
        || records.Volumes.Any(v => finding.Key.Subject == DeterministicId.Snapshot(records.Input.Image, v.Id).ToString());

    private Task<ReconciliationDecision> LookAsync() => looks.LookAsync();

    private Task<ComparedPage> CompareAsync(string backend, SnapshotId? after, SnapshotId? through, params StoredSnapshot[] page) =>
        Run(() => steps.CompareSnapshotsAsync(new(backend, after, through, page)));

    private async Task<RunRecord> FindRunAsync(RecordKeeping records) => (await db.Runs.FindVisibleAsync(records.Input.Image, Given.Admin(), None))!;

    private async Task<IReadOnlyList<FindingRecord>> FindingsAboutAsync(RecordKeeping records) =>
        [.. (await db.Findings.ListAsync(new(), null, 10_000, None)).Where(f => IsAbout(f.Finding, records))];

    private static async Task<PreparedImage> UpToAsync(RecordKeeping records, Step last)
    {
        var prepared = await records.PrepareAsync();
        var steps = new (Step Step, Func<Task> Do)[]
        {
            (Step.CheckQuota, () => records.CheckQuotaAsync(prepared)),
            (Step.ReserveRecords, () => records.ReserveAsync(prepared)),
            (Step.CompleteSnapshots, () => records.CompleteAsync(prepared)),
        };
        foreach (var (_, act) in steps.Where(s => s.Step <= last))
        {
            await act();
        }

        return prepared;
    }

    private static Task<T> Run<T>(Func<Task<T>> step) => Looks.Run(step);

    private static Task Run(Func<Task> step) => Looks.Run(step);
}
