using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>What went wrong after a request had been accepted. From microversion 3.3. Source: Cinder API v3, user messages.</summary>
internal static class MessageEndpoints
{
    private const int MaxPage = 1000;

    private static readonly Microversion Introduced = new(3, 3);

    public static void MapMessages(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("messages", messages =>
    {
        messages.MapGet("", ListAsync);
        messages.MapGet("/{id}", ShowAsync);
        messages.MapDelete("/{id}", DeleteAsync);
    });

    private static async Task<Ok<MessageList>> ListAsync(HttpContext context, UserMessageStore store, TimeProvider time, CancellationToken ct)
    {
        var caller = RequireVersion(context);
        context.Demand(Policies.ListMessages);
        var query = new ListQuery(context);
        query.RequireNewestFirst();
        var page = new Page(query.Limit(MaxPage, MaxPage), query.Marker(text => Fault.NotFound($"Message with ID {text} could not be found.")));
        var resource = query.Text("resource_uuid");
        var known = Guid.TryParseExact(resource, "D", out var id);
        var filter = new UserMessageFilter(known ? id : null, query.Text("resource_type"), query.Text("event_id"), query.Text("request_id"));
        var found = resource is not null && !known ? [] : await store.ListAsync(caller.ProjectId, filter, page, time.GetUtcNow(), ct);
        IReadOnlyList<Link>? links = page.Limit > 0 && found.Count == page.Limit ? [Link.Next(context.Url(query.NextPage(found[^1].Id)))] : null;
        return TypedResults.Ok(new MessageList(found.Select(m => MessageView.Of(m, context)).ToList(), links));
    }

    private static async Task<Ok<OneMessage>> ShowAsync(string id, HttpContext context, UserMessageStore store, CancellationToken ct)
    {
        var caller = RequireVersion(context);
        var message = await RequireAsync(store, id, caller, ct);
        context.Demand(Policies.ShowMessage, PolicyTarget.Of(message.ProjectId));
        return TypedResults.Ok(new OneMessage(MessageView.Of(message, context)));
    }

    private static async Task<NoContent> DeleteAsync(string id, HttpContext context, UserMessageStore store, CancellationToken ct)
    {
        var caller = RequireVersion(context);
        var message = await RequireAsync(store, id, caller, ct);
        context.Demand(Policies.DeleteMessage, PolicyTarget.Of(message.ProjectId));
        await store.DeleteAsync(message.Id, ct);
        return TypedResults.NoContent();
    }

    private static Caller RequireVersion(HttpContext context) =>
        context.Microversion() >= Introduced ? context.Caller() : throw Fault.NotFound("The resource could not be found.");

    private static async Task<UserMessage> RequireAsync(UserMessageStore store, string id, Caller caller, CancellationToken ct) =>
        Guid.TryParseExact(id, "D", out var known) && await store.FindVisibleAsync(known, caller, ct) is { } message
            ? message
            : throw Fault.NotFound($"Message with ID {id} could not be found.");

    private sealed record OneMessage(MessageView Message);

    private sealed record MessageList(
        IReadOnlyList<MessageView> Messages, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Link>? MessagesLinks);

    private sealed record MessageView(
        string Id, string EventId, string UserMessage, string MessageLevel, string ResourceType, string ResourceUuid, string RequestId, string CreatedAt, string GuaranteedUntil,
        IReadOnlyList<Link> Links)
    {
        public static MessageView Of(UserMessage m, HttpContext context) => new(
            m.Id.ToString(), m.EventId, m.Text, "ERROR", m.ResourceType, m.ResourceId.ToString(), m.RequestId, m.CreatedAt.Microseconds(),
            (m.CreatedAt + Model.UserMessage.Lifetime).Microseconds(), [Link.Self(context.Url($"/volume/v3/{m.ProjectId}/messages/{m.Id}"))]);
    }
}
