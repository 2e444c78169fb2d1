namespace SnapshotFlow.Store;

/// <summary>How a list is sorted: by at most <see cref="MaxKeys"/> keys, then by time of creation and id, newest first, so that the order is always one.</summary>
public sealed record SortOrder(IReadOnlyList<SortKey> Keys)
{
    /// <summary>Most keys that a list may be sorted by.</summary>
    public const int MaxKeys = 3;

    /// <summary>Newest first.</summary>
    public static readonly SortOrder NewestFirst = new([]);

    /// <summary>The terms of <c>ORDER BY</c>, for a function of the schema that gives a row's value under a key's name. Reads <c>@Keys</c> and <c>@Descending</c>.</summary>
    internal static string Terms(string sortKey, string row) => string.Join(
        ",\n",
        Enumerable.Range(1, MaxKeys + 2).Select(i => $"""
            CASE WHEN NOT (@Descending::boolean[])[{i}] THEN {sortKey}({row}, (@Keys::text[])[{i}]) END ASC NULLS FIRST,
            CASE WHEN (@Descending::boolean[])[{i}] THEN {sortKey}({row}, (@Keys::text[])[{i}]) END DESC NULLS LAST
            """));

    internal string[] Names => [.. Padded.Select(k => k.Name)];

    internal bool[] Descending => [.. Padded.Select(k => k.Descending)];

    private IEnumerable<SortKey> Padded => Keys.Take(MaxKeys).Concat(Enumerable.Repeat(new SortKey("created_at", true), MaxKeys - Math.Min(Keys.Count, MaxKeys)))
        .Append(new("created_at", true)).Append(new("id", true));
}

/// <summary>One key of an order.</summary>
/// <param name="Name">As callers know it.</param>
/// <param name="Descending">Largest first.</param>
public sealed record SortKey(string Name, bool Descending);
