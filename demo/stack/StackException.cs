namespace SnapshotFlow.Stack;

/// <summary>The development stack cannot do what was asked. The message is for a person and says what to do.</summary>
public sealed class StackException(string message, Exception? inner = null) : Exception(message, inner);
