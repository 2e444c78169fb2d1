using System.Globalization;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>Instants as RFC 3339 text.</summary>
public static class Timestamps
{
    /// <exception cref="FormatException">The text is no RFC 3339 time with a zone offset or Z.</exception>
    public static DateTimeOffset Parse(string text)
    {
        // RFC 3339 requires the offset; without one the text would silently mean the server's own zone.
        var hasZone = text.Length > 10 && (text[^1] is 'Z' or 'z' || text.LastIndexOfAny(['+', '-']) > 10);
        return hasZone && DateTimeOffset.TryParse(Trimmed(text), CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : throw new FormatException($"'{text}' is not an RFC 3339 time such as 2026-01-31T12:00:00Z");
    }

    /// <summary>UTC with Z; the fraction only when there is one.</summary>
    public static string Text(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    /// <summary>Nine digits of fraction are legal; the platform reads seven (100 ns).</summary>
    private static string Trimmed(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0)
        {
            return text;
        }

        var end = dot + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        return end - dot - 1 <= 7 ? text : text[..(dot + 8)] + text[end..];
    }
}
