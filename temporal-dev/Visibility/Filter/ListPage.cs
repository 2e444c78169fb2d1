using Google.Protobuf;

namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>One page of a list.</summary>
/// <param name="Entries">In the order of the query.</param>
/// <param name="NextPageToken">Empty after the last page.</param>
public sealed record ListPage<T>(IReadOnlyList<T> Entries, ByteString NextPageToken)
    where T : IListEntry
{
    /// <summary>Page size when the caller names none, and the greatest one. Source: Temporal's limit frontend.visibilityMaxPageSize.</summary>
    private const int MaxPageSize = 1000;

    /// <summary>
    /// Selects the page after <paramref name="pageToken"/> in one pass, keeping no more than a page. <paramref name="text"/> is the query as the
    /// caller wrote it.
    /// </summary>
    /// <exception cref="InvalidQueryException">The token belongs to another query.</exception>
    public static ListPage<T> Select(IEnumerable<T> entries, ListQuery query, string text, int pageSize, ByteString pageToken)
    {
        var size = pageSize is <= 0 or > MaxPageSize ? MaxPageSize : pageSize;
        var order = new SortOrder(query.OrderBy);
        SortKey? after = pageToken.IsEmpty ? null : PageToken.Read(pageToken, text, query.OrderBy);

        // The queue's head is the last entry of the page so far; one entry more than the page tells whether another page follows.
        var page = new PriorityQueue<T, SortKey>(Comparer<SortKey>.Create((x, y) => order.Compare(y, x)));
        foreach (var entry in entries)
        {
            var key = SortKey.Of(entry, query.OrderBy);
            if ((after is { } start && order.Compare(key, start) <= 0)
                || (page.Count > size && page.TryPeek(out _, out var last) && order.Compare(key, last) > 0)
                || !query.Matches(entry))
            {
                continue;
            }

            if (page.Count > size)
            {
                page.EnqueueDequeue(entry, key);
            }
            else
            {
                page.Enqueue(entry, key);
            }
        }

        var more = page.Count > size;
        if (more)
        {
            page.Dequeue();
        }

        var selected = new T[page.Count];
        var token = ByteString.Empty;
        for (var i = selected.Length - 1; i >= 0; i--)
        {
            page.TryDequeue(out var entry, out var key);
            selected[i] = entry!;
            if (more && i == selected.Length - 1)
            {
                token = PageToken.Write(text, key);
            }
        }

        return new ListPage<T>(selected, token);
    }
}
