namespace SnapshotFlow.Model;

/// <summary>
/// What kind of failure something is. The names are also the error types stored in workflow histories: never rename one.
/// </summary>
[System.Text.Json.Serialization.JsonConverter(typeof(System.Text.Json.Serialization.JsonStringEnumConverter<ErrorKind>))]
public enum ErrorKind
{
    /// <summary>Can never work as asked. HTTP 400. Not retried.</summary>
    InvalidRequest,

    /// <summary>The caller may not do this. HTTP 403. Not retried.</summary>
    Forbidden,

    /// <summary>The named thing is not there, for certain. HTTP 404. Not retried.</summary>
    NotFound,

    /// <summary>It is in another status than expected, or somebody else holds it. HTTP 409. Not retried: the caller reads again.</summary>
    StaleStatus,

    /// <summary>In use right now: a snapshot has children, a volume is being flattened. HTTP 409. Retried later.</summary>
    Busy,

    /// <summary>A limit says no. HTTP 403 on the Compute surface, 413 on Block Storage. Not retried.</summary>
    QuotaExceeded,

    /// <summary>No answer, or not in time: the outcome is unknown. HTTP 503. Retried after looking up what happened.</summary>
    BackendUnavailable,

    /// <summary>A definite no of the back end: permission, feature, corruption, no space. HTTP 502. Not retried.</summary>
    BackendRefused,

    /// <summary>The guest cannot be frozen, and the request or the server demands it. HTTP 409. Not retried.</summary>
    QuiesceFailed,

    /// <summary>The freeze ended before the last volume was cut, and the request or the server demands an application-consistent image. Not retried.</summary>
    FreezeExpired,

    /// <summary>Undoing a failed run left something behind; the run lists what. HTTP 500. For the operator's runbook.</summary>
    CompensationFailed,
}

/// <summary>A failure whose kind is known. The message says what was tried on which id, what came back, and what to do.</summary>
public sealed class SnapshotFlowException(ErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What kind of failure.</summary>
    public ErrorKind Kind { get; } = kind;
}

/// <summary>Facts about error kinds.</summary>
public static class ErrorKinds
{
    /// <summary>Whether the same call may succeed later without anybody changing the request.</summary>
    public static bool IsRetryable(this ErrorKind kind) => kind is ErrorKind.Busy or ErrorKind.BackendUnavailable;
}
