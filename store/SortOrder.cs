namespace SnapshotFlow.Store;

/// <summary>How a list is sorted: by at most <see cref="MaxKeys"/> keys, then by time of creation and id, newest first, so that the order is always one.</summary>
public sealed record SortOrder(IReadOnlyList<SortKey> Keys)
{
    /// <summary>Most keys that a list may be sorted by.</summary>
    public const int MaxKeys = 3;

    /// <summary>Newest first.</summary>
    public static readonly SortOrder NewestFirst = new([]);

    /// <summary>An instant as text that sorts as it does.</summary>
    internal const string Instant = "'YYYYMMDDHH24MISSUS'";

    /// <summary>The terms of <c>ORDER BY</c>. Reads <c>@Keys</c> and <c>@Descending</c>.</summary>
    /// <param name="sortKey">From a key's name, in SQL, to a row's value under it, as text that sorts as the value does. No function of the schema: one that takes a row stands in the way of changes to the table.</param>
    internal static string Terms(Func<string, string> sortKey) => string.Join(
        ",\n",
        Enumerable.Range(1, MaxKeys + 2).Select(i => (Value: sortKey($"(@Keys::text[])[{i}]"), Descending: $"(@Descending::boolean[])[{i}]")).Select(term => $"""
            CASE WHEN NOT {term.Descending} THEN {term.Value} END ASC NULLS FIRST,
            CASE WHEN {term.Descending} THEN {term.Value} END DESC NULLS LAST
            """));

    /// <summary>
    /// The rows of one page of a list, sorted by <see cref="Terms"/>. Reads <c>@Marker</c>, <c>@Limit</c> and <c>@Offset</c>, too. The marker is in the order also when it does not
    /// match any more: the page begins after its place.
    /// </summary>
    /// <param name="table">Where the rows are; those with <c>deleted_at</c> are in no list.</param>
    /// <param name="row">What <paramref name="columns"/> and <paramref name="matching"/> call a row.</param>
    /// <param name="columns">What is read of them.</param>
    /// <param name="matching">Which of them.</param>
    /// <param name="sortKey">As in <see cref="Terms"/>.</param>
    internal static string PageOf(string table, string row, string columns, string matching, Func<string, string> sortKey) => $"""
        WITH matching AS (
          SELECT {row}.id, row_number() OVER (
            ORDER BY
                {Terms(sortKey)}
          ) AS position
          FROM {table} AS {row}
          WHERE {matching} OR ({row}.id = @Marker AND {row}.deleted_at IS NULL)
        )
        SELECT {columns}
        FROM {table} AS {row} JOIN matching USING (id)
        WHERE position > coalesce((SELECT position FROM matching WHERE id = @Marker), 0)
        ORDER BY position
        LIMIT @Limit OFFSET @Offset
        """;

    internal string[] Names => [.. Padded.Select(k => k.Name)];

    internal bool[] Descending => [.. Padded.Select(k => k.Descending)];

    private IEnumerable<SortKey> Padded => Keys.Take(MaxKeys).Concat(Enumerable.Repeat(new SortKey("created_at", true), MaxKeys - Math.Min(Keys.Count, MaxKeys)))
        .Append(new("created_at", true)).Append(new("id", true));
}

/// <summary>One key of an order.</summary>
/// <param name="Name">As callers know it.</param>
/// <param name="Descending">Largest first.</param>
public sealed record SortKey(string Name, bool Descending);
