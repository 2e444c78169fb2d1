using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Google.Protobuf;

namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>
/// Where a page ended: the sort key of its last entry. Entries that appear or vanish meanwhile move no other entry to another page. Survives a restart.
/// </summary>
/// <param name="QueryHash">Of the query it belongs to.</param>
/// <param name="SortValues">The values sorted by, as text; null when missing.</param>
/// <param name="ListedAt">UTC ticks.</param>
/// <param name="Key">The entry's key.</param>
internal sealed record PageToken(string QueryHash, string?[] SortValues, long ListedAt, string Key)
{
    public static ByteString Write(string query, SortKey last) => ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(
        new PageToken(Hash(query), [.. last.Values.Select(Text)], last.ListedAt, last.Key)));

    /// <exception cref="InvalidQueryException">These bytes are no token of this query.</exception>
    public static SortKey Read(ByteString bytes, string query, IReadOnlyList<SortBy> orderBy)
    {
        PageToken? token;
        try
        {
            token = JsonSerializer.Deserialize<PageToken>(bytes.Span);
        }
        catch (JsonException)
        {
            token = null;
        }

        if (token is null || token.QueryHash != Hash(query) || token.SortValues.Length != orderBy.Count)
        {
            throw new InvalidQueryException("the page token does not belong to this query; begin again without a token");
        }

        return new SortKey([.. token.SortValues.Select((text, i) => text is null ? null : Value(text, orderBy[i].Kind))], token.ListedAt, token.Key);
    }

    private static string Hash(string query) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(query)).AsSpan(0, 8));

    private static string? Text(object? value) => value switch
    {
        null => null,
        DateTimeOffset time => time.UtcTicks.ToString(CultureInfo.InvariantCulture),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    private static object Value(string text, AttributeKind kind) => kind switch
    {
        AttributeKind.Int or AttributeKind.Duration => long.Parse(text, CultureInfo.InvariantCulture),
        AttributeKind.Double => double.Parse(text, CultureInfo.InvariantCulture),
        AttributeKind.Bool => bool.Parse(text),
        AttributeKind.Datetime => new DateTimeOffset(long.Parse(text, CultureInfo.InvariantCulture), TimeSpan.Zero),
        _ => text,
    };
}
