namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>A wish to have a run of a workflow id.</summary>
internal sealed record StartRequest(NewRun Run, WorkflowIdReusePolicy Reuse, WorkflowIdConflictPolicy Conflict)
{
    /// <summary>Done in the same transition, with the run that was started or found.</summary>
    public Action<UnitOfWork, Run, bool>? Then { get; init; }

    /// <summary>Whether a closed run is good enough; update-with-start finds the outcome of a repeated update there.</summary>
    public Func<Run, bool>? AcceptsClosed { get; init; }
}

internal sealed record StartOutcome(Run Run, bool Started);

internal sealed partial class EngineHost
{
    /// <summary>Starts a run, or finds the one that the request id or the conflict policy leads to.</summary>
    public async Task<StartOutcome> StartAsync(string @namespace, string workflowId, StartRequest request)
    {
        while (true)
        {
            var chain = Chain(@namespace, workflowId);
            if (request.AcceptsClosed is not null && chain.Current is { IsLoaded: false } unloaded)
            {
                await LoadAsync(unloaded);
            }

            var outcome = await TransitAsync(chain, work => chain.Removed ? null : Start(work, chain, request));
            if (outcome is not null)
            {
                return outcome;
            }
        }
    }

    private StartOutcome Start(UnitOfWork work, WorkflowChain chain, StartRequest request)
    {
        var requestId = request.Run.RequestId;
        if (chain.Runs.Values.FirstOrDefault(r => r.HasRequest(requestId)) is { } repeated)
        {
            request.Then?.Invoke(work, repeated, repeated.StartRequestId == requestId);
            return new StartOutcome(repeated, repeated.StartRequestId == requestId);
        }

        if (chain.Current is { IsOpen: true } open)
        {
            if (request.Reuse == WorkflowIdReusePolicy.TerminateIfRunning || request.Conflict == WorkflowIdConflictPolicy.TerminateExisting)
            {
                open.Terminate(work, "TerminateIfRunning WorkflowIdReusePolicy Policy", null, "history-service");
            }
            else if (request.Conflict == WorkflowIdConflictPolicy.UseExisting)
            {
                request.Then?.Invoke(work, open, false);
                return new StartOutcome(open, false);
            }
            else
            {
                throw Fault.AlreadyStarted($"Workflow execution is already running. WorkflowId: {chain.WorkflowId}, RunId: {open.RunId}.", open);
            }
        }
        else if (chain.Current is { } closed)
        {
            if (request.AcceptsClosed?.Invoke(closed) == true)
            {
                request.Then?.Invoke(work, closed, false);
                return new StartOutcome(closed, false);
            }

            RequireReusable(chain, closed, request.Reuse);
        }

        var run = Run.Begin(work, this, chain, request.Run);
        request.Then?.Invoke(work, run, true);
        return new StartOutcome(run, true);
    }

    private static void RequireReusable(WorkflowChain chain, Run closed, WorkflowIdReusePolicy reuse)
    {
        if (reuse == WorkflowIdReusePolicy.RejectDuplicate)
        {
            throw Fault.AlreadyStarted(
                $"Workflow execution already finished. WorkflowId: {chain.WorkflowId}, RunId: {closed.RunId}. Workflow Id reuse policy: RejectDuplicate.",
                closed);
        }

        if (reuse == WorkflowIdReusePolicy.AllowDuplicateFailedOnly && closed.Status == WorkflowExecutionStatus.Completed)
        {
            throw Fault.AlreadyStarted(
                $"Workflow execution already finished successfully. WorkflowId: {chain.WorkflowId}, RunId: {closed.RunId}. Workflow Id reuse policy: AllowDuplicateFailedOnly.",
                closed);
        }
    }
}
