using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Servers;

/// <summary>What was asked of a server, and what became of it. Source: Nova API, <c>os-instance-actions</c>.</summary>
internal static class InstanceActionEndpoints
{
    private const int MaxPage = 1000;

    private static readonly Microversion EventsForOwners = new(2, 51);
    private static readonly Microversion Paged = new(2, 58);
    private static readonly Microversion HostId = new(2, 62);
    private static readonly Microversion Before = new(2, 66);
    private static readonly Microversion Details = new(2, 84);

    public static void MapInstanceActions(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/compute/v2.1", $"/compute/v2.1/{ProjectInPath.Segment}" })
        {
            var actions = routes.MapGroup($"{prefix}/servers/{{id}}/os-instance-actions")
                .RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Compute);
            actions.MapGet("", ListAsync);
            actions.MapGet("/{request_id}", ShowAsync);
        }
    }

    private static async Task<Ok<ActionList>> ListAsync(string id, HttpContext context, ServerStore servers, InstanceActionStore store, CancellationToken ct)
    {
        var server = await servers.RequireAsync(id, context.Caller(), ct);
        context.Demand(Policies.ListInstanceActions, PolicyTarget.Of(server.ProjectId, server.UserId));
        var version = context.Microversion();
        IEnumerable<InstanceAction> actions = await store.ListAsync(server.Id, ct);
        if (version < Paged)
        {
            return TypedResults.Ok(new ActionList([.. actions.Select(a => ActionView.Of(a, version))], null));
        }

        var query = new ListQuery(context);
        query.RequireKnown("limit", "marker", "changes-since", version >= Before ? "changes-before" : "limit");
        if (query.Text("changes-since") is { } since)
        {
            var time = Time("changes-since", since);
            actions = actions.Where(a => a.UpdatedAt >= time);
        }

        if (query.Text("changes-before") is { } before)
        {
            var time = Time("changes-before", before);
            actions = actions.Where(a => a.UpdatedAt <= time);
        }

        if (query.Text("marker") is { } marker)
        {
            var all = actions.ToList();
            var last = all.FindIndex(a => a.RequestId == marker);
            actions = last < 0 ? throw Fault.BadRequest($"Marker {marker} could not be found.") : all[(last + 1)..];
        }

        var limit = query.Limit(MaxPage, MaxPage);
        var page = actions.Take(limit).ToList();
        IReadOnlyList<Link>? links = limit > 0 && page.Count == limit ? [Link.Next(context.Url(query.NextPage(page[^1].RequestId)))] : null;
        return TypedResults.Ok(new ActionList([.. page.Select(a => ActionView.Of(a, version))], links));
    }

    private static async Task<Ok<OneAction>> ShowAsync(string id, HttpContext context, ServerStore servers, InstanceActionStore store, CancellationToken ct)
    {
        var server = await servers.RequireAsync(id, context.Caller(), ct);
        var target = PolicyTarget.Of(server.ProjectId, server.UserId);
        context.Demand(Policies.ShowInstanceAction, target);
        var request = (string)context.GetRouteValue("request_id")!;
        var action = request.Contains('\0', StringComparison.Ordinal) ? null : await store.FindAsync(server.Id, request, ct);
        if (action is null)
        {
            throw Fault.NotFound($"Action {request} not found");
        }

        var version = context.Microversion();
        var operators = context.May(Policies.InstanceActionEvents, target);
        var view = ActionView.Of(action, version);
        if (version >= EventsForOwners || operators)
        {
            view = view with
            {
                Events = [.. action.Events.Select(e => new EventView(e.Event, e.StartedAt.Microseconds(), e.FinishedAt?.Microseconds(), e.Result)
                {
                    // Records hold no stack traces: what went wrong is in the details.
                    Traceback = operators ? Optional.Null : null,
                    HostId = version >= HostId ? "" : null,
                    Details = version >= Details && context.May(Policies.InstanceActionEventDetails, target) ? Optional.Of(e.Details) : null,
                })],
            };
        }

        return TypedResults.Ok(new OneAction(view));
    }

    private static DateTimeOffset Time(string name, string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : throw ListQuery.Invalid(name, text, $"{JsonField.Quoted(text)} is not a 'date-time'");

    private sealed record ActionList(
        [property: JsonPropertyName("instanceActions")] IReadOnlyList<ActionView> Actions,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? Links);

    private sealed record OneAction([property: JsonPropertyName("instanceAction")] ActionView Action);

    private sealed record ActionView(string Action, string InstanceUuid, string RequestId, string UserId, string ProjectId, string StartTime, string? Message)
    {
        /// <summary>From 2.58.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? UpdatedAt { get; init; }

        /// <summary>Not in a list.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public IReadOnlyList<EventView>? Events { get; init; }

        public static ActionView Of(InstanceAction a, Microversion version) => new(
            a.Action, a.ServerId.ToString(), a.RequestId, a.UserId, a.ProjectId, a.StartedAt.Microseconds(), a.Message)
        {
            UpdatedAt = version >= Paged ? a.UpdatedAt.Microseconds() : null,
        };
    }

    private sealed record EventView(string Event, string StartTime, string? FinishTime, string? Result)
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public System.Text.Json.JsonElement? Traceback { get; init; }

        /// <summary>From 2.62.</summary>
        [JsonPropertyName("hostId")]
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? HostId { get; init; }

        /// <summary>From 2.84, for whom policy lets see it: an administrator unless it says otherwise.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public System.Text.Json.JsonElement? Details { get; init; }
    }

    /// <summary>A member that may be null and there, or not there at all.</summary>
    private static class Optional
    {
        public static readonly System.Text.Json.JsonElement Null = Of(null);

        public static System.Text.Json.JsonElement Of(string? text) => System.Text.Json.JsonSerializer.SerializeToElement(text);
    }
}
