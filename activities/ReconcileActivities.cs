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
        await records.SuspiciousSnapshotsAsync(Cancelled),
        await records.ReservationsAsync(Cancelled),
        await records.TaskStatesAsync(Cancelled)));

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
        var states = new List<RunState>();
        foreach (var image in images)
        {
            states.Add(await directory.FindAsync(image, Cancelled));
        }

        var rows = await records.RunsAsync(images, Cancelled);
        return new RunLookup(
            [.. images.Zip(states, (image, state) => rows.GetValueOrDefault(image, new RunFact(image, false, "", null, null, false, 0)) with { Live = state.Live, Workflow = state.Words })],
            await records.ImagesAsync(images, Cancelled));
    });

    /// <inheritdoc/>
    [Activity]
    public Task<ReconciliationDecision> DecideRepairsAsync(DecideInput input) => RecordAsync(async (session, now) =>
    {
        var decision = Reconciliation.Decide(input.World, await findings.LockOpenAsync(session), now, new(input.Interval, CreateImageWorkflow.LongestRun));
        await findings.RecordAsync(session, decision.Findings, decision.Gone, now);
        await findings.PruneAsync(session, now - KeepEnded);
        return decision;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<UndoPlan?> BeginUndoAsync(ImageId image) => ActivityErrors.Translate(async () =>
    {
        var state = await directory.FindAsync(image, Cancelled);
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

    private async Task<bool> LivesAsync(Repair repair) => repair.Image is { } image && (await directory.FindAsync(image, Cancelled)).Live;

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) =>
        ActivityErrors.Translate(() => database.WriteAsync(session => work(session, time.GetUtcNow()), Cancelled));
}
