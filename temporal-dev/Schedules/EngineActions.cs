using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>Takes the schedules' actions in the engine.</summary>
/// <param name="engine">Where the runs are.</param>
/// <param name="start">Starts a workflow as a client's request would.</param>
internal sealed class EngineActions(EngineHost engine, Func<StartWorkflowExecutionRequest, Task<StartWorkflowExecutionResponse>> start) : IActionTarget
{
    public async Task<string?> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return (await start(request)).FirstExecutionRunId;
        }
        catch (Fault fault) when (fault.Code == StatusCode.AlreadyExists)
        {
            return null;
        }
    }

    public Task CancelAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken) => OnOpenRunAsync(
        @namespace,
        run,
        (work, open) => open.RequestCancel(
            work, new WorkflowExecutionCancelRequestedEventAttributes { Cause = "cancelled by schedule overlap policy", Identity = identity }, []));

    public Task TerminateAsync(string @namespace, ActionRun run, string identity, CancellationToken cancellationToken) => OnOpenRunAsync(
        @namespace, run, (work, open) => open.Terminate(work, "terminated by schedule overlap policy", null, identity));

    public async Task<ClosedAction?> OutcomeAsync(string @namespace, ActionRun run, CancellationToken cancellationToken)
    {
        if (await LastRunAsync(@namespace, run) is not { } last)
        {
            return new ClosedAction(run.WorkflowId, run.FirstRunId, WorkflowExecutionStatus.Unspecified, null, null);
        }

        return await engine.ReadAsync(last, () => last.CloseEvent is not { } close ? null : new ClosedAction(
            run.WorkflowId,
            run.FirstRunId,
            last.Status,
            close.WorkflowExecutionCompletedEventAttributes?.Result,
            close.WorkflowExecutionFailedEventAttributes?.Failure));
    }

    private async Task OnOpenRunAsync(string @namespace, ActionRun run, Action<UnitOfWork, Run> transition)
    {
        if (await LastRunAsync(@namespace, run) is { } last)
        {
            await engine.TransitAsync(last.Chain, work =>
            {
                if (last.Chain.Current is { IsOpen: true } open && open.FirstRunId == run.FirstRunId)
                {
                    transition(work, open);
                }
            });
        }
    }

    /// <summary>The run with which the action's chain of retries and continuations ends so far; null when it has been deleted.</summary>
    private async Task<Run?> LastRunAsync(string @namespace, ActionRun run)
    {
        try
        {
            var current = await engine.FindAsync(@namespace, run.WorkflowId, "");
            string? lastRunId;
            lock (current.Chain.Gate)
            {
                lastRunId = current.Chain.Runs.Values
                    .Where(candidate => candidate.FirstRunId == run.FirstRunId)
                    .MaxBy(candidate => (candidate.IsOpen, candidate.CloseTime, candidate.StartTime))?.RunId;
            }

            return lastRunId is null ? null : await engine.FindAsync(@namespace, run.WorkflowId, lastRunId);
        }
        catch (Fault fault) when (fault.Code == StatusCode.NotFound)
        {
            return null;
        }
    }
}
