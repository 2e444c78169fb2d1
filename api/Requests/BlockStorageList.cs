using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Requests;

/// <summary>
/// What the lists of Block Storage have in common: who may ask for which of the rows, which part of them there is, how many there are, and how the next part is asked for.
/// Source: Cinder API v3, and its <c>resource_filters.json</c>.
/// </summary>
/// <param name="rule">The policy rule that lets in.</param>
/// <param name="noun">What a row is, as Cinder's messages name it.</param>
internal abstract class BlockStorageList<TRow, TFilter>(string rule, string noun) where TFilter : class
{
    private const int MaxPage = 1000;

    private static readonly Microversion UnknownFiltersRefused = new(3, 31);
    private static readonly Microversion Counted = new(3, 45);

    private static readonly string[] NoFilters = ["limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "with_count"];

    /// <summary>The filters that Cinder's own file allows everybody.</summary>
    protected abstract IReadOnlyList<string> Everybodys { get; }

    /// <summary>What administrators may ask for beyond: what a row of ours has.</summary>
    protected abstract IReadOnlyList<string> Administrators { get; }

    protected abstract string[] SortKeys(Asked asked);

    /// <summary>Null when nothing can match. What a microversion does not know yet says nothing.</summary>
    protected abstract TFilter? Filter(Asked asked, SortOrder order);

    protected abstract Task<IReadOnlyList<TRow>> ListAsync(string? project, TFilter filter, Page page, CancellationToken ct);

    protected abstract Task<int> CountAsync(string? project, TFilter filter, CancellationToken ct);

    protected abstract object IdOf(TRow row);

    /// <summary>The part that the request asks for.</summary>
    /// <exception cref="Fault">It may not be asked for, or not so.</exception>
    public async Task<Part> ReadAsync(HttpContext context, CancellationToken ct)
    {
        var caller = context.Caller();
        context.Demand(rule);
        var query = new ListQuery(context);
        var asked = new Asked(query, context.Microversion(), caller.IsAdmin);
        var order = query.Sort(SortKeys(asked));
        string[] understood = [.. NoFilters, .. Everybodys];
        if (asked.Version >= UnknownFiltersRefused && !caller.IsAdmin)
        {
            query.RequireKnown(asked.Version >= Asked.LikeFilters ? understood : [.. understood.Where(n => !n.EndsWith('~'))]);
        }

        // Administrators may look into every project, or into one; for everybody else the two parameters mean nothing.
        var project = caller.IsAdmin && query.Switch("all_tenants") ? query.Text("project_id") : caller.ProjectId;
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"{noun} {text} could not be found.")), query.Offset());
        // An administrator's filter by what no row has finds none.
        var isUnknown = caller.IsAdmin && query.Names.Any(n => !understood.Contains(n) && !Administrators.Contains(n));
        var filter = isUnknown ? null : Filter(asked, order);
        var rows = filter is null ? [] : await ListAsync(project, filter, page, ct);
        int? count = asked.Version < Counted || !query.Switch("with_count") ? null : filter is null ? 0 : await CountAsync(project, filter, ct);
        return new(rows, page.Limit > 0 && rows.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(IdOf(rows[^1]))))] : null, count);
    }

    /// <summary>A part of the list.</summary>
    /// <param name="Rows">Its rows.</param>
    /// <param name="Links">The next part's; null when this is the last.</param>
    /// <param name="Count">How many rows there are, whatever the part; null when nobody asked.</param>
    internal sealed record Part(IReadOnlyList<TRow> Rows, IReadOnlyList<Link>? Links, int? Count);

    /// <summary>What a caller asked for, as far as the caller and the microversion may.</summary>
    protected sealed record Asked(ListQuery Query, Microversion Version, bool IsAdmin)
    {
        public static readonly Microversion LikeFilters = new(3, 34);

        /// <summary>The text of a filter.</summary>
        public string? Text(string name) => Query.Text(name);

        /// <summary>That of one which only administrators have.</summary>
        public string? Admins(string name) => IsAdmin ? Query.Text(name) : null;

        /// <summary>That of a filter by a part of the text.</summary>
        public string? Like(string name) => Version >= LikeFilters ? Query.Text(name + "~") : null;

        /// <summary>Whether, or null.</summary>
        public bool? Flag(string name) => Query.Text(name) is null ? null : Query.Switch(name);

        /// <summary>Names and values, or null.</summary>
        public IReadOnlyDictionary<string, string>? Map(string name) => Query.Text(name) is { } text ? DictionaryLiteral.Parse(text, name) : null;

        /// <summary>The name by a filter of everybody's, or by the one that only administrators have.</summary>
        public string? Name => Text("name") ?? Admins("display_name");

        /// <summary>The same by a part of the name.</summary>
        public string? NameLike => Like("name") ?? (IsAdmin ? Like("display_name") : null);
    }
}
