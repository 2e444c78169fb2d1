using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>What happened before the looks: things that were made, and how whoever made them ended.</summary>
internal sealed partial class RandomWorld
{
    /// <summary>A run that came so far and then ended in some way, or has not ended.</summary>
    private void MakeRun()
    {
        var image = ImageId.New();
        var fate = Pick(Fate.Live, Fate.Reset, Fate.Terminated, Fate.TerminatedWhileUndoing, Fate.UndoFailed, Fate.Completed, Fate.CompletedButRowSaysRunning, Fate.Refused, Fate.RowLost);
        var age = TimeSpan.FromSeconds(random.Next(0, (int)(3 * rules.LongestRun.TotalSeconds)));
        var since = Noon - age;
        var (row, live, undoBegun) = fate switch
        {
            Fate.Live => ((RunStatus?)RunStatus.Running, true, Chance(0.2)),
            Fate.Reset => (Pick<RunStatus?>(RunStatus.Failed, RunStatus.Completed, RunStatus.CompensationFailed), true, Chance(0.5)),
            Fate.Terminated => (RunStatus.Running, false, false),
            Fate.TerminatedWhileUndoing => (RunStatus.Running, false, true),
            Fate.UndoFailed => (Pick<RunStatus?>(RunStatus.CompensationFailed, RunStatus.Failed, RunStatus.Cancelled), false, true),
            Fate.Completed => (RunStatus.Completed, false, false),
            Fate.CompletedButRowSaysRunning => (RunStatus.Running, false, false),
            Fate.Refused => (RunStatus.Refused, false, true),
            _ => ((RunStatus?)null, false, false),
        };
        var leftovers = row is RunStatus.CompensationFailed ? random.Next(1, 4) : 0;
        runs.Add(new(image, live, live ? "running" : "terminated", row, row is null ? null : since, undoBegun, leftovers));

        // Everything of the run is as old as the run, or younger: a straggler may have made it just now.
        var youngest = age;
        DateTimeOffset Made()
        {
            var at = Chance(0.8) ? age : TimeSpan.FromSeconds(random.Next(0, (int)age.TotalSeconds + 1));
            youngest = at < youngest ? at : youngest;
            return Noon - at;
        }

        var parts = new List<object>();
        var undone = fate is Fate.Terminated or Fate.TerminatedWhileUndoing or Fate.UndoFailed;
        for (var i = random.Next(0, 4); i > 0; i--)
        {
            MakeSnapshot(image, fate, undone, Made, parts);
        }

        if (Chance(0.6))
        {
            var active = fate is Fate.Completed or Fate.CompletedButRowSaysRunning || (undoBegun && Chance(0.2));
            images.Add(new(image, active ? ImageStatus.Active : ImageStatus.Queued, Made(), fate is Fate.Completed && Chance(0.2) ? 1 : 0));
            parts.Add(("image", (ImageId?)image));
        }
        else if (fate is Fate.CompletedButRowSaysRunning)
        {
            images.Add(new(image, ImageStatus.Active, Made(), 0));
            parts.Add(("image", (ImageId?)image));
        }

        // What a run holds apart from the rest: these may be released on their own once no run lives on them.
        if (Chance(0.4) && fate is not Fate.CompletedButRowSaysRunning)
        {
            var at = Made();
            reservations.Add(new(image, at));
            Note(("reservation", (ImageId?)image), parts, undone && row is RunStatus.Running, live, Noon - at);
        }

        if (Chance(0.4) && fate is not Fate.CompletedButRowSaysRunning)
        {
            var (server, at) = (ServerId.New(), Made());
            tasks.Add(new(server, image, at));
            Note(("task", (ServerId?)server, (ImageId?)image), parts, undone && row is RunStatus.Running, live, Noon - at);
        }

        if (Chance(0.3))
        {
            MakeLease(image.ToString(), live, age);
        }

        // A run is undone as a whole, so that one young part keeps all of it from being touched.
        var protectedRun = live || !undone || youngest < rules.LongestRun;
        object self = ("run", (ImageId?)image);
        var somethingToUndo = row is RunStatus.Running || leftovers > 0 || parts.Any(p => p is (string and ("row" or "image"), _));
        foreach (var part in parts.Append(self))
        {
            if (protectedRun)
            {
                Untouchable.Add(part);
            }
            else if (somethingToUndo || part != self)
            {
                Leftover.Add(part);
            }
        }
    }

    private void MakeSnapshot(ImageId image, Fate fate, bool undone, Func<DateTimeOffset> made, List<object> parts)
    {
        var (volume, snapshot) = (VolumeId.New(), SnapshotId.New());
        var backend = Pick("host1@file", "host2@rbd");
        if (Chance(0.5))
        {
            // A live row; the back end may or may not have the snapshot.
            var status = fate is Fate.Completed or Fate.CompletedButRowSaysRunning ? SnapshotStatus.Available : Pick(SnapshotStatus.Creating, SnapshotStatus.Available, SnapshotStatus.ErrorDeleting);
            snapshots.Add(new(snapshot, backend, image, status, made(), status is SnapshotStatus.Available && Chance(0.2)));
            parts.Add(("row", (SnapshotId?)snapshot));
            return;
        }

        // A tombstone, and the snapshot still there: its undo was ended half-way, or the back end lied.
        var cutAt = made();
        var deletedAt = made();
        stored.Add(new(backend, volume, snapshot, cutAt, new(volume, image, deletedAt)));
        object thing = ("stored", (SnapshotId?)snapshot);
        var state = runs[^1];
        if (undone && state.Row is RunStatus.Running)
        {
            parts.Add(thing);
            return;
        }

        var old = Noon - Max(cutAt, deletedAt) >= rules.LongestRun;
        var over = !state.Live && state.Row is RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled or RunStatus.CompensationFailed;
        (over && old && !state.Live ? Leftover : Untouchable).Add(thing);
    }

    private void MakeLease(string token, bool live, TimeSpan age)
    {
        var server = ServerId.New();
        var requested = Noon - TimeSpan.FromSeconds(random.Next(0, (int)age.TotalSeconds + 1));
        var deadline = TimeSpan.FromSeconds(random.Next(1, 61));
        leases.Add(new(Pick("host1", "host2"), server, token, "qga:unix:/run/guest.sock", requested, requested + deadline));
        object freeze = ("freeze", (ServerId?)server);
        if (live || requested + FreezeDeadline.Maximum > Noon || requested + deadline >= Noon || !ImageId.TryParse(token, null, out _))
        {
            Untouchable.Add(freeze);
        }
        else if (requested + deadline < Noon - rules.Interval)
        {
            // Over at both looks; one whose deadline lies between them waits for a third.
            Leftover.Add(freeze);
        }
    }

    /// <summary>An image on its way out, by a run that lives, or was ended from outside, perhaps after it had been asked for again.</summary>
    private void MakeDeletion()
    {
        var (image, operation, work, at) = (ImageId.New(), OperationId.New(), MakeWork(out var age), Noon - TimeSpan.FromDays(30));
        runs.Add(new(image, false, "completed", RunStatus.Completed, at, false, 0));
        var begun = Noon - age;
        operations.Add(new(operation, OperationKind.DeleteImage, image, begun, 0, work));
        // Another deletion may have taken the image: then only the row of this one is left.
        if (Chance(0.9))
        {
            images.Add(new(image, ImageStatus.PendingDelete, begun, 0, work));
            for (var i = random.Next(4); i > 0; i--)
            {
                // One of them had been asked for alone before, and that run is over or not.
                snapshots.Add(new(SnapshotId.New(), "host1@file", image, SnapshotStatus.Deleting, begun, false, work.Live || Chance(0.5) ? work : new(false, "terminated", begun)));
            }
        }

        // Kept, and an ordinary one by now.
        snapshots.Add(new(SnapshotId.New(), "host1@file", image, SnapshotStatus.Available, begun, false));
        Untouchable.Add(("row", (SnapshotId?)snapshots[^1].Snapshot));
        Judge(PartsOf(operations[^1]), work, age);
    }

    private void MakeRestore()
    {
        var (image, operation, work) = (ImageId.New(), OperationId.New(), MakeWork(out var age));
        runs.Add(new(image, false, "completed", RunStatus.Completed, Noon.AddDays(-30), false, 0));
        images.Add(new(image, ImageStatus.Active, Noon.AddDays(-30), 0));
        Untouchable.Add(("image", (ImageId?)image));
        var inUse = Chance(0.2) ? random.Next(1, 3) : 0;
        operations.Add(new(operation, OperationKind.RestoreImage, image, Noon - age, inUse, work));
        for (var i = random.Next(4); i > 0; i--)
        {
            volumes.Add(new(VolumeId.New(), VolumeStatus.Creating, true, operation, Noon - age, work, Chance(0.5)));
        }

        Judge(PartsOf(operations[^1]), work, age, ours: inUse == 0);
    }

    private void MakeSnapshotAlone()
    {
        var (snapshot, work) = (SnapshotId.New(), MakeWork(out var age));
        // The image that it was made for may be gone by now.
        var image = Chance(0.3) ? ImageId.New() : (ImageId?)null;
        if (image is { } gone)
        {
            runs.Add(new(gone, false, "unknown", RunStatus.Completed, Noon.AddDays(-30), false, 0));
        }

        var byItsRun = Chance(0.8);
        snapshots.Add(new(snapshot, "host2@rbd", image, image is null ? Pick(SnapshotStatus.Creating, SnapshotStatus.Deleting) : SnapshotStatus.Deleting, Noon - age, false, work, byItsRun));
        Judge([("row", (SnapshotId?)snapshot)], work, age, ours: byItsRun);
    }

    private void MakeVolumeAlone()
    {
        var (volume, work, madeHere, byItsRun) = (VolumeId.New(), MakeWork(out var age), Chance(0.7), Chance(0.8));
        volumes.Add(new(volume, madeHere ? Pick(VolumeStatus.Creating, VolumeStatus.Deleting) : VolumeStatus.Deleting, madeHere, null, Noon - age, work, byItsRun));
        Judge([("volume", (VolumeId?)volume)], work, age, ours: madeHere && byItsRun);
    }

    /// <summary>A run that lives or not; <paramref name="age"/> is how long ago something last began, by the row or by Temporal.</summary>
    private WorkFact MakeWork(out TimeSpan age)
    {
        age = TimeSpan.FromSeconds(random.Next(0, (int)(3 * rules.LongestOperation.TotalSeconds)));
        return Pick("running", "terminated", "timedout", "unknown") switch
        {
            "running" => new(true, "running", Noon - age),
            "unknown" => new(false, "unknown", null),
            // It may have been reset, or asked for again, long after the rows were written.
            var words => new(false, words, Noon - TimeSpan.FromTicks((long)(age.Ticks * random.NextDouble()))),
        };
    }

    private void Judge(IEnumerable<object> parts, WorkFact work, TimeSpan age, bool ours = true)
    {
        var young = Min(age, work.StartedAt is { } at ? Noon - at : age) < rules.LongestOperation;
        (work.Live || young || !ours ? Untouchable : Leftover).UnionWith(parts);
    }

    /// <summary>Somebody else's: names that look like ours, and things that contradict themselves.</summary>
    private void MakeForeign()
    {
        var (volume, snapshot) = (VolumeId.New(), SnapshotId.New());
        switch (random.Next(4))
        {
            case 0:
                stored.Add(new("host1@file", volume, snapshot, Noon.AddDays(-random.Next(400)), null));
                break;
            case 1:
                stored.Add(new("host1@file", volume, snapshot, Noon.AddDays(-random.Next(400)), new(VolumeId.New(), null, Noon.AddDays(-9))));
                break;
            case 2:
                MakeLease("somebody-else", live: false, TimeSpan.FromDays(2));
                break;
            default:
                var server = ServerId.New();
                tasks.Add(new(server, null, Noon.AddDays(-random.Next(30))));
                Untouchable.Add(("task", (ServerId?)server, (ImageId?)null));
                break;
        }

        Untouchable.Add(("stored", (SnapshotId?)snapshot));
    }

    private void Note(object thing, List<object> parts, bool goesWithTheRun, bool live, TimeSpan age)
    {
        if (goesWithTheRun)
        {
            parts.Add(thing);
        }
        else
        {
            (live || age < rules.LongestRun ? Untouchable : Leftover).Add(thing);
        }
    }

    private enum Fate
    {
        Live,
        Reset,
        Terminated,
        TerminatedWhileUndoing,
        UndoFailed,
        Completed,
        CompletedButRowSaysRunning,
        Refused,
        RowLost,
    }
}
