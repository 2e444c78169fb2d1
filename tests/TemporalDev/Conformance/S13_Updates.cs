using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Protocol.V1;
using Temporalio.Api.Update.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 13: updates.</summary>
[Collection(nameof(DevServer))]
public sealed partial class S13_Updates(DevServer server)
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
    public async Task S21_22_An_answer_to_an_update_over_the_limit_ends_the_run()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        var messages = new[] { Accept(task.Messages.Single()), Respond("u", new string('x', 2 * 1024 * 1024)) };
        await RpcAssert.FailsAsync(RpcException.StatusCode.InvalidArgument, () => CompleteWithAsync(task, messages));
        Assert.Equal(
            "BadUpdateWorkflowExecutionMessage: Message type temporal.api.update.v1.Response exceeds size limit.",
            (await worker.HistoryAsync())[^1].WorkflowExecutionTerminatedEventAttributes.Reason);
        await Assert.ThrowsAnyAsync<RpcException>(() => update);
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
    public async Task S13_3_An_update_that_its_worker_passes_over_is_rejected()
    {
        await StartIdleAsync();
        var update = UpdateAsync("u");
        await worker.CompleteAsync(await worker.PollAsync());
        Assert.Equal("UnprocessedUpdate", (await update).Outcome.Failure.ApplicationFailureInfo.Type);
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
}
