using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Calls about one run: signal, cancel, terminate, describe, delete, query.</summary>
internal sealed partial class WorkflowService
{
    public async Task<SignalWorkflowExecutionResponse> SignalWorkflowExecution(SignalWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (request.SignalName.Length == 0)
        {
            throw Fault.Invalid("SignalName is not set on request.");
        }

        RequireSize(request.Input, "Signal input");
        await OnRunAsync(request.Namespace, request.WorkflowExecution, (work, run) => run.Signal(
            work,
            new WorkflowExecutionSignaledEventAttributes
            {
                SignalName = request.SignalName,
                Input = request.Input,
                Header = request.Header,
                Identity = request.Identity,
                RequestId = request.RequestId,
            },
            request.Links));
        return new SignalWorkflowExecutionResponse();
    }

    public async Task<RequestCancelWorkflowExecutionResponse> RequestCancelWorkflowExecution(
        RequestCancelWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        await OnRunAsync(request.Namespace, request.WorkflowExecution, (work, run) =>
        {
            RequireChain(run, request.FirstExecutionRunId);
            run.RequestCancel(
                work,
                new WorkflowExecutionCancelRequestedEventAttributes { Cause = request.Reason, Identity = request.Identity },
                request.Links);
        });
        return new RequestCancelWorkflowExecutionResponse();
    }

    public async Task<TerminateWorkflowExecutionResponse> TerminateWorkflowExecution(TerminateWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        await OnRunAsync(request.Namespace, request.WorkflowExecution, (work, run) =>
        {
            RequireChain(run, request.FirstExecutionRunId);
            RequireSize(request.Details, "Termination details");
            run.Terminate(work, request.Reason, request.Details, request.Identity, request.Links);
        });
        return new TerminateWorkflowExecutionResponse();
    }

    public async Task<DescribeWorkflowExecutionResponse> DescribeWorkflowExecution(DescribeWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var run = await engine.FindAsync(request.Namespace, request.Execution);
        return await engine.ReadAsync(run, run.Describe);
    }

    public async Task<DeleteWorkflowExecutionResponse> DeleteWorkflowExecution(DeleteWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var run = await engine.FindAsync(request.Namespace, request.WorkflowExecution);
        await engine.TransitAsync(run, work =>
        {
            if (run.IsOpen)
            {
                run.Terminate(work, "Delete workflow execution", null, "temporal-dev");
            }
        });
        await engine.DeleteAsync(run);
        return new DeleteWorkflowExecutionResponse();
    }

    public async Task<ResetWorkflowExecutionResponse> ResetWorkflowExecution(ResetWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (request.RequestId.Length == 0)
        {
            throw Fault.Invalid("RequestId is not set on request.");
        }

        var run = await engine.FindAsync(request.Namespace, request.WorkflowExecution);
        foreach (var other in await engine.ReadAsync(run, () => run.Chain.Runs.Values.Where(r => !r.IsLoaded).ToList()))
        {
            // Signals and updates of the runs that continued it are applied again.
            await engine.LoadAsync(other);
        }

        var reset = await engine.TransitAsync(run, work =>
            run.Chain.Runs.Values.FirstOrDefault(r => r.HasRequest(request.RequestId)) ?? run.Reset(work, request));
        return new ResetWorkflowExecutionResponse { RunId = reset.RunId };
    }

    public async Task<QueryWorkflowResponse> QueryWorkflow(QueryWorkflowRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (string.IsNullOrEmpty(request.Query?.QueryType))
        {
            throw Fault.Invalid("QueryType is not set on request.");
        }

        RequireSize(request.Query.QueryArgs, "Query arguments");
        var run = await engine.FindAsync(request.Namespace, request.Execution);
        var status = await engine.ReadAsync(run, () => run.Status);
        if (Rejects(request.QueryRejectCondition, status))
        {
            return new QueryWorkflowResponse { QueryRejected = new Temporalio.Api.Query.V1.QueryRejected { Status = status } };
        }

        var query = await engine.TransitAsync(run, work => run.Ask(work, request.Query, new DateTimeOffset(context.Deadline.ToUniversalTime())));
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, engine.Stopping);
        try
        {
            return await query.Task.WaitAsync(over.Token);
        }
        catch (OperationCanceledException) when (engine.Stopping.IsCancellationRequested)
        {
            throw new Fault(StatusCode.Unavailable, "the server is stopping");
        }
        finally
        {
            await engine.TransitAsync(run, _ => run.Forget(query));
        }
    }

    private static bool Rejects(QueryRejectCondition condition, WorkflowExecutionStatus status) => condition switch
    {
        QueryRejectCondition.NotOpen => status != WorkflowExecutionStatus.Running,
        QueryRejectCondition.NotCompletedCleanly => status is not (WorkflowExecutionStatus.Running or WorkflowExecutionStatus.Completed),
        _ => false,
    };

    /// <summary>Runs a transition on the run; a run that was continued between the look-up and the lock is followed when no run id was given.</summary>
    private async Task OnRunAsync(string @namespace, WorkflowExecution? execution, Action<UnitOfWork, Run> transition)
    {
        while (true)
        {
            var run = await engine.FindAsync(@namespace, execution);
            var done = await engine.TransitAsync(run, work =>
            {
                if (execution!.RunId.Length == 0 && run.Chain.Current != run)
                {
                    return false;
                }

                transition(work, run);
                return true;
            });
            if (done)
            {
                return;
            }
        }
    }

    private static void RequireChain(Run run, string firstExecutionRunId)
    {
        if (firstExecutionRunId.Length > 0 && run.FirstRunId != firstExecutionRunId)
        {
            throw Fault.WorkflowNotFound(run.Chain.WorkflowId);
        }
    }
}
