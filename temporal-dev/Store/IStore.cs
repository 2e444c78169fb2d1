using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Store;

/// <summary>
/// Where the server's state survives. The engine decides and keeps everything it needs in memory; a store only writes
/// transitions down, in order, and gives them back when the server starts again.
/// </summary>
/// <remarks>
/// A run is stored as its history (immutable, append only) and one small side record with what the history does not say.
/// Nothing else: the engine rebuilds a run by folding its events and then applying the side record.
/// </remarks>
public interface IStore : IAsyncDisposable
{
    /// <summary>False when nothing is kept: the engine then prepares no transitions, and a commit costs nothing.</summary>
    bool IsDurable { get; }

    /// <summary>Everything that the server needs at its start. Fails when the data belongs to another running server.</summary>
    Task<StoredState> LoadAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Makes the transitions durable, all or none, in the given order. Retries what is worth retrying; an exception means that it
    /// failed for good, and the server ends itself because its memory is ahead of the data. May block its caller meanwhile, so the caller
    /// is a thread that does nothing else.
    /// </summary>
    Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken);

    /// <summary>One run with its whole history, or null. Used for closed runs, which are not loaded at the start.</summary>
    Task<StoredRun?> LoadRunAsync(RunKey key, CancellationToken cancellationToken);
}

public readonly record struct RunKey(string Namespace, string WorkflowId, string RunId);

/// <summary>What one request or one alarm changed. It becomes durable as a whole or not at all.</summary>
public sealed record Transition(IReadOnlyList<RunChange> Runs, IReadOnlyList<RunKey> Deleted, IReadOnlyList<BlobChange> Blobs)
{
    public static Transition OfBlob(BlobChange blob) => new([], [], [blob]);
}

/// <summary>What a transition did to one run.</summary>
/// <param name="FirstEventId">Id of the first of <paramref name="Events"/>; meaningless when there are none.</param>
/// <param name="Events">The appended events.</param>
/// <param name="Side">The run's whole side record; replaces the former one.</param>
/// <param name="Header">What lists and starts need to know of the run without its history; replaces the former one. Null when it has not changed.</param>
public sealed record RunChange(RunKey Key, long FirstEventId, IReadOnlyList<HistoryEvent> Events, byte[] Side, RunHeader? Header);

/// <param name="Info">The visibility record.</param>
/// <param name="StartRequestId">Request id of the start, so that a repeated start finds its run.</param>
/// <param name="IsCurrent">Whether this is the newest run of its workflow id; setting it clears it on the id's other runs.</param>
/// <param name="IsLive">Whether the run is open, or closed with effects on other runs not yet delivered: it is loaded at the start.</param>
public sealed record RunHeader(WorkflowExecutionInfo Info, string StartRequestId, bool IsCurrent, bool IsLive);

/// <summary>A keyed value that the engine does not look into: namespaces, search attributes, schedules.</summary>
/// <param name="Kind">The collection, for example <c>namespace</c>.</param>
/// <param name="Value">The new value; null removes the key.</param>
public sealed record BlobChange(string Kind, string Key, byte[]? Value);

public sealed record StoredRun(RunKey Key, IReadOnlyList<HistoryEvent> Events, byte[] Side, RunHeader Header);

/// <param name="Live">The runs whose header says <see cref="RunHeader.IsLive"/>, with their histories.</param>
/// <param name="Closed">The headers of all other runs.</param>
public sealed record StoredState(IReadOnlyList<StoredRun> Live, IReadOnlyList<(RunKey Key, RunHeader Header)> Closed, IReadOnlyList<BlobChange> Blobs)
{
    public static StoredState Empty { get; } = new([], [], []);
}
