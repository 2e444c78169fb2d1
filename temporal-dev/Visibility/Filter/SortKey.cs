namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>An entry's place in a list.</summary>
/// <param name="Values">The values of the attributes sorted by.</param>
/// <param name="ListedAt">Newest first among equal values.</param>
/// <param name="Key">Breaks the remaining ties.</param>
internal readonly record struct SortKey(object?[] Values, long ListedAt, string Key)
{
    public static SortKey Of(IListEntry entry, IReadOnlyList<SortBy> orderBy)
    {
        object?[] values = orderBy.Count == 0 ? [] : new object?[orderBy.Count];
        for (var i = 0; i < values.Length; i++)
        {
            var value = entry.Attribute(orderBy[i].Name);
            values[i] = value is Array { Length: > 0 } several ? several.GetValue(0) : value;
        }

        return new SortKey(values, entry.ListedAt, entry.Key);
    }
}

/// <summary>The order of a list: attributes as asked for, missing values last, then newest first, then by key.</summary>
internal sealed class SortOrder(IReadOnlyList<SortBy> orderBy) : IComparer<SortKey>
{
    public int Compare(SortKey x, SortKey y)
    {
        for (var i = 0; i < orderBy.Count; i++)
        {
            var order = (x.Values[i], y.Values[i]) switch
            {
                (null, null) => 0,
                (null, _) => 1,
                (_, null) => -1,
                var (left, right) => orderBy[i].Descending ? Values.Order(right, left) : Values.Order(left, right),
            };
            if (order != 0)
            {
                return order;
            }
        }

        var byTime = y.ListedAt.CompareTo(x.ListedAt);
        return byTime != 0 ? byTime : string.CompareOrdinal(x.Key, y.Key);
    }
}
