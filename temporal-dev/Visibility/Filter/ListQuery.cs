namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <param name="Name">The attribute to sort by; entries without it come last in either direction.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Descending">Greatest first.</param>
public sealed record SortBy(string Name, AttributeKind Kind, bool Descending);

/// <summary>A checked list query.</summary>
/// <param name="Where">Which entries; null means all.</param>
/// <param name="OrderBy">In which order; ties and an empty list fall back to newest first.</param>
/// <param name="GroupBy">The attribute that a count is split by, or null.</param>
public sealed record ListQuery(Condition? Where, IReadOnlyList<SortBy> OrderBy, string? GroupBy)
{
    /// <param name="text">The query; empty means everything.</param>
    /// <param name="kindOf">The kind of an attribute, or null when there is none of this name.</param>
    /// <exception cref="InvalidQueryException">The query is malformed, names an unknown attribute or compares it with a value of another type.</exception>
    public static ListQuery Parse(string text, Func<string, AttributeKind?> kindOf) => new Parser(Lexer.Read(text), new Binder(kindOf)).ReadQuery();

    public bool Matches(IListEntry entry) => Where?.Matches(entry) ?? true;
}
