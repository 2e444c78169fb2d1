using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Query.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 12: queries.</summary>
[Collection(nameof(DevServer))]
public sealed class S12_Queries(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    private Task<QueryWorkflowResponse> QueryAsync(QueryRejectCondition reject = QueryRejectCondition.None) => worker.Service.QueryWorkflowAsync(new()
    {
        Namespace = RawWorker.Namespace,
        Execution = new() { WorkflowId = worker.WorkflowId },
        Query = new() { QueryType = "state", QueryArgs = RawWorker.Text("arg") },
        QueryRejectCondition = reject,
    });

    private Task AnswerAsync(PollWorkflowTaskQueueResponse task, string answer = "answer") => worker.Service.RespondQueryTaskCompletedAsync(new()
    {
        Namespace = RawWorker.Namespace,
        TaskToken = task.TaskToken,
        CompletedType = QueryResultType.Answered,
        QueryResult = RawWorker.Text(answer),
    });

    [Fact]
    public async Task S12_Without_a_workflow_task_a_query_is_a_task_of_its_own_with_the_full_history()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        var query = QueryAsync();
        var task = await worker.PollAsync();
        Assert.Equal("state", task.Query.QueryType);
        Assert.Empty(task.Queries);
        Assert.Equal(3, task.PreviousStartedEventId);
        Assert.Equal(3, task.StartedEventId);
        Assert.Equal(4, task.History.Events.Count);
        Assert.Equal(worker.Execution, task.WorkflowExecution);
        await AnswerAsync(task);
        Assert.Equal(RawWorker.Text("answer"), (await query).QueryResult);
        await worker.AssertEventsAsync(
            EventType.WorkflowExecutionStarted, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_On_the_sticky_queue_a_query_task_has_no_history()
    {
        await worker.StartAsync();
        var sticky = $"sticky-{Guid.NewGuid()}";
        var parked = worker.PollAsync(sticky);
        await worker.CompleteAsync(await worker.PollAsync(), worker.Sticks(sticky, 10));
        var query = QueryAsync();
        var task = await parked;
        Assert.NotNull(task.Query);
        Assert.Empty(task.History.Events);
        await AnswerAsync(task);
        await query;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_sticky_query_that_nobody_takes_goes_to_the_normal_queue()
    {
        await worker.StartAsync();
        var sticky = $"sticky-{Guid.NewGuid()}";
        await worker.TryPollAsync(TimeSpan.FromSeconds(1), sticky);
        await worker.CompleteAsync(await worker.PollAsync(), worker.Sticks(sticky, 10));
        var query = QueryAsync();
        var task = await worker.PollAsync();
        Assert.NotEmpty(task.History.Events);
        await AnswerAsync(task);
        Assert.Equal(RawWorker.Text("answer"), (await query).QueryResult);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_sticky_query_that_is_taken_and_not_answered_goes_to_the_normal_queue()
    {
        await worker.StartAsync();
        var sticky = $"sticky-{Guid.NewGuid()}";
        var parked = worker.PollAsync(sticky);
        await worker.CompleteAsync(await worker.PollAsync(), worker.Sticks(sticky, 10));
        var query = QueryAsync();
        Assert.NotNull((await parked).Query);
        await AnswerAsync(await worker.PollAsync());
        Assert.Equal(RawWorker.Text("answer"), (await query).QueryResult);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_With_a_workflow_task_a_query_goes_along_and_is_answered_with_it()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        await worker.SignalAsync("wake");
        var query = QueryAsync();
        await Until.TrueAsync(async () => (await worker.DescribeAsync()).PendingWorkflowTask is not null);
        var task = await PollWithQueryAsync();
        Assert.Null(task.Query);
        var (id, asked) = Assert.Single(task.Queries);
        Assert.Equal("state", asked.QueryType);
        await worker.CompleteAsync(task, r => r.QueryResults[id] = new() { ResultType = QueryResultType.Answered, Answer = RawWorker.Text("with the task") });
        Assert.Equal(RawWorker.Text("with the task"), (await query).QueryResult);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_query_of_a_failed_task_goes_with_the_next()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        await worker.SignalAsync("wake");
        var query = QueryAsync();
        var task = await PollWithQueryAsync();
        await worker.FailAsync(task);
        task = await worker.PollAsync();
        var id = Assert.Single(task.Queries).Key;
        await worker.CompleteAsync(task, r => r.QueryResults[id] = new() { ResultType = QueryResultType.Answered, Answer = RawWorker.Text("second") });
        Assert.Equal(RawWorker.Text("second"), (await query).QueryResult);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_query_that_its_task_leaves_out_becomes_a_task_of_its_own()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        await worker.SignalAsync("wake");
        var query = QueryAsync();
        await worker.CompleteAsync(await PollWithQueryAsync());
        var task = await worker.PollAsync();
        Assert.NotNull(task.Query);
        await AnswerAsync(task);
        await query;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_Before_the_first_task_is_completed_a_query_waits()
    {
        await worker.StartAsync();
        var query = QueryAsync();
        var task = await worker.PollAsync();
        Assert.Null(task.Query);
        await worker.CompleteAsync(task);
        if (!query.IsCompleted)
        {
            await AnswerAsync(await worker.PollAsync());
        }

        await query;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_closed_run_can_be_queried()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        var query = QueryAsync();
        await AnswerAsync(await worker.PollAsync());
        Assert.Equal(RawWorker.Text("answer"), (await query).QueryResult);
    }

    [Theory]
    [InlineData("complete", QueryRejectCondition.NotOpen, true)]
    [InlineData("complete", QueryRejectCondition.NotCompletedCleanly, false)]
    [InlineData("fail", QueryRejectCondition.NotCompletedCleanly, true)]
    public async Task S12_A_reject_condition_is_answered_with_the_status(string how, QueryRejectCondition condition, bool rejected)
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), how == "complete" ? Commands.Complete() : Commands.Fail());
        var query = QueryAsync(condition);
        if (rejected)
        {
            Assert.Equal(how == "complete" ? WorkflowExecutionStatus.Completed : WorkflowExecutionStatus.Failed, (await query).QueryRejected.Status);
            return;
        }

        await AnswerAsync(await worker.PollAsync());
        Assert.Null((await query).QueryRejected);
    }

    [Fact]
    public async Task S12_A_failed_query_carries_its_failure()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        var query = QueryAsync();
        var task = await worker.PollAsync();
        await worker.Service.RespondQueryTaskCompletedAsync(new()
        {
            Namespace = RawWorker.Namespace,
            TaskToken = task.TaskToken,
            CompletedType = QueryResultType.Failed,
            ErrorMessage = "no such thing",
            Failure = new() { Message = "no such thing", ApplicationFailureInfo = new() { Type = "Missing" } },
        });
        var detail = await RpcAssert.FailsWithAsync<QueryFailedFailure>(RpcException.StatusCode.InvalidArgument, () => query);
        Assert.Equal("Missing", detail.Failure.ApplicationFailureInfo.Type);
        var error = await Assert.ThrowsAsync<RpcException>(() => query);
        Assert.Equal("no such thing", error.Message);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S12_A_second_answer_to_a_query_is_refused()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
        var query = QueryAsync();
        var task = await worker.PollAsync();
        await AnswerAsync(task);
        await query;
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => AnswerAsync(task));
        await worker.TerminateAsync();
    }

    /// <summary>
    /// The query is asked before the poll, but nothing says when the server has it. So a task that came without it is given back
    /// until one comes with it.
    /// </summary>
    private async Task<PollWorkflowTaskQueueResponse> PollWithQueryAsync()
    {
        while (true)
        {
            var task = await worker.PollAsync();
            if (task.Queries.Count > 0)
            {
                return task;
            }

            await worker.FailAsync(task);
        }
    }
}
