using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>
/// Looks through the records for what runs have left behind, and keeps the findings. Every repair looks once more, in the transaction that begins it: the
/// look that decided may be seconds old.
/// </summary>
public sealed class ReconcileActivities(
    Database database, ReconciliationStore records, FindingStore findings, RunStore runs, IRunDirectory directory, TimeProvider time) : IReconcileActivities
{
    /// <summary>How long a finding that has ended can still be read: 90 days.</summary>
    public static readonly TimeSpan KeepEnded = TimeSpan.FromDays(90);

    private static CancellationToken Cancelled => ActivityExecutionContext.Current.CancellationToken;

    /// <inheritdoc/>
    [Activity]
    public Task<SuspiciousRecords> ReadRecordsAsync() => ActivityErrors.Translate(async () => new SuspiciousRecords(
        await records.HostsAsync(Cancelled),
        await records.BackendsAsync(Cancelled),
        await records.SuspiciousImagesAsync(Cancelled),
        await EachAsync(await records.SuspiciousSnapshotsAsync(Cancelled), async s => s with { Work = await WorkOnAsync(s) }),
        await records.ReservationsAsync(Cancelled),
        await records.TaskStatesAsync(Cancelled))
    {
        Operations = await EachAsync(
            await records.OperationsAsync(Cancelled), async o => o with { Work = await directory.FindAsync(OperationRepairActivities.RunOf(o.Kind, o.Operation, o.Image), Cancelled) }),
        Volumes = [.. (await EachAsync(await records.VolumesInTransitionAsync(Cancelled), WithWorkAsync))
            // What was registered as it is, is so in the eyes of who registered it.
            .Where(v => v.MadeHere || v.Work.StartedAt is not null)],
    });

    /// <inheritdoc/>
    [Activity]
    public Task<ComparedPage> CompareSnapshotsAsync(CompareInput input) => ActivityErrors.Translate(async () =>
    {
        var rows = await records.RowsAsync(input.Snapshots.Select(s => s.Snapshot), Cancelled);
        var stored = input.Snapshots
            .Where(s => !rows.TryGetValue(s.Snapshot, out var tombstone) || tombstone is not null)
            .Select(s => new StoredFact(input.Backend, s.Volume, s.Snapshot, s.CutAt, rows.GetValueOrDefault(s.Snapshot)));
        return new ComparedPage(
            [.. stored], await records.MissingAsync(input.Backend, input.After, input.Through, input.Snapshots.Select(s => s.Snapshot), Cancelled));
    });

    /// <inheritdoc/>
    [Activity]
    public Task<RunLookup> LookUpRunsAsync(IReadOnlyList<ImageId> images) => ActivityErrors.Translate(async () =>
    {
        // Temporal first: a run that ends between the two questions has its row closed by the time the row is read, and not the other way round.
        var states = await EachAsync(images, image => directory.FindAsync(Names.CreateImageWorkflow(image), Cancelled));

        var rows = await records.RunsAsync(images, Cancelled);
        return new RunLookup(
            [.. images.Zip(states, (image, state) => rows.GetValueOrDefault(image, new RunFact(image, false, "", null, null, false, 0)) with { Live = state.Live, Workflow = state.Words })],
            await EachAsync(
                await records.ImagesAsync(images, Cancelled),
                async i => i.Status is ImageStatus.PendingDelete ? i with { Work = await directory.FindAsync(Names.DeleteImageWorkflow(i.Image), Cancelled) } : i));
    });

    /// <inheritdoc/>
    [Activity]
    public Task<ReconciliationDecision> DecideRepairsAsync(DecideInput input) => RecordAsync(async (session, now) =>
    {
        var decision = Reconciliation.Decide(input.World, await findings.LockOpenAsync(session), now, new(input.Interval, CreateImageWorkflow.LongestRun, Steps.LongestRun));
        await findings.RecordAsync(session, decision.Findings, decision.Gone, now);
        await findings.PruneAsync(session, now - KeepEnded);
        return decision;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<UndoPlan?> BeginUndoAsync(ImageId image) => ActivityErrors.Translate(async () =>
    {
        var state = await directory.FindAsync(Names.CreateImageWorkflow(image), Cancelled);
        return state.Live ? null : await RecordAsync((session, now) => BeginUndoAsync(session, image, state.Words, now));
    });

    /// <inheritdoc/>
    [Activity]
    public Task<bool> ConfirmDeletionAsync(Repair repair) => ActivityErrors.Translate(async () =>
        !await LivesAsync(repair) && await records.IsGivenUpAsync(repair.Volume!.Value, repair.Snapshot!.Value, Cancelled));

    /// <inheritdoc/>
    [Activity]
    public Task<bool> RepairRecordsAsync(Repair repair) => ActivityErrors.Translate(async () =>
        !await LivesAsync(repair) && await RecordAsync((session, now) => repair switch
        {
            { Kind: RepairKind.ReleaseReservation, Image: { } image } => records.ReleaseReservationAsync(session, image),
            { Kind: RepairKind.ReleaseServer, Image: { } image, Server: { } server } => records.ReleaseServerAsync(session, server, image, now),
            _ => throw new ArgumentException($"{repair.Kind} is not done in the records alone", nameof(repair)),
        }));

    /// <inheritdoc/>
    [Activity]
    public Task RecordRepairAsync(RepairOutcome outcome) => RecordAsync(async (session, now) =>
    {
        await findings.RecordRepairAsync(session, outcome.Findings, outcome.Done, outcome.Succeeded, now);
        return true;
    });

    /// <summary>The run of its own that is, or was, at work on a snapshot: one that makes or deletes it alone, or takes it along with its image.</summary>
    private async Task<WorkFact?> WorkOnAsync(SnapshotFact snapshot)
    {
        switch (snapshot)
        {
            case { Status: SnapshotStatus.Creating, Image: null }:
                return await directory.FindAsync(Names.CreateSnapshotWorkflow(snapshot.Snapshot), Cancelled);
            case { Status: SnapshotStatus.Deleting }:
                var alone = await directory.FindAsync(Names.DeleteSnapshotWorkflow(snapshot.Snapshot), Cancelled);
                return !alone.Live && snapshot.Image is { } image && await directory.FindAsync(Names.DeleteImageWorkflow(image), Cancelled) is { } along
                    && (along.Live || alone.StartedAt is null)
                        ? along
                        : alone;
            default:
                return null;
        }
    }

    private async Task<VolumeFact> WithWorkAsync(VolumeFact volume)
    {
        var deleting = volume.Status == VolumeStatus.Deleting;
        var work = await directory.FindAsync(
            deleting ? Names.DeleteVolumeWorkflow(volume.Volume)
            : volume.Restore is { } restore ? Names.RestoreImageWorkflow(restore)
            : Names.CreateVolumeWorkflow(volume.Volume), Cancelled);
        return volume with { Work = work, ByItsRun = deleting ? work.StartedAt is not null : volume.ByItsRun };
    }

    /// <summary>Asks about one after another: Temporal is not to be flooded.</summary>
    private static async Task<IReadOnlyList<TResult>> EachAsync<T, TResult>(IReadOnlyList<T> things, Func<T, Task<TResult>> ask)
    {
        var answers = new List<TResult>();
        foreach (var thing in things)
        {
            answers.Add(await ask(thing));
        }

        return answers;
    }

    private async Task<UndoPlan?> BeginUndoAsync(Session session, ImageId image, string workflow, DateTimeOffset now)
    {
        if (!await records.CloseDoorAsync(session, image, now) || await runs.FindAsync(session, image) is not { } run)
        {
            return null;
        }

        var reason = run.Reason ?? new Refusal(ErrorKind.StaleStatus, $"the run was ended from outside at {run.Step} (in Temporal: {workflow}) and has been undone afterwards");
        var snapshots = await records.EverySnapshotOfAsync(session, image);
        // Until the undo has been seen to the end, the row lists what there is to go.
        var leftovers = snapshots.Select(s => new Leftover("DeleteVolumeSnapshot", Names.Snapshot(s.Snapshot), "not deleted yet")).ToList();
        await runs.CloseAsync(session, image, run.RequestId, RunStatus.CompensationFailed, reason, run.Evidence, run.Steps, leftovers, now);
        return new UndoPlan(
            new CreateImageInput(
                image, run.ServerId, run.Name, new Dictionary<string, string>(), new Caller(run.ProjectId, run.UserId, []), run.RequestId, run.Quiesce),
            run.Status is RunStatus.Cancelled ? RunStatus.Cancelled : RunStatus.Failed,
            reason, run.Evidence, run.Steps,
            [.. snapshots.Select(s => new SnapshotToDelete(s.Backend, s.Volume, s.Snapshot))]);
    }

    private async Task<bool> LivesAsync(Repair repair) => repair.Image is { } image && (await directory.FindAsync(Names.CreateImageWorkflow(image), Cancelled)).Live;

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) =>
        ActivityErrors.Translate(() => database.WriteAsync(session => work(session, time.GetUtcNow()), Cancelled));
}
