using Temporalio.Api.ErrorDetails.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>An answer that is an error: status code, text and the typed detail from which the SDK builds its exception.</summary>
internal sealed class Fault(StatusCode code, string message, IMessage? detail = null) : Exception(message)
{
    public StatusCode Code { get; } = code;

    public IMessage? Detail { get; } = detail;

    public static Fault NotFound(string message) => new(StatusCode.NotFound, message, new NotFoundFailure());

    /// <summary>Text on which clients depend. Source: Temporal history service.</summary>
    public static Fault WorkflowNotFound(string workflowId) => NotFound($"workflow not found for ID: {workflowId}");

    /// <summary>Text on which clients depend. Source: Temporal history service.</summary>
    public static Fault AlreadyCompleted() => NotFound("workflow execution already completed");

    public static Fault Invalid(string message) => new(StatusCode.InvalidArgument, message);

    public static Fault FailedPrecondition(string message) => new(StatusCode.FailedPrecondition, message);

    public static Fault NamespaceNotFound(string name) =>
        new(StatusCode.NotFound, $"Namespace {name} is not found.", new NamespaceNotFoundFailure { Namespace = name });

    public static Fault AlreadyStarted(string message, Run run) => new(StatusCode.AlreadyExists, message, new WorkflowExecutionAlreadyStartedFailure
    {
        StartRequestId = run.StartRequestId,
        RunId = run.RunId,
        FirstExecutionRunId = run.FirstRunId,
    });
}
