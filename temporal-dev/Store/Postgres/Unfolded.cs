namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// What batches of the journal say together, and the tables do not say yet. What several transitions did to one run becomes one entry:
/// only the last side record counts, and the events follow each other. Writing it into the tables is in <c>Unfolded.Checkpoint.cs</c>.
/// </summary>
internal sealed partial class Unfolded
{
    private readonly Dictionary<Guid, Entry> runs = [];
    private readonly Dictionary<(string Namespace, string WorkflowId), Guid> current = [];
    private readonly HashSet<Guid> deleted = [];
    private readonly Dictionary<(string Kind, string Key), byte[]?> blobs = [];

    /// <summary>The last batch that is in here.</summary>
    public long LastBatch { get; private set; }

    /// <summary>Size of the batches in the journal.</summary>
    public long Bytes { get; private set; }

    public IReadOnlyDictionary<Guid, Entry> Runs => runs;

    public IReadOnlySet<Guid> Deleted => deleted;

    public IReadOnlyDictionary<(string Kind, string Key), byte[]?> Blobs => blobs;

    public void Add(long number, IReadOnlyList<Transition> batch, long bytes)
    {
        LastBatch = number;
        Bytes += bytes;
        foreach (var transition in batch)
        {
            foreach (var change in transition.Runs)
            {
                Add(Guid.Parse(change.Key.RunId), change);
            }

            foreach (var key in transition.Deleted)
            {
                var id = Guid.Parse(key.RunId);
                runs.Remove(id);
                deleted.Add(id);
            }

            foreach (var blob in transition.Blobs)
            {
                blobs[(blob.Kind, blob.Key)] = blob.Value;
            }
        }
    }

    public bool Concerns(Guid run) => runs.ContainsKey(run) || deleted.Contains(run);

    private void Add(Guid id, RunChange change)
    {
        if (!runs.TryGetValue(id, out var entry))
        {
            runs.Add(id, entry = new Entry(change.Key));
        }

        entry.Add(change);
        if (change.Header is { IsCurrent: true })
        {
            var name = (change.Key.Namespace, change.Key.WorkflowId);
            if (current.TryGetValue(name, out var former) && former != id && runs.TryGetValue(former, out var replaced))
            {
                replaced.IsCurrentNoMore();
            }

            current[name] = id;
        }
    }

    /// <summary>What has happened to one run.</summary>
    internal sealed class Entry(RunKey key)
    {
        private readonly List<HistoryEvent> events = [];

        public RunKey Key { get; } = key;

        /// <summary>Null when it is still the one in the tables.</summary>
        public RunHeader? Header { get; private set; }

        public byte[] Side { get; private set; } = [];

        public IReadOnlyList<HistoryEvent> Events => events;

        /// <summary>Whether the tables do not have the run at all.</summary>
        public bool IsNew => events.Count > 0 && events[0].EventId == 1;

        public void Add(RunChange change)
        {
            events.AddRange(change.Events);
            Side = change.Side;
            Header = change.Header ?? Header;
        }

        public void IsCurrentNoMore() => Header = Header is null ? null : Header with { IsCurrent = false };
    }
}
