namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Limits of the engine. The defaults are those of the official server unless said otherwise.</summary>
public sealed record EngineOptions
{
    /// <summary>From this many events on a workflow is told to continue as new. Source: limit.historyCount.suggestContinueAsNew.</summary>
    public int SuggestContinueAsNewAt { get; init; } = 4_096;

    /// <summary>The same for the size of the history. Source: limit.historySize.suggestContinueAsNew.</summary>
    public long SuggestContinueAsNewAtBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>A run with more events is terminated. Source: limit.historyCount.error.</summary>
    public int HistoryCountLimit { get; init; } = 50 * 1024;

    /// <summary>A run with a larger history is terminated. Source: limit.historySize.error.</summary>
    public long HistorySizeLimit { get; init; } = 50 * 1024 * 1024;

    /// <summary>
    /// Most activities, children, signals and cancels of other workflows that a run may have pending, each. Source: limit.numPendingActivities.error and
    /// its like.
    /// </summary>
    public int PendingLimit { get; init; } = 2_000;

    /// <summary>Largest payload in bytes. Source: limit.blobSize.error.</summary>
    public long BlobSizeLimit { get; init; } = 2 * 1024 * 1024;
}
