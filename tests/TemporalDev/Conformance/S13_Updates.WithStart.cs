using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Update.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>A start and an update in one call.</summary>
public sealed partial class S13_Updates
{
    [Fact]
    public async Task S13_5_Update_with_start_starts_and_updates()
    {
        var multi = MultiAsync(WorkflowIdConflictPolicy.Fail);
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(Assert.Single(task.Messages)), Respond("u"));
        var answer = await multi;
        Assert.True(answer.Responses[0].StartWorkflow.Started);
        Assert.Equal(RawWorker.Text("changed"), answer.Responses[1].UpdateWorkflow.Outcome.Success);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_5_Update_with_start_finds_the_open_run()
    {
        await StartIdleAsync();
        var multi = MultiAsync(WorkflowIdConflictPolicy.UseExisting);
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(Assert.Single(task.Messages)), Respond("u"));
        var answer = await multi;
        Assert.False(answer.Responses[0].StartWorkflow.Started);
        Assert.Equal(worker.RunId, answer.Responses[0].StartWorkflow.RunId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_5_Update_with_start_says_which_half_failed()
    {
        await StartIdleAsync();
        var detail = await RpcAssert.FailsWithAsync<MultiOperationExecutionFailure>(RpcException.StatusCode.AlreadyExists, () => MultiAsync(WorkflowIdConflictPolicy.Fail));
        Assert.Equal(2, detail.Statuses.Count);
        Assert.Equal((int)RpcException.StatusCode.AlreadyExists, detail.Statuses[0].Code);
        Assert.True(detail.Statuses[0].Details[0].Is(WorkflowExecutionAlreadyStartedFailure.Descriptor));
        Assert.Equal((int)RpcException.StatusCode.Aborted, detail.Statuses[1].Code);
        Assert.True(detail.Statuses[1].Details[0].Is(MultiOperationExecutionAborted.Descriptor));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_5_Update_with_start_is_exactly_these_two()
    {
        var request = MultiRequest(WorkflowIdConflictPolicy.Fail);
        request.Operations.RemoveAt(1);
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.Service.ExecuteMultiOperationAsync(request));
    }

    private ExecuteMultiOperationRequest MultiRequest(WorkflowIdConflictPolicy policy)
    {
        var start = worker.StartRequest();
        start.WorkflowIdConflictPolicy = policy;
        return new()
        {
            Namespace = RawWorker.Namespace,
            Operations =
            {
                new ExecuteMultiOperationRequest.Types.Operation { StartWorkflow = start },
                new ExecuteMultiOperationRequest.Types.Operation { UpdateWorkflow = Request("u") },
            },
        };
    }

    private Task<ExecuteMultiOperationResponse> MultiAsync(WorkflowIdConflictPolicy policy) => worker.Service.ExecuteMultiOperationAsync(MultiRequest(policy));
}
