namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>The data cannot be used, or not any more. The message is written for the operator and says what to do.</summary>
public sealed class StoreException(string message, Exception? inner = null) : Exception(message, inner);
