using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Search attributes as commands and requests carry them.</summary>
internal static class SearchAttributeRules
{
    /// <summary>Why these attributes cannot be set, or null.</summary>
    public static string? FindFault(this SearchAttributeRegistry registry, string @namespace, SearchAttributes? attributes)
    {
        try
        {
            registry.Complete(@namespace, attributes);
            return null;
        }
        catch (SearchAttributeException e)
        {
            return e.Message;
        }
    }

    /// <summary>A copy in which every value names its type; null when there are none.</summary>
    public static SearchAttributes? Complete(this SearchAttributeRegistry registry, string @namespace, SearchAttributes? attributes) =>
        attributes is null ? null : registry.Of(@namespace).Check(attributes);
}
