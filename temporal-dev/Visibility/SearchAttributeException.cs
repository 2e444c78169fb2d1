namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>Search attributes that cannot be stored; answered as INVALID_ARGUMENT, and as a failed workflow task when a workflow asked for them.</summary>
public sealed class SearchAttributeException(string message) : Exception(message);
