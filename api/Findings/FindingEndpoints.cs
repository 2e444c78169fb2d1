using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Findings;

/// <summary>What looks have found out of order, and what became of it: for operators. The runbook says what to do about each kind.</summary>
internal static class FindingEndpoints
{
    private const int DefaultPage = 100;
    private const int MaxPage = 1000;

    public static void MapFindings(this IEndpointRouteBuilder routes) => routes.MapGroup("/admin/findings").RequireAuthorization().MapGet("", ListAsync);

    private static async Task<Ok<FindingList>> ListAsync(HttpContext context, FindingStore store, CancellationToken ct)
    {
        context.Demand(Policies.ListFindings);
        var query = new ListQuery(context);
        query.RequireKnown("kind", "open", "limit", "marker");
        FindingKind? kind = query.Text("kind") is not { } text ? null
            : EnumText.TryParse<FindingKind>(text, out var known) ? known
            : throw ListQuery.Invalid("kind", text, $"Known are {string.Join(", ", Enum.GetValues<FindingKind>().Select(k => k.ToText()))}");
        long? marker = query.Text("marker") is not { } last ? null
            : long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id
            : throw Fault.BadRequest($"There is no finding with the id {last} to continue the list after.");
        var limit = query.Limit(DefaultPage, MaxPage);
        var findings = await store.ListAsync(new(kind, query.Text("open") is null ? null : query.Switch("open")), marker, limit, ct);
        IReadOnlyList<Link>? links = limit > 0 && findings.Count == limit ? [Link.Next(context.Url(query.NextPage(findings[^1].Id)))] : null;
        return TypedResults.Ok(new FindingList([.. findings.Select(FindingView.Of)], links));
    }

    private sealed record FindingList(
        IReadOnlyList<FindingView> Findings, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? FindingsLinks);
}

/// <summary>A finding.</summary>
/// <param name="Id">Names it in this list.</param>
/// <param name="Kind">What is out of order.</param>
/// <param name="Subject">Id or name of the thing.</param>
/// <param name="Place">Task queue of the host or back end it was seen at; null when the records said it all.</param>
/// <param name="Detail">What speaks for it, and why it is not repaired if it never will be.</param>
/// <param name="State"><c>open</c>, <c>repaired</c>, or <c>gone</c> by itself.</param>
/// <param name="FirstSeenAt">When it was seen first.</param>
/// <param name="LastSeenAt">When it was seen last.</param>
/// <param name="EndedAt">When it was repaired or gone; null while it is open.</param>
/// <param name="Done">What was done about it, or tried in vain.</param>
internal sealed record FindingView(
    long Id, FindingKind Kind, string Subject, string? Place, string Detail, string State,
    DateTimeOffset FirstSeenAt, DateTimeOffset LastSeenAt, DateTimeOffset? EndedAt, string? Done)
{
    public static FindingView Of(FindingRecord r) => new(
        r.Id, r.Finding.Key.Kind, r.Finding.Key.Subject, r.Finding.Place, r.Finding.Detail,
        r.RepairedAt is not null ? "repaired" : r.GoneAt is not null ? "gone" : "open",
        r.Finding.FirstSeenAt, r.Finding.LastSeenAt, r.RepairedAt ?? r.GoneAt, r.Done);
}
