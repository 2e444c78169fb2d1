using System.Globalization;
using Microsoft.AspNetCore.WebUtilities;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Requests;

/// <summary>The query of a list: which page, which filters. What cannot be meant is 400 with the name of the parameter.</summary>
internal sealed class ListQuery(HttpContext context)
{
    private static readonly string[] TimeOperators = ["eq", "neq", "gt", "gte", "lt", "lte"];

    private readonly IQueryCollection query = Storable(context.Request.Query);

    /// <summary>Rows of a page: <paramref name="otherwise"/> when not said, never more than <paramref name="most"/>.</summary>
    public int Limit(int otherwise, int most) => Text("limit") switch
    {
        null => otherwise,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) => Math.Min(limit, most),
        // More digits than a number has are still a number.
        { Length: > 0 } text when text.All(char.IsAsciiDigit) => most,
        var text => throw Invalid("limit", text, "It must be a number of 0 or more"),
    };

    /// <summary>Rows to leave out at the beginning of the page; 0 when not said.</summary>
    public int Offset() => Text("offset") switch
    {
        null => 0,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var offset) => offset,
        { Length: > 0 } text when text.All(char.IsAsciiDigit) => int.MaxValue,
        var text => throw Invalid("offset", text, "It must be a number of 0 or more"),
    };

    /// <summary>
    /// The id after which the page begins; null for the first page. What is not a UUID was never the id of anything: <paramref name="unknown"/> says so.
    /// </summary>
    public Guid? Marker(Func<string, Fault> unknown) =>
        Text("marker") is not { } text ? null : Guid.TryParseExact(text, "D", out var id) ? id : throw unknown(text);

    /// <summary>The value of a parameter; null when it is not there.</summary>
    public string? Text(string name)
    {
        var values = query[name];
        return values.Count switch
        {
            0 => null,
            1 => values[0]!,
            _ => throw Invalid(name, values.ToString(), "It must be given once"),
        };
    }

    /// <summary>Whether a switch such as <c>all_tenants=1</c> is on. Source: oslo.utils, bool_from_string.</summary>
    public bool Switch(string name) => Text(name) switch
    {
        null => false,
        var text => text.Trim().ToLowerInvariant() switch
        {
            "" or "1" or "t" or "true" or "on" or "y" or "yes" => true,
            "0" or "f" or "false" or "off" or "n" or "no" => false,
            _ => throw Invalid(name, text, "It must be 1 or 0"),
        },
    };

    /// <summary>A whole number of 0 or more; null when it is not there.</summary>
    public long? Whole(string name, long most = long.MaxValue) => Text(name) is not { } text ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most ? number
        : throw Invalid(name, text, "It must be a whole number of 0 or more");

    /// <summary>A comparison with a time, such as <c>gt:2026-08-01T00:00:00Z</c>; without an operator it is equality. Null when it is not there.</summary>
    public TimeFilter? Time(string name) => Text(name) is { } text ? Time(name, text) : null;

    /// <summary>Several comparisons, separated by commas. Source: Cinder, time comparison filters.</summary>
    public IReadOnlyList<TimeFilter> Times(string name) => Text(name) is { } text ? [.. text.Split(',').Select(part => Time(name, part))] : [];

    /// <summary>The parameters that were given.</summary>
    public IEnumerable<string> Names => query.Keys;

    /// <summary>Lists come newest first; 400 for any other order.</summary>
    public void RequireNewestFirst()
    {
        var (key, direction) = Text("sort") is { } sort
            ? (sort.Split(':')[0], sort.Contains(':', StringComparison.Ordinal) ? sort[(sort.IndexOf(':', StringComparison.Ordinal) + 1)..] : "desc")
            : (Text("sort_key") ?? "created_at", Text("sort_dir") ?? "desc");
        if (key != "created_at" || direction != "desc")
        {
            throw Invalid("sort", $"{key}:{direction}", "This list is sorted by created_at:desc only");
        }
    }

    /// <summary>All values of a parameter that may be given several times.</summary>
    public IReadOnlyList<string> All(string name) => [.. query[name].Select(v => v!)];

    /// <summary>
    /// How the list is sorted: <c>sort=key:dir,key</c>, or <c>sort_key</c> and <c>sort_dir</c>, each several times; descending unless said otherwise.
    /// 400 for another key or direction, for both ways at once, and for more keys than the records can be sorted by.
    /// </summary>
    public SortOrder Sort(params string[] keys)
    {
        var (named, directions) = (All("sort_key"), All("sort_dir"));
        if (Text("sort") is { } sort)
        {
            if (named.Count + directions.Count > 0)
            {
                throw Invalid("sort", sort, "It cannot be given together with sort_key and sort_dir");
            }

            var pairs = sort.Split(',', StringSplitOptions.TrimEntries).Select(p => p.Split(':', 2, StringSplitOptions.TrimEntries)).ToList();
            (named, directions) = ([.. pairs.Select(p => p[0])], [.. pairs.Select(p => p.Length == 2 ? p[1] : "desc")]);
        }

        if (named.FirstOrDefault(k => !keys.Contains(k)) is { } key)
        {
            throw Invalid("sort_key", key, $"Known are {string.Join(", ", keys)}");
        }

        if (directions.FirstOrDefault(d => d is not ("asc" or "desc")) is { } direction)
        {
            throw Invalid("sort_dir", direction, "It must be asc or desc");
        }

        if (named.Count > SortOrder.MaxKeys || directions.Count > Math.Max(named.Count, 1))
        {
            throw Invalid("sort_key", string.Join(',', named), $"A list is sorted by at most {SortOrder.MaxKeys} keys, each with at most one direction");
        }

        // A direction without a key is of the time of creation; a single direction is of every key.
        return new([.. (named.Count > 0 ? named : ["created_at"]).Select((k, i) => new Store.SortKey(k, (directions.Count == 1 ? directions[0] : directions.ElementAtOrDefault(i)) is not "asc"))]);
    }

    /// <summary>400 for a parameter that is none of these.</summary>
    public void RequireKnown(params string[] known)
    {
        if (query.Keys.FirstOrDefault(k => !known.Contains(k)) is { } odd)
        {
            throw Fault.BadRequest($"Unknown query parameter '{odd}'. Known are {string.Join(", ", known)}");
        }
    }

    /// <summary>Path and query of the page after the one that ends with <paramref name="last"/>.</summary>
    public string NextPage(object last) => Path(WithoutMarker.Append(KeyValuePair.Create("marker", last.ToString())));

    /// <summary>Path and query of the first page.</summary>
    public string FirstPage() => Path(WithoutMarker);

    public static Fault Invalid(string name, string value, string why) => Fault.BadRequest($"Invalid input for query parameters {name}. Value: {value}. {why}");

    private static TimeFilter Time(string name, string text)
    {
        var (comparison, rest) = TimeOperators.FirstOrDefault(o => text.StartsWith(o + ":", StringComparison.Ordinal)) is { } known ? (known, text[(known.Length + 1)..]) : ("eq", text);
        return DateTimeOffset.TryParse(rest, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? new(comparison, time)
            : throw Invalid(name, text, "It must be a time, with an operator before it such as gt:2026-08-01T00:00:00Z");
    }

    private IEnumerable<KeyValuePair<string, string?>> WithoutMarker =>
        query.Where(p => p.Key is not ("marker" or "offset")).SelectMany(p => p.Value, (p, v) => KeyValuePair.Create(p.Key, v));

    /// <summary>PostgreSQL's text has no U+0000: what is asked for with it cannot be there, and cannot be asked.</summary>
    private static IQueryCollection Storable(IQueryCollection query) => query.Any(p => p.Value.Append(p.Key).Any(t => t!.Contains('\0', StringComparison.Ordinal)))
        ? throw Fault.BadRequest("Query parameters must not hold the character U+0000")
        : query;

    private string Path(IEnumerable<KeyValuePair<string, string?>> parameters) => QueryHelpers.AddQueryString(context.Request.Path.Value!, parameters);
}
