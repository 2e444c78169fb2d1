using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Faults;

/// <summary>
/// An answer other than success: thrown by whoever finds out, written by <see cref="FaultMiddleware"/> and nobody else.
/// The message reaches the caller as it is.
/// </summary>
internal sealed class Fault(int status, string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public int Status { get; } = status;

    /// <summary>When trying again makes sense; null when it does not, or when nobody can tell.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;

    /// <summary>Whether a run said no: the same request asked again under the same key is refused again. Else nothing was begun.</summary>
    public bool OfRun { get; init; }

    public static Fault BadRequest(string message) => new(StatusCodes.Status400BadRequest, message);

    public static Fault Forbidden(string message) => new(StatusCodes.Status403Forbidden, message);

    public static Fault NotFound(string message) => new(StatusCodes.Status404NotFound, message);

    public static Fault Conflict(string message) => new(StatusCodes.Status409Conflict, message);

    public static Fault Unavailable(string message, Exception? inner = null) =>
        new(StatusCodes.Status503ServiceUnavailable, message, TimeSpan.FromSeconds(5), inner);

    /// <summary>Says no for the reason that a run gave, as Block Storage and Image do: over quota is 413 there.</summary>
    public static Fault FromService(Refusal refusal) => refusal.Kind is ErrorKind.QuotaExceeded
        ? new(StatusCodes.Status413PayloadTooLarge, refusal.Message, TimeSpan.Zero) { OfRun = true }
        : From(refusal);

    /// <summary>Says no for the reason that a run gave.</summary>
    public static Fault From(Refusal refusal) => new(FaultTable.Status(refusal.Kind), refusal.Message) { OfRun = true };
}
