using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.ErrorDetails.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Update-with-start: both happen in one transition, or none does.</summary>
internal sealed partial class WorkflowService
{
    public async Task<ExecuteMultiOperationResponse> ExecuteMultiOperation(ExecuteMultiOperationRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (request.Operations is not [{ StartWorkflow: { } start }, { UpdateWorkflow: { } update }])
        {
            throw Fault.Invalid("Operations have to be exactly [StartWorkflow, UpdateWorkflow].");
        }

        if (start.WorkflowId != update.WorkflowExecution?.WorkflowId)
        {
            throw Fault.Invalid("WorkflowId is not consistent with previous operation(s).");
        }

        UpdateState? admitted = null;
        var outcome = await StartWithUpdateAsync(request.Namespace, start, update, a => admitted = a);
        var answer = await OfPartAsync(1, () => AwaitStageAsync(outcome.Run, admitted!, update.WaitPolicy.LifecycleStage, context));
        var response = new ExecuteMultiOperationResponse();
        response.Responses.Add(new ExecuteMultiOperationResponse.Types.Response { StartWorkflow = Answer(outcome) });
        response.Responses.Add(new ExecuteMultiOperationResponse.Types.Response { UpdateWorkflow = answer });
        return response;
    }

    private async Task<StartOutcome> StartWithUpdateAsync(
        string @namespace, StartWorkflowExecutionRequest start, UpdateWorkflowExecutionRequest update, Action<UpdateState> admitted)
    {
        var wanted = await OfPartAsync(1, () => Task.FromResult(PrepareUpdate(update)));
        Fault? refused = null;
        var prepared = await OfPartAsync(0, () => Task.FromResult(PrepareStart(start) with
        {
            AcceptsClosed = run => run.FindUpdate(wanted.Meta.UpdateId) is not null,
            Then = (work, run, _) =>
            {
                try
                {
                    admitted(run.Admit(work, wanted));
                }
                catch (Fault fault)
                {
                    refused = fault;
                }
            },
        }));
        var outcome = await OfPartAsync(0, () => engine.StartAsync(@namespace, start.WorkflowId, prepared));
        return refused is null ? outcome : throw OfPart(1, refused);
    }

    private static async Task<T> OfPartAsync<T>(int part, Func<Task<T>> operation)
    {
        try
        {
            return await operation();
        }
        catch (Fault fault)
        {
            throw OfPart(part, fault);
        }
    }

    /// <summary>The error of one half; the other half was aborted. Without this detail a client cannot tell which one failed.</summary>
    private static Fault OfPart(int part, Fault fault)
    {
        var detail = new MultiOperationExecutionFailure();
        for (var i = 0; i < 2; i++)
        {
            var status = i == part
                ? new MultiOperationExecutionFailure.Types.OperationStatus { Code = (int)fault.Code, Message = fault.Message }
                : new MultiOperationExecutionFailure.Types.OperationStatus { Code = (int)StatusCode.Aborted, Message = "Operation was aborted." };
            status.Details.Add(Any.Pack(i == part ? fault.Detail ?? new Empty() : new MultiOperationExecutionAborted()));
            detail.Statuses.Add(status);
        }

        return new Fault(fault.Code, "Update-with-Start could not be executed.", detail);
    }
}
