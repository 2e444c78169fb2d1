using System.Text.Json;
using SnapshotFlow.Api.Faults;

namespace SnapshotFlow.Api.Requests;

/// <summary>The body of a request as JSON, before anybody knows what it means.</summary>
internal static class JsonBody
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 32, AllowDuplicateProperties = false };

    /// <summary>
    /// Reads it whole: 415 unless it says that it is JSON, 413 when it is larger than the server accepts, 400 when it is not JSON, is nested deeper than 32,
    /// names a member twice, or holds half a Unicode surrogate pair, which no database could store.
    /// </summary>
    public static async Task<JsonElement> ReadAsync(HttpRequest request, CancellationToken ct)
    {
        if (!request.HasJsonContentType())
        {
            throw new Fault(StatusCodes.Status415UnsupportedMediaType, "Unsupported Content-Type");
        }

        return await ReadAnyTypeAsync(request, ct);
    }

    /// <summary>The same for a body whose content type the caller has looked at.</summary>
    public static async Task<JsonElement> ReadAnyTypeAsync(HttpRequest request, CancellationToken ct)
    {
        try
        {
            using var document = await JsonDocument.ParseAsync(request.Body, Strict, ct);
            var body = document.RootElement.Clone();
            RequireText(body);
            return body;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Fault.BadRequest("Malformed request body");
        }
    }

    /// <exception cref="InvalidOperationException">A string cannot be read as text.</exception>
    private static void RequireText(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                element.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    RequireText(item);
                }

                break;
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    _ = member.Name;
                    RequireText(member.Value);
                }

                break;
        }
    }
}
