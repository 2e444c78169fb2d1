using System.Globalization;

namespace SnapshotFlow.Model;

/// <summary>The evidence as custom properties of the image, so that whoever sees the image knows how far to trust it.</summary>
public static class EvidenceProperties
{
    /// <summary>
    /// <c>snapshotflow_consistency</c>, <c>snapshotflow_server_id</c> and <c>snapshotflow_cut_skew_ms</c> always; <c>snapshotflow_frozen_at</c>,
    /// <c>snapshotflow_thawed_at</c> (UTC, milliseconds) and <c>snapshotflow_freeze_ms</c> of a guest that was frozen; <c>snapshotflow_cut</c> of volumes that were cut as a group. None is inherited by a further image.
    /// </summary>
    public static IReadOnlyDictionary<string, string> Of(Evidence evidence, ServerId server)
    {
        var properties = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            [ImageMetadataRules.OwnPrefix + "consistency"] = evidence.Consistency.ToText(),
            [ImageMetadataRules.OwnPrefix + "server_id"] = server.ToString(),
            [ImageMetadataRules.OwnPrefix + "cut_skew_ms"] = Milliseconds(evidence.CutSkew),
        };
        if (evidence.Cut is "group" and var cut)
        {
            properties[ImageMetadataRules.OwnPrefix + "cut"] = cut;
        }

        if (evidence.FrozenAt is { } frozenAt)
        {
            properties[ImageMetadataRules.OwnPrefix + "frozen_at"] = Instant(frozenAt);
        }

        if (evidence.ThawedAt is { } thawedAt)
        {
            properties[ImageMetadataRules.OwnPrefix + "thawed_at"] = Instant(thawedAt);
        }

        if (evidence.Freeze is { } freeze)
        {
            properties[ImageMetadataRules.OwnPrefix + "freeze_ms"] = Milliseconds(freeze);
        }

        return properties;
    }

    private static string Instant(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static string Milliseconds(TimeSpan span) => ((long)span.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
}
