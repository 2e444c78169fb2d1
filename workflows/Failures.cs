using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Workflows;

/// <summary>Reads failures of steps back into the kinds they were thrown as.</summary>
internal static class Failures
{
    /// <summary>What a failure means to a caller. What has no kind of its own is an outcome that nobody knows.</summary>
    public static Refusal Describe(Exception failure) => failure switch
    {
        _ when TemporalException.IsCanceledException(failure) => new(ErrorKind.StaleStatus, "the run was cancelled"),
        ActivityFailureException { InnerException: ApplicationFailureException inner } => Describe(inner),
        ActivityFailureException { InnerException: TimeoutFailureException timeout } activity => new(
            ErrorKind.BackendUnavailable,
            $"{activity.ActivityType} had no answer in time ({timeout.TimeoutType}){(timeout.InnerException is { } cause ? $": {cause.Message}" : "")}"),
        ApplicationFailureException application when Enum.TryParse<ErrorKind>(application.ErrorType, out var kind) => new(kind, application.Message),
        _ => new(ErrorKind.BackendUnavailable, failure.Message),
    };

    /// <summary>Whether the kind is a refusal of the request, as opposed to something that went wrong on our side.</summary>
    public static bool IsRefusal(this ErrorKind kind) => kind is ErrorKind.InvalidRequest or ErrorKind.Forbidden or ErrorKind.NotFound or ErrorKind.StaleStatus
        or ErrorKind.Busy or ErrorKind.QuotaExceeded or ErrorKind.QuiesceFailed;

    /// <summary>A failure that ends the workflow on purpose.</summary>
    public static ApplicationFailureException Failure(this Refusal refusal, Exception? inner = null) =>
        new(refusal.Message, inner, refusal.Kind.ToString(), nonRetryable: true);
}
