namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>The little that the server knows about payloads. It never looks at values otherwise.</summary>
internal static class PayloadRules
{
    /// <summary>Whether a memo or search attribute value means "remove this key". Source: Temporal, upsert semantics.</summary>
    public static bool IsNothing(Payload? value) =>
        value is null
        || (value.Metadata.TryGetValue("encoding", out var encoding) && encoding.ToStringUtf8() == "binary/null")
        || value.Data.ToStringUtf8() is "null" or "[]"
        || (value.Data.IsEmpty && value.Metadata.Count == 0);
}
