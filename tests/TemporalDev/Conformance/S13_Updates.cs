using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Protocol.V1;
using Temporalio.Api.Update.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 13: updates.</summary>
[Collection(nameof(DevServer))]
public sealed class S13_Updates(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    private UpdateWorkflowExecutionRequest Request(string id, UpdateWorkflowExecutionLifecycleStage stage = UpdateWorkflowExecutionLifecycleStage.Completed) => new()
    {
        Namespace = RawWorker.Namespace,
        WorkflowExecution = new() { WorkflowId = worker.WorkflowId },
        WaitPolicy = new() { LifecycleStage = stage },
        Request = new() { Meta = new() { UpdateId = id, Identity = "raw-client" }, Input = new() { Name = "change", Args = RawWorker.Text("arg") } },
    };

    private Task<UpdateWorkflowExecutionResponse> UpdateAsync(string id, UpdateWorkflowExecutionLifecycleStage stage = UpdateWorkflowExecutionLifecycleStage.Completed) =>
        worker.Service.UpdateWorkflowExecutionAsync(Request(id, stage));

    private Task CompleteWithAsync(PollWorkflowTaskQueueResponse task, params Message[] messages) => worker.CompleteAsync(
        task,
        r => r.Messages.Add(messages),
        [.. messages.Where(m => !m.Body.Is(Rejection.Descriptor)).Select(m => Commands.Message(m.Id))]);

    private static Message Accept(Message request) => RawWorker.Protocol($"{request.ProtocolInstanceId}/accept", request.ProtocolInstanceId, new Acceptance
    {
        AcceptedRequestMessageId = request.Id,
        AcceptedRequestSequencingEventId = request.EventId,
        AcceptedRequest = request.Body.Unpack<Request>(),
    });

    private static Message Respond(string updateId, string result = "changed") => RawWorker.Protocol($"{updateId}/complete", updateId, new Response
    {
        Meta = new() { UpdateId = updateId },
        Outcome = new() { Success = RawWorker.Text(result) },
    });

    private static Message Reject(Message request) => RawWorker.Protocol($"{request.ProtocolInstanceId}/reject", request.ProtocolInstanceId, new Rejection
    {
        RejectedRequestMessageId = request.Id,
        RejectedRequest = request.Body.Unpack<Request>(),
        Failure = new Failure { Message = "not like that", ApplicationFailureInfo = new() { Type = "Refused" } },
    });

    private async Task StartIdleAsync()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync());
    }

    [Fact]
    public async Task S13_2_An_update_is_sent_with_the_next_task_as_a_protocol_message()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        var message = Assert.Single(task.Messages);
        Assert.Equal("u/request", message.Id);
        Assert.Equal("u", message.ProtocolInstanceId);
        Assert.Equal(task.StartedEventId - 1, message.EventId);
        Assert.Equal("type.googleapis.com/temporal.api.update.v1.Request", message.Body.TypeUrl);
        Assert.Equal("change", message.Body.Unpack<Request>().Input.Name);
        await CompleteWithAsync(task, Accept(message), Respond("u"));
        var answer = await update;
        Assert.Equal(RawWorker.Text("changed"), answer.Outcome.Success);
        Assert.Equal(UpdateWorkflowExecutionLifecycleStage.Completed, answer.Stage);
        Assert.Equal(worker.RunId, answer.UpdateRef.WorkflowExecution.RunId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_3_Acceptance_and_completion_are_events_where_their_commands_stand()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        var accept = Accept(task.Messages[0]);
        var respond = Respond("u");
        await worker.CompleteAsync(
            task,
            r => r.Messages.Add([accept, respond]),
            Commands.Message(accept.Id),
            Commands.Marker("between"),
            Commands.Message(respond.Id));
        await update;
        var history = await worker.HistoryAsync();
        var types = history.Select(e => e.EventType).ToList();
        var at = types.IndexOf(EventType.WorkflowExecutionUpdateAccepted);
        Assert.Equal([EventType.WorkflowExecutionUpdateAccepted, EventType.MarkerRecorded, EventType.WorkflowExecutionUpdateCompleted], types.GetRange(at, 3));
        var accepted = history[at].WorkflowExecutionUpdateAcceptedEventAttributes;
        Assert.Equal("u", accepted.ProtocolInstanceId);
        Assert.Equal("u/request", accepted.AcceptedRequestMessageId);
        Assert.Equal("change", accepted.AcceptedRequest.Input.Name);
        var completed = history[at + 2].WorkflowExecutionUpdateCompletedEventAttributes;
        Assert.Equal(history[at].EventId, completed.AcceptedEventId);
        Assert.Equal("u", completed.Meta.UpdateId);
        Assert.Equal(RawWorker.Text("changed"), completed.Outcome.Success);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_3_A_rejection_is_the_outcome_and_no_event()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Reject(task.Messages[0]));
        Assert.Equal("not like that", (await update).Outcome.Failure.Message);
        var types = await worker.EventTypesAsync();
        Assert.DoesNotContain(EventType.WorkflowExecutionUpdateAccepted, types);
        Assert.DoesNotContain(EventType.WorkflowExecutionUpdateCompleted, types);
        await worker.TerminateAsync();
    }

    private static void SeesEventsAgain(RespondWorkflowTaskCompletedRequest request) =>
        request.Capabilities = new() { DiscardSpeculativeWorkflowTaskWithEvents = true };

    [Fact]
    public async Task S13_3_A_rejection_is_the_outcome_also_when_the_same_task_ends_the_run()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])), Commands.Complete());
        Assert.Equal("not like that", (await update).Outcome.Failure.Message);
        Assert.Equal(EventType.WorkflowExecutionCompleted, (await worker.HistoryAsync())[^1].EventType);
    }

    [Fact]
    public async Task S13_1_A_task_whose_updates_are_all_rejected_leaves_no_event()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var tokens = new List<Google.Protobuf.ByteString>();
        for (var i = 0; i < 2; i++)
        {
            var update = UpdateAsync($"u{i}");
            var task = await worker.PollAsync();
            Assert.Equal(before.Count + 2, task.StartedEventId);
            Assert.Equal(task.StartedEventId, task.History.Events[^1].EventId);
            tokens.Add(task.TaskToken);
            var answer = await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
            Assert.Equal(before.Count - 1, answer.ResetHistoryEventId);
            Assert.Equal("not like that", (await update).Outcome.Failure.Message);
        }

        Assert.NotEqual(tokens[0], tokens[1]);
        Assert.Equal(before, await worker.EventTypesAsync());
        await worker.TerminateAsync();
        Assert.Equal([.. before, EventType.WorkflowExecutionTerminated], await worker.EventTypesAsync());
    }

    [Fact]
    public async Task S13_1_A_late_answer_to_a_task_that_left_no_event_is_refused()
    {
        await StartIdleAsync();
        var first = UpdateAsync("first");
        var old = await worker.PollAsync();
        await worker.CompleteAsync(old, r => r.Messages.Add(Reject(old.Messages[0])));
        await first;
        var second = UpdateAsync("second");
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteAsync(old, r => r.Messages.Add(Reject(old.Messages[0]))));
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("second"));
        await second;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_An_event_makes_an_ordinary_task_of_it()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await worker.SignalAsync("wake");
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted], await worker.EventTypesAsync());
        await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
        await update;
        Assert.Equal(
            [.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted, EventType.WorkflowExecutionSignaled, EventType.WorkflowTaskScheduled],
            await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_An_event_before_the_start_makes_an_ordinary_task_of_it()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await AdmittedAsync("u");
        Assert.Equal(before, await worker.EventTypesAsync());
        await worker.SignalAsync("wake");
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowExecutionSignaled], await worker.EventTypesAsync());
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_A_failed_task_is_written_with_its_failure()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await worker.FailAsync(await worker.PollAsync());
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskFailed], await worker.EventTypesAsync());
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_A_termination_writes_a_started_task_and_forgets_a_scheduled_one()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await worker.PollAsync();
        await worker.TerminateAsync();
        Assert.Equal(
            [.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskFailed, EventType.WorkflowExecutionTerminated],
            await worker.EventTypesAsync());
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => update);
    }

    [Fact]
    public async Task S13_1_Events_that_went_along_are_seen_again_by_a_worker_that_can()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 3600));
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await worker.CompleteAsync(task, r =>
        {
            SeesEventsAgain(r);
            r.Messages.Add(Reject(task.Messages[0]));
        });
        await update;
        Assert.Equal(before, await worker.EventTypesAsync());

        // One that cannot gets an ordinary task.
        update = UpdateAsync("v");
        task = await worker.PollAsync();
        await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
        await update;
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted], await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_3_An_update_that_its_worker_passes_over_is_rejected()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        await worker.CompleteAsync(await worker.PollAsync());
        Assert.Equal("UnprocessedUpdate", (await update).Outcome.Failure.ApplicationFailureInfo.Type);
        await worker.TerminateAsync();
    }

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
    public async Task S13_2_An_update_of_a_failed_task_is_sent_again()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        Assert.Single(task.Messages);
        await worker.FailAsync(task);
        task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(Assert.Single(task.Messages)), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_The_same_update_id_is_one_update()
    {
        await StartIdleAsync();
        var first = UpdateAsync("u");
        var task = await worker.PollAsync();
        var second = UpdateAsync("u");
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u", "once"));
        Assert.Equal(RawWorker.Text("once"), (await first).Outcome.Success);
        Assert.Equal(RawWorker.Text("once"), (await second).Outcome.Success);
        Assert.Equal(RawWorker.Text("once"), (await UpdateAsync("u")).Outcome.Success);
        Assert.Single(await worker.EventTypesAsync(), t => t == EventType.WorkflowExecutionUpdateAccepted);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_An_update_without_an_id_gets_one()
    {
        await StartIdleAsync();
        var update = UpdateAsync("");
        var task = await worker.PollAsync();
        var id = task.Messages[0].ProtocolInstanceId;
        Assert.NotEmpty(id);
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond(id));
        Assert.Equal(id, (await update).UpdateRef.UpdateId);
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

    [Fact]
    public async Task S13_An_accepted_update_fails_when_its_workflow_completes()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]));
        await worker.SignalAsync("wake");
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        Assert.Equal("AcceptedUpdateCompletedWorkflow", (await update).Outcome.Failure.ApplicationFailureInfo.Type);
    }

    [Fact]
    public async Task S13_An_update_that_was_never_sent_is_not_found_when_its_workflow_ends()
    {
        await worker.StartAsync();
        var update = UpdateAsync("u");
        await AdmittedAsync("u");
        await worker.TerminateAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => update);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => UpdateAsync("other"));
    }

    [Fact]
    public async Task S13_A_close_while_an_update_waits_is_an_unhandled_command()
    {
        await StartIdleAsync();
        await worker.SignalAsync("wake");
        var task = await worker.PollAsync();
        var update = UpdateAsync("u");
        await AdmittedAsync("u");
        var refused = await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => worker.CompleteAsync(task, Commands.Complete()));
        Assert.Equal("UnhandledCommand", refused.Message);
        task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(Assert.Single(task.Messages)), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

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

    /// <summary>Waits until the server has the update.</summary>
    private Task AdmittedAsync(string id) => Until.TrueAsync(async () =>
    {
        try
        {
            await PollUpdateAsync(id, UpdateWorkflowExecutionLifecycleStage.Unspecified);
            return true;
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
        {
            return false;
        }
    });

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

    private PollWorkflowExecutionUpdateRequest PollRequest(string id, UpdateWorkflowExecutionLifecycleStage stage) => new()
    {
        Namespace = RawWorker.Namespace,
        UpdateRef = new() { WorkflowExecution = new() { WorkflowId = worker.WorkflowId }, UpdateId = id },
        WaitPolicy = new() { LifecycleStage = stage },
    };

    private Task<PollWorkflowExecutionUpdateResponse> PollUpdateAsync(string id, UpdateWorkflowExecutionLifecycleStage stage) =>
        worker.Service.PollWorkflowExecutionUpdateAsync(PollRequest(id, stage));
}
