namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Limits of the engine. The defaults are those of the official server unless said otherwise.</summary>
public sealed record EngineOptions
{
    /// <summary>From this many events on a workflow is told to continue as new. Source: limit.historyCount.suggestContinueAsNew.</summary>
    public int SuggestContinueAsNewAt { get; init; } = 4_096;

    /// <summary>Largest payload in bytes. Source: limit.blobSize.error.</summary>
    public long BlobSizeLimit { get; init; } = 2 * 1024 * 1024;
}
