using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Update.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>How long a caller waits for an update, and what it hears.</summary>
public sealed partial class S13_Updates
{
    [Fact]
    public async Task S13_4_Who_does_not_say_what_to_wait_for_waits_for_the_end()
    {
        await StartIdleAsync();
        var request = Request("u");
        request.WaitPolicy = null;
        var update = worker.Service.UpdateWorkflowExecutionAsync(request);
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u"));
        Assert.Equal(RawWorker.Text("changed"), (await update).Outcome.Success);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_4_Waiting_for_acceptance_ends_with_the_acceptance()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u", UpdateWorkflowExecutionLifecycleStage.Accepted);
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]));
        var accepted = await update;
        Assert.Equal(UpdateWorkflowExecutionLifecycleStage.Accepted, accepted.Stage);
        Assert.Null(accepted.Outcome);

        var poll = PollUpdateAsync("u", UpdateWorkflowExecutionLifecycleStage.Completed);
        await worker.SignalAsync("wake");
        await CompleteWithAsync(await worker.PollAsync(), Respond("u"));
        Assert.Equal(RawWorker.Text("changed"), (await poll).Outcome.Success);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_4_An_unfinished_wait_answers_with_the_stage_that_is_reached()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u", UpdateWorkflowExecutionLifecycleStage.Accepted);
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]));
        await update;
        var poll = await worker.Service.PollWorkflowExecutionUpdateAsync(PollRequest("u", UpdateWorkflowExecutionLifecycleStage.Completed), new() { Timeout = TimeSpan.FromSeconds(30) });
        Assert.Equal(UpdateWorkflowExecutionLifecycleStage.Accepted, poll.Stage);
        Assert.Null(poll.Outcome);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_4_A_caller_with_less_time_meets_its_own_deadline()
    {
        await StartIdleAsync();
        var request = Request("u");
        var error = await Assert.ThrowsAsync<RpcException>(() =>
            worker.Service.UpdateWorkflowExecutionAsync(request, new() { Timeout = TimeSpan.FromSeconds(1), Retry = false }));
        Assert.Contains(error.Code, new[] { RpcException.StatusCode.DeadlineExceeded, RpcException.StatusCode.Cancelled });
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_4_An_unknown_update_is_not_found()
    {
        await StartIdleAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => PollUpdateAsync("nobody", UpdateWorkflowExecutionLifecycleStage.Completed));
        await worker.TerminateAsync();
    }

    private PollWorkflowExecutionUpdateRequest PollRequest(string id, UpdateWorkflowExecutionLifecycleStage stage) => new()
    {
        Namespace = RawWorker.Namespace,
        UpdateRef = new() { WorkflowExecution = new() { WorkflowId = worker.WorkflowId }, UpdateId = id },
        WaitPolicy = new() { LifecycleStage = stage },
    };

    private Task<PollWorkflowExecutionUpdateResponse> PollUpdateAsync(string id, UpdateWorkflowExecutionLifecycleStage stage) =>
        worker.Service.PollWorkflowExecutionUpdateAsync(PollRequest(id, stage));
}
