using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Faults;

/// <summary>Status codes and the names that clients know them by.</summary>
internal static class FaultTable
{
    /// <summary>Name of a status on the Compute and Block Storage surfaces. Source: Nova and Cinder, fault names by status.</summary>
    public static string Name(int status) => status switch
    {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        412 => "preconditionFailed",
        413 or 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };

    /// <summary>The status that a kind of failure has on the Compute surface, which <c>/runs</c> shares. Over quota is 403 there, as in Nova.</summary>
    public static int Status(ErrorKind kind) => kind switch
    {
        ErrorKind.InvalidRequest => 400,
        ErrorKind.Forbidden or ErrorKind.QuotaExceeded => 403,
        ErrorKind.NotFound => 404,
        ErrorKind.StaleStatus or ErrorKind.Busy or ErrorKind.QuiesceFailed or ErrorKind.FreezeExpired => 409,
        ErrorKind.BackendRefused => 502,
        ErrorKind.BackendUnavailable => 503,
        _ => 500,
    };

    /// <summary>What is said when the framework answered with a bare status.</summary>
    public static string Message(int status, HttpRequest request) => status switch
    {
        400 => "Malformed request",
        401 => "The request you have made requires authentication.",
        404 => "The resource could not be found.",
        405 => $"The method {request.Method} is not allowed for this resource.",
        413 => "Request is too large.",
        415 => "Unsupported Content-Type",
        431 => "Request header fields are too large.",
        _ => "The server could not comply with the request.",
    };
}
