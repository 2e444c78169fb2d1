namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>A list filter that cannot be understood; the message says where and why. Answered as INVALID_ARGUMENT.</summary>
public sealed class InvalidQueryException(string message) : Exception($"invalid query: {message}");
