using System.Net;
using System.Text.Json;

namespace SnapshotFlow.Tests.Api;

/// <summary>What the api said.</summary>
public sealed record Answer(HttpStatusCode Status, HttpResponseMessage Response, string Text)
{
    public JsonElement Json => field.ValueKind is JsonValueKind.Undefined ? field = JsonDocument.Parse(Text).RootElement : field;

    public string? Header(string name) =>
        Response.Headers.TryGetValues(name, out var values) || Response.Content.Headers.TryGetValues(name, out values) ? string.Join(", ", values) : null;

    /// <summary>The answer is a fault of the Compute, Block Storage or runs surface with this status, name and message.</summary>
    public void IsFault(int status, string name, string message)
    {
        IsFault(status, name);
        Assert.Equal(message, Json.GetProperty(name).GetProperty("message").GetString());
    }

    public void IsFault(int status, string name)
    {
        Assert.Equal(status, (int)Status);
        Assert.Equal("application/json", Response.Content.Headers.ContentType?.MediaType);
        var fault = Assert.Single(Json.EnumerateObject());
        Assert.Equal(name, fault.Name);
        Assert.Equal(status, fault.Value.GetProperty("code").GetInt32());
        Assert.NotEqual("", fault.Value.GetProperty("message").GetString());
    }

    /// <summary>The answer is a fault of the Image surface.</summary>
    public void IsImageFault(int status, string title, string message)
    {
        Assert.Equal(status, (int)Status);
        var error = Json.GetProperty("error");
        Assert.Equal((status, title, message), (error.GetProperty("code").GetInt32(), error.GetProperty("title").GetString(), error.GetProperty("message").GetString()));
    }
}
