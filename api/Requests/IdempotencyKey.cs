using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Requests;

/// <summary>
/// The header <c>Idempotency-Key</c>: whoever repeats a request with the same key gets the image of the first. Source: IETF draft idempotency-key-header.
/// </summary>
internal static class IdempotencyKey
{
    /// <summary>Its name.</summary>
    public const string Header = "Idempotency-Key";

    private const int MaxLength = 255;

    /// <summary>The key; null when the request carries none. 400 unless it is one value of 1 to 255 printable ASCII characters.</summary>
    public static string? Of(HttpRequest request)
    {
        var values = request.Headers[Header];
        return values.Count switch
        {
            0 => null,
            1 when values[0] is { Length: > 0 and <= MaxLength } key && key.All(c => c is > ' ' and <= '~') => key,
            _ => throw Fault.BadRequest($"{Header} must be one value of 1 to {MaxLength} printable ASCII characters without spaces"),
        };
    }

    /// <summary>The image that a request makes: always the same for a key, a new one without. A key means something only within its project.</summary>
    public static ImageId Image(string? key, Caller caller) => key is null ? ImageId.New() : DeterministicId.Image(caller.ProjectId, key);
}
