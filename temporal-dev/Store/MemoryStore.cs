namespace SnapshotFlow.TemporalDev.Store;

/// <summary>
/// Keeps nothing by default. With <paramref name="retain"/> it keeps what a durable store would, for as long as the object
/// lives: a server started again on the same store goes on where the former one stopped.
/// </summary>
public sealed class MemoryStore(bool retain = false) : IStore
{
    private readonly Lock gate = new();
    private readonly Dictionary<RunKey, StoredRun> runs = [];
    private readonly Dictionary<(string Kind, string Key), byte[]> blobs = [];

    public bool IsDurable => retain;

    public Task<StoredState> LoadAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            return Task.FromResult(new StoredState(
                [.. runs.Values.Where(r => r.Header.IsLive).Select(Copy)],
                [.. runs.Values.Where(r => !r.Header.IsLive).Select(r => (r.Key, r.Header))],
                [.. blobs.Select(b => new BlobChange(b.Key.Kind, b.Key.Key, b.Value))]));
        }
    }

    public Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            Check_NeedsLock(batch);
            foreach (var transition in batch)
            {
                foreach (var change in transition.Runs)
                {
                    Write_NeedsLock(change);
                }

                foreach (var key in transition.Deleted)
                {
                    runs.Remove(key);
                }

                foreach (var blob in transition.Blobs)
                {
                    if (blob.Value is null)
                    {
                        blobs.Remove((blob.Kind, blob.Key));
                    }
                    else
                    {
                        blobs[(blob.Kind, blob.Key)] = blob.Value;
                    }
                }
            }
        }

        return Task.CompletedTask;
    }

    public Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            return Task.FromResult(runs.TryGetValue(key, out var run) ? Copy(run) : null);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static StoredRun Copy(StoredRun run) => run with { Events = [.. run.Events.Select(e => e.Clone())] };

    /// <summary>Refuses the batch as a whole when events do not follow each other.</summary>
    private void Check_NeedsLock(IReadOnlyList<Transition> batch)
    {
        var lengths = new Dictionary<RunKey, int>();
        foreach (var change in batch.SelectMany(t => t.Runs).Where(c => c.Events.Count > 0))
        {
            var length = lengths.TryGetValue(change.Key, out var known) ? known : runs.GetValueOrDefault(change.Key)?.Events.Count ?? 0;
            if (change.FirstEventId != length + 1)
            {
                throw new InvalidOperationException($"run {change.Key.RunId} has {length} events; event {change.FirstEventId} cannot follow");
            }

            if (length == 0 && change.Header is null)
            {
                throw new InvalidOperationException($"run {change.Key.RunId} begins without a header");
            }

            lengths[change.Key] = length + change.Events.Count;
        }
    }

    private void Write_NeedsLock(RunChange change)
    {
        var events = runs.TryGetValue(change.Key, out var known) ? (List<HistoryEvent>)known.Events : [];
        events.AddRange(change.Events);
        if (change.Header is { IsCurrent: true })
        {
            var others = runs.Values.Where(r => r.Key.Namespace == change.Key.Namespace && r.Key.WorkflowId == change.Key.WorkflowId
                && r.Header.IsCurrent && r.Key != change.Key).ToList();
            foreach (var other in others)
            {
                runs[other.Key] = other with { Header = other.Header with { IsCurrent = false } };
            }
        }

        runs[change.Key] = new StoredRun(change.Key, events, change.Side, change.Header ?? known!.Header);
    }
}
