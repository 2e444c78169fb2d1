using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.Update.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

internal sealed partial class WorkflowService
{
    public async Task<UpdateWorkflowExecutionResponse> UpdateWorkflowExecution(UpdateWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var update = PrepareUpdate(request);
        UpdateState? admitted = null;
        Run? target = null;
        await OnRunAsync(request.Namespace, request.WorkflowExecution, (work, run) =>
        {
            RequireChain(run, request.FirstExecutionRunId);
            target = run;
            admitted = run.Admit(work, update);
        });
        return await AwaitStageAsync(target!, admitted!, request.WaitPolicy.LifecycleStage, context);
    }

    public async Task<PollWorkflowExecutionUpdateResponse> PollWorkflowExecutionUpdate(PollWorkflowExecutionUpdateRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (string.IsNullOrEmpty(request.UpdateRef?.UpdateId))
        {
            throw Fault.Invalid("UpdateRef.UpdateId is not set on request.");
        }

        var run = await engine.FindAsync(request.Namespace, request.UpdateRef.WorkflowExecution);
        var update = await engine.ReadAsync(run, () => run.FindUpdate(request.UpdateRef.UpdateId))
            ?? throw Fault.NotFound($"update {request.UpdateRef.UpdateId} not found");
        var answer = await AwaitStageAsync(run, update, request.WaitPolicy?.LifecycleStage ?? UpdateWorkflowExecutionLifecycleStage.Unspecified, context);
        return new PollWorkflowExecutionUpdateResponse { Outcome = answer.Outcome, Stage = answer.Stage, UpdateRef = answer.UpdateRef };
    }

    private Request PrepareUpdate(UpdateWorkflowExecutionRequest request)
    {
        if (string.IsNullOrEmpty(request.Request?.Input?.Name))
        {
            throw Fault.Invalid("Update name is not set on request.");
        }

        request.WaitPolicy ??= new WaitPolicy();
        if (request.WaitPolicy.LifecycleStage == UpdateWorkflowExecutionLifecycleStage.Unspecified)
        {
            // Source: Temporal frontend: who does not say waits for the end.
            request.WaitPolicy.LifecycleStage = UpdateWorkflowExecutionLifecycleStage.Completed;
        }

        if (request.WaitPolicy.LifecycleStage == UpdateWorkflowExecutionLifecycleStage.Admitted)
        {
            throw Fault.Invalid("Waiting for an update to be admitted only is not supported: wait for ACCEPTED or COMPLETED.");
        }

        RequireSize(request.Request.Input.Args, "Update input");
        var update = request.Request.Clone();
        update.Meta ??= new Meta();
        if (update.Meta.UpdateId.Length == 0)
        {
            update.Meta.UpdateId = Guid.NewGuid().ToString();
        }

        return update;
    }

    /// <summary>
    /// Answers when the update has come as far as asked, or with what is reached when the server's time is up. A caller with less time than that gets no
    /// early answer: it would take it for a reason to ask again, beyond its own deadline. Source: Temporal history service.
    /// </summary>
    private async Task<UpdateWorkflowExecutionResponse> AwaitStageAsync(
        Run run, UpdateState update, UpdateWorkflowExecutionLifecycleStage wanted, ServerCallContext context)
    {
        var end = engine.RealTime.GetUtcNow() + LongestWait;
        var timeIsUp = false;
        while (true)
        {
            var (answer, change) = await engine.ReadAsync(run, () =>
            {
                if (update.Fault is { } fault)
                {
                    throw fault;
                }

                var reached = update.MovedTo is null && (update.Stage >= wanted || timeIsUp) ? Answer(run, update) : null;
                return (reached, update.NextChange());
            });
            if (answer is not null)
            {
                return answer;
            }

            // An update goes with its workflow to the run that continues it.
            if (update.MovedTo is { } next)
            {
                run = next;
                update.MovedTo = null;
                continue;
            }

            timeIsUp = !await WaitAsync(change, end, context.CancellationToken);
        }
    }

    private static UpdateWorkflowExecutionResponse Answer(Run run, UpdateState update) => new()
    {
        UpdateRef = new UpdateRef { WorkflowExecution = Run.ExecutionOf(run), UpdateId = update.Id },
        Outcome = update.Outcome,
        Stage = update.Stage,
    };
}
