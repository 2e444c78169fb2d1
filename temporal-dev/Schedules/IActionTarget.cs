using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>Where schedules take their actions: the engine.</summary>
internal interface IActionTarget
{
    /// <summary>
    /// Starts a workflow and returns the first run's id, once the start is durable. The same request id answers the same run. Null when the workflow
    /// id is taken by another request's run.
    /// </summary>
    Task<string?> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken);

    /// <summary>Asks a run that may have closed meanwhile to cancel itself.</summary>
    Task CancelAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken);

    /// <summary>Terminates a run that may have closed meanwhile.</summary>
    Task TerminateAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken);

    /// <summary>
    /// How the workflow that began with this run ended; null while it is open. A workflow that is no longer known ended with an unspecified status.
    /// </summary>
    Task<ClosedAction?> OutcomeAsync(string @namespace, ActionRun run, CancellationToken cancellationToken);
}
