using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Servers;

/// <summary>The body <c>{"createImage": {"name": "…", "metadata": {…}}}</c>. Source: Nova, schema <c>create_image</c>.</summary>
internal sealed record CreateImageAction(string Name, IReadOnlyDictionary<string, string> Metadata)
{
    private const string Action = "createImage";

    /// <summary>Reads it, or ends the request with the 400 that Nova gives for the same mistake.</summary>
    public static CreateImageAction Parse(JsonElement body)
    {
        if (body.ValueKind is not JsonValueKind.Object || body.EnumerateObject().Take(2).ToList() is not [var action])
        {
            throw Fault.BadRequest("Malformed request body");
        }

        if (action.Name != Action)
        {
            throw Fault.BadRequest($"There is no such action: {action.Name}. {Action} is all that is done to servers here");
        }

        var members = new JsonField(Action, action.Value).Object(required: ["name"], optional: ["metadata"]);
        return new(
            ImageFields.Name(members["name"]), members.TryGetValue("metadata", out var metadata) ? ImageFields.Metadata(metadata) : new Dictionary<string, string>());
    }
}
