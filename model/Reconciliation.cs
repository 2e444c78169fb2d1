namespace SnapshotFlow.Model;

/// <summary>
/// Decides what is out of order and what of it is certain enough to be repaired.
/// <list type="bullet">
/// <item>Nothing of a run that lives is a finding.</item>
/// <item>A repair needs two looks at least <see cref="ReconciliationRules.Interval"/> apart that saw the same, and never touches what is younger than
/// <see cref="ReconciliationRules.LongestRun"/> or, of what is done to things after they were made, <see cref="ReconciliationRules.LongestOperation"/>; a freeze lease is
/// old once <see cref="FreezeDeadline.Maximum"/> has passed, as no freeze lasts longer.</item>
/// <item>A deletion that somebody was promised goes forward, by its own run; what was being made is given up.</item>
/// <item>Nothing is deleted that this product did not make: a snapshot in a back end counts as ours only if its row is there, live or as a tombstone, for the
/// same volume. The row is written before the cut and kept for good, and its id says nothing: Cinder's names look the same.</item>
/// <item>What contradicts itself is reported and left to people.</item>
/// </list>
/// </summary>
public static class Reconciliation
{
    /// <summary>Decides.</summary>
    /// <param name="world">What this look saw.</param>
    /// <param name="previous">The findings of the looks before that are still open.</param>
    /// <param name="now">When this look took place.</param>
    /// <param name="rules">When a finding is certain.</param>
    public static ReconciliationDecision Decide(ReconciliationWorld world, IReadOnlyList<Finding> previous, DateTimeOffset now, ReconciliationRules rules)
    {
        var seen = new Look(world, now).Sightings().OrderBy(s => s.Key.Kind).ThenBy(s => s.Key.Subject, StringComparer.Ordinal).ToList();
        var before = previous.ToDictionary(f => f.Key);
        var settled = seen.ToDictionary(s => s.Key, s => IsSettled(s, before.GetValueOrDefault(s.Key), now, rules));
        var unsettledRuns = seen.Where(s => s.Run is not null && !settled[s.Key]).Select(s => s.Run!.Value).ToHashSet();
        return new(
            [.. seen.Select(s => new Finding(s.Key, s.Place, s.Detail, before.TryGetValue(s.Key, out var f) ? f.FirstSeenAt : now, now))],
            [.. previous.Where(f => !settled.ContainsKey(f.Key) && (f.Place is null || !world.Unseen.Contains(f.Place))).Select(f => f.Key)],
            // What one repair touches must be settled as a whole: a run with one young snapshot is young.
            [.. seen.Where(s => s.Repair is not null).GroupBy(s => s.Repair!)
                .Where(g => g.Key is { Kind: RepairKind.UndoRun, Image: { } image } ? !unsettledRuns.Contains(image) : g.All(s => settled[s.Key]))
                .Select(g => new PlannedRepair(g.Key, [.. g.Select(s => s.Key)]))]);
    }

    private static bool IsSettled(Sighting sighting, Finding? before, DateTimeOffset now, ReconciliationRules rules)
    {
        var youth = sighting switch
        {
            { Key.Kind: FindingKind.FrozenGuest } => FreezeDeadline.Maximum,
            { Repair.Kind: RepairKind.FinishDeletion or RepairKind.GiveUpCreation } => rules.LongestOperation,
            _ => rules.LongestRun,
        };
        return before is not null && now - before.FirstSeenAt >= rules.Interval && now - sighting.Since >= youth;
    }

    /// <summary>Something out of order at one look; <paramref name="Run"/> is the run whose undo would touch it.</summary>
    private sealed record Sighting(FindingKey Key, ImageId? Run, DateTimeOffset Since, string Detail, Repair? Repair, string? Place = null);

    /// <summary>Why something is left alone that looks as if a run had left it.</summary>
    private const string Doubtful = "; the records do not prove that it was a run that wrote this status: not certain enough";

    private sealed class Look(ReconciliationWorld world, DateTimeOffset now)
    {
        private readonly Dictionary<ImageId, RunFact> runs = world.Runs.ToDictionary(r => r.Image);
        private readonly Dictionary<ImageId, ImageFact> images = world.Images.ToDictionary(i => i.Image);
        private readonly Dictionary<OperationId, OperationFact> operations = world.Operations.ToDictionary(o => o.Operation);
        private readonly Dictionary<ImageId, OperationFact> deletions = world.Operations
            .Where(o => o.Kind is OperationKind.DeleteImage).OrderBy(o => o.StartedAt).ThenBy(o => o.Operation.Value).DistinctBy(o => o.Image).ToDictionary(o => o.Image);

        public IEnumerable<Sighting> Sightings() =>
            [.. Leases(), .. Runs(), .. Stored(), .. Snapshots(), .. Images(), .. Reservations(), .. TaskStates(), .. Operations(), .. Volumes()];

        private IEnumerable<Sighting> Leases()
        {
            foreach (var lease in world.Leases.Where(l => l.DeadlineAt < now))
            {
                var queue = Names.ComputeQueue(lease.Host);
                var key = new FindingKey(FindingKind.FrozenGuest, $"{lease.Server} on {lease.Host}");
                if (!ImageId.TryParse(lease.RunToken, null, out var image))
                {
                    yield return new(key, null, lease.RequestedAt, $"the holder '{lease.RunToken}' is no run", null, queue);
                }
                else if (!Lives(image))
                {
                    yield return new(
                        key, null, lease.RequestedAt, $"frozen for {Describe(image)}, to be over by {lease.DeadlineAt:O}",
                        new(RepairKind.Thaw, image, lease.Server, Queue: queue, AgentAddress: lease.AgentAddress), queue);
                }
            }
        }

        private IEnumerable<Sighting> Runs()
        {
            foreach (var run in world.Runs.Where(r => !r.Live))
            {
                var subject = run.Image.ToString();
                if (run.Row is RunStatus.Running)
                {
                    yield return new(new(FindingKind.StrandedRun, subject), run.Image, run.StartedAt ?? now, Describe(run.Image), Undo(run.Image));
                }
                else if (run.Row is RunStatus.CompensationFailed && run.Leftovers > 0)
                {
                    yield return new(new(FindingKind.RunWithLeftovers, subject), run.Image, run.StartedAt ?? now, $"{run.Leftovers} leftovers", Undo(run.Image));
                }
            }
        }

        private IEnumerable<Sighting> Stored()
        {
            foreach (var stored in world.Stored.Where(s => !Lives(s.Tombstone?.Image)))
            {
                var queue = Names.VolumeQueue(stored.Backend);
                var (since, detail, repair) = stored.Tombstone switch
                {
                    null => (stored.CutAt, "never had a row here: not ours to delete", null),
                    var t when t.Volume != stored.Volume => (stored.CutAt, $"its row is of volume {t.Volume}: not ours to delete", null),
                    var t => (Later(stored.CutAt, t.DeletedAt), $"its row was deleted at {t.DeletedAt:O}", RemovalOf(stored, t)),
                };
                yield return new(
                    new(FindingKind.SnapshotWithoutRow, $"{Names.Snapshot(stored.Snapshot)} of {Names.Volume(stored.Volume)} on {stored.Backend}"), stored.Tombstone?.Image, since, detail, repair, queue);
            }
        }

        private Repair? RemovalOf(StoredFact stored, SnapshotTombstone tombstone)
        {
            var remove = new Repair(RepairKind.DeleteSnapshot, tombstone.Image, null, stored.Volume, stored.Snapshot, Names.VolumeQueue(stored.Backend));
            return tombstone.Image is not { } image ? remove : runs.GetValueOrDefault(image)?.Row switch
            {
                RunStatus.Running => Undo(image),
                RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled or RunStatus.CompensationFailed => remove,
                // No row: nothing proves what became of the run. Refused: it never cut, and its image id may be used again.
                _ => null,
            };
        }

        private IEnumerable<Sighting> Snapshots()
        {
            foreach (var row in world.Snapshots.Where(s => !Lives(s.Image) && s.Work is not { Live: true } && DeletionOf(s) is not { Work.Live: true }))
            {
                var key = row.Snapshot.ToString();
                if (row.Image is { } image && Undo(image) is { } undo)
                {
                    yield return new(new(FindingKind.StuckSnapshot, key), row.Image, row.ChangedAt, $"{row.Status.ToText()}, made by {Describe(image)}", undo);
                }
                else if (row is { Status: SnapshotStatus.Deleting, Work: { } deleting })
                {
                    var deletion = DeletionOf(row);
                    var work = deletion?.Work ?? deleting;
                    yield return new(
                        new(FindingKind.StuckSnapshot, key), row.Image, Later(row.ChangedAt, work.StartedAt),
                        $"deleting, and its deletion is over (in Temporal: {work.Words})" + (deletion is null && !row.ByItsRun ? Doubtful : ""),
                        deletion is not null ? Finish(deletion) : row.ByItsRun ? new(RepairKind.FinishDeletion, Snapshot: row.Snapshot) : null);
                }
                else if (row is { Status: SnapshotStatus.Creating, Image: null, Work: { } making })
                {
                    yield return new(
                        new(FindingKind.StuckSnapshot, key), null, Later(row.ChangedAt, making.StartedAt), $"creating, and the run that made it is over (in Temporal: {making.Words})" + (row.ByItsRun ? "" : Doubtful),
                        row.ByItsRun ? new(RepairKind.GiveUpCreation, Snapshot: row.Snapshot) : null);
                }
                else if (row.Status is not (SnapshotStatus.Available or SnapshotStatus.Error))
                {
                    yield return new(new(FindingKind.StuckSnapshot, key), row.Image, row.ChangedAt, $"{row.Status.ToText()}, and no run that could be undone", null);
                }
                else if (row.Missing && row.Status is SnapshotStatus.Available)
                {
                    yield return new(
                        new(FindingKind.RowWithoutSnapshot, key), row.Image, row.ChangedAt, $"{row.Backend} does not have it", null, row.Backend is null ? null : Names.VolumeQueue(row.Backend));
                }
            }
        }

        private IEnumerable<Sighting> Images()
        {
            var missing = world.Snapshots.Where(s => s is { Missing: true, Image: not null, Status: SnapshotStatus.Available }).ToLookup(s => s.Image!.Value);
            foreach (var image in world.Images.Where(i => !Lives(i.Image) && i.Work is not { Live: true }))
            {
                var key = image.Image.ToString();
                if (image.Status is ImageStatus.PendingDelete && deletions.TryGetValue(image.Image, out var deletion))
                {
                    yield return new(
                        new(FindingKind.StuckImage, key), image.Image, Later(image.ChangedAt, deletion.Work.StartedAt),
                        $"pending_delete, and its deletion is over (in Temporal: {deletion.Work.Words})", Finish(deletion));
                }
                else if (Undo(image.Image) is { } undo)
                {
                    yield return new(new(FindingKind.StuckImage, key), image.Image, image.ChangedAt, $"{image.Status.ToText()}, made by {Describe(image.Image)}", undo);
                }
                else if (image.Status is not (ImageStatus.Active or ImageStatus.Deactivated or ImageStatus.Killed))
                {
                    yield return new(new(FindingKind.StuckImage, key), image.Image, image.ChangedAt, $"{image.Status.ToText()}, and no run that could be undone", null);
                }
                else if (image.DeletedSnapshots > 0 || missing[image.Image].Any())
                {
                    yield return new(
                        new(FindingKind.ImageWithoutSnapshots, key), image.Image, image.ChangedAt,
                        $"{image.DeletedSnapshots} of its snapshots have been deleted, {missing[image.Image].Count()} are missing in their back end", null,
                        missing[image.Image].FirstOrDefault()?.Backend is { } backend ? Names.VolumeQueue(backend) : null);
                }
            }
        }

        private IEnumerable<Sighting> Reservations() =>
            from reservation in world.Reservations
            where !Lives(reservation.Image)
            select new Sighting(
                new(FindingKind.StrandedReservation, reservation.Image.ToString()), reservation.Image, reservation.ReservedAt, $"for {Describe(reservation.Image)}",
                UndoIfUnfinished(reservation.Image, new(RepairKind.ReleaseReservation, reservation.Image)));

        private IEnumerable<Sighting> TaskStates() =>
            from task in world.TaskStates
            where !Lives(task.Image)
            select new Sighting(
                new(FindingKind.StrandedServer, task.Server.ToString()), task.Image, task.ChangedAt,
                task.Image is { } image ? $"taken by {Describe(image)}" : "nobody knows who took it: not ours to clear",
                task.Image is { } holder ? UndoIfUnfinished(holder, new(RepairKind.ReleaseServer, holder, task.Server)) : null);

        private IEnumerable<Sighting> Operations() =>
            from operation in world.Operations
            where !operation.Work.Live
            select new Sighting(
                new(FindingKind.StrandedOperation, operation.Operation.ToString()), null, Later(operation.StartedAt, operation.Work.StartedAt),
                $"{operation.Kind.ToText()} of image {operation.Image} (in Temporal: {operation.Work.Words})"
                + (operation.InUse > 0 ? $"; {operation.InUse} of its volumes are in use: not certain enough to be undone" : ""),
                operation.Kind is OperationKind.DeleteImage ? Finish(operation) : GiveUp(operation));

        private IEnumerable<Sighting> Volumes() =>
            from volume in world.Volumes
            let restore = volume.Restore is { } id ? operations.GetValueOrDefault(id) : null
            let work = restore?.Work ?? volume.Work
            where !work.Live
            select new Sighting(
                new(FindingKind.StuckVolume, volume.Volume.ToString()), null, Later(volume.ChangedAt, work.StartedAt),
                $"{volume.Status}, and nobody is at work on it (in Temporal: {work.Words})"
                + (!volume.MadeHere ? "; it was registered, not made here: not ours to delete" : restore is null && !volume.ByItsRun ? Doubtful : ""),
                volume switch
                {
                    { MadeHere: false } => null,
                    { ByItsRun: false } when restore is null => null,
                    { Status: VolumeStatus.Deleting } => new(RepairKind.FinishDeletion, Volume: volume.Volume),
                    _ when restore is not null => GiveUp(restore),
                    _ => new(RepairKind.GiveUpCreation, Volume: volume.Volume),
                });

        /// <summary>The deletion of an image that takes a snapshot along.</summary>
        private OperationFact? DeletionOf(SnapshotFact snapshot) => snapshot is { Status: SnapshotStatus.Deleting, Image: { } image }
            && images.GetValueOrDefault(image)?.Status is ImageStatus.PendingDelete ? deletions.GetValueOrDefault(image) : null;

        private static Repair Finish(OperationFact deletion) => new(RepairKind.FinishDeletion, Operation: deletion.Operation);

        private static Repair? GiveUp(OperationFact restore) => restore.InUse > 0 ? null : new(RepairKind.GiveUpCreation, Operation: restore.Operation);

        private bool Lives(ImageId? image) => image is { } id && runs.TryGetValue(id, out var run) && run.Live;

        /// <summary>Undoing the whole run, where that is right; null where it is not certain.</summary>
        private Repair? Undo(ImageId image) => runs.GetValueOrDefault(image) is { Live: false } run
            && run.Row is RunStatus.Running or RunStatus.Failed or RunStatus.Cancelled or RunStatus.CompensationFailed
            // An active image may be in use; only a run that had begun to take it back takes it back.
            && (run.UndoBegun || images.GetValueOrDefault(image)?.Status is not (ImageStatus.Active or ImageStatus.Deactivated))
                ? new(RepairKind.UndoRun, image)
                : null;

        private Repair? UndoIfUnfinished(ImageId image, Repair otherwise) => runs.GetValueOrDefault(image)?.Row is RunStatus.Running ? Undo(image) : otherwise;

        private string Describe(ImageId image) => runs.TryGetValue(image, out var run)
            ? $"run {image} ({run.Row?.ToText() ?? "no row"}; in Temporal: {run.Workflow})"
            : $"run {image}, of which nothing is known";

        private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset? b) => b is { } other && other > a ? other : a;
    }
}
