using Temporalio.Api.Protocol.V1;
using Temporalio.Api.Update.V1;
using UpdateResponse = Temporalio.Api.Update.V1.Response;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>One update of a run, from the request to its outcome.</summary>
internal sealed class UpdateState(string id, Request? request)
{
    private TaskCompletionSource? changed;

    public string Id { get; } = id;

    /// <summary>The request; null after a restart for an update whose acceptance is in the history without it.</summary>
    public Request? Request { get; set; } = request;

    public UpdateWorkflowExecutionLifecycleStage Stage { get; set; } = UpdateWorkflowExecutionLifecycleStage.Admitted;

    /// <summary>Sent with the started workflow task.</summary>
    public bool IsSent { get; set; }

    public long AcceptedEventId { get; set; }

    public Outcome? Outcome { get; set; }

    /// <summary>Set when the update can never finish: its waiters get this error.</summary>
    public Fault? Fault { get; set; }

    /// <summary>The run that now carries the update, when its run continued as new before taking it.</summary>
    public Run? MovedTo { get; set; }

    public Task NextChange() => (changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Announce(UnitOfWork work)
    {
        if (changed is { } waiters)
        {
            changed = null;
            work.AfterCommit(() => waiters.TrySetResult());
        }
    }
}

/// <summary>Updates: admitted here, sent with workflow tasks, accepted and completed (or rejected) by the workflow.</summary>
internal sealed partial class Run
{
    private readonly Dictionary<string, UpdateState> updates = new(StringComparer.Ordinal);

    private bool HasUpdatesToSend => updates.Values.Any(u => u is { Stage: UpdateWorkflowExecutionLifecycleStage.Admitted, IsSent: false });

    public UpdateState? FindUpdate(string id) => updates.GetValueOrDefault(id);

    /// <summary>The update of that id, admitted now if it is new.</summary>
    public UpdateState Admit(UnitOfWork work, Request request)
    {
        if (updates.TryGetValue(request.Meta.UpdateId, out var known))
        {
            return known;
        }

        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        var update = new UpdateState(request.Meta.UpdateId, request);
        updates.Add(update.Id, update);
        work.Touch(this);
        if (IsDelayed)
        {
            // An update is not kept waiting for a start delay, unlike a signal. Source: Temporal history service, UpdateWorkflowExecution.
            EndFirstTaskBackoff(work);
        }
        else
        {
            ScheduleSpeculativeTask(work);
        }

        return update;
    }

    private void SendUpdates(PollWorkflowTaskQueueResponse response)
    {
        foreach (var update in updates.Values.Where(u => u.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted))
        {
            update.IsSent = true;
            response.Messages.Add(new Message
            {
                Id = $"{update.Id}/request",
                ProtocolInstanceId = update.Id,
                EventId = response.StartedEventId - 1,
                Body = Any.Pack(update.Request!),
            });
        }
    }

    /// <summary>The task failed: its updates go with the next one.</summary>
    private void TakeBackUpdates()
    {
        foreach (var update in updates.Values.Where(u => u.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted))
        {
            update.IsSent = false;
        }
    }

    public CommandFault? FindFault(Message message)
    {
        if (message.Body is null || !(message.Body.Is(Acceptance.Descriptor) || message.Body.Is(Rejection.Descriptor) || message.Body.Is(UpdateResponse.Descriptor)))
        {
            return new(WorkflowTaskFailedCause.BadUpdateWorkflowExecutionMessage, $"message {message.Id} is of unknown type {message.Body?.TypeUrl}");
        }

        return updates.ContainsKey(message.ProtocolInstanceId)
            ? null
            : new(WorkflowTaskFailedCause.BadUpdateWorkflowExecutionMessage, $"update {message.ProtocolInstanceId} was not found");
    }

    private void ApplyPlacedMessage(Completion completion, string messageId)
    {
        if (completion.UsedMessages.Add(messageId))
        {
            ApplyMessage(completion, completion.Request.Messages.First(m => m.Id == messageId));
        }
    }

    private void ApplyMessage(Completion completion, Message message)
    {
        var work = completion.Work;
        if (!updates.TryGetValue(message.ProtocolInstanceId, out var update))
        {
            // An earlier message of the same task was its last word.
            return;
        }

        if (message.Body.TryUnpack<Acceptance>(out var acceptance))
        {
            Append(work, new HistoryEvent
            {
                WorkflowExecutionUpdateAcceptedEventAttributes = new WorkflowExecutionUpdateAcceptedEventAttributes
                {
                    ProtocolInstanceId = update.Id,
                    AcceptedRequestMessageId = acceptance.AcceptedRequestMessageId,
                    AcceptedRequestSequencingEventId = acceptance.AcceptedRequestSequencingEventId,
                    AcceptedRequest = acceptance.AcceptedRequest ?? update.Request,
                },
            });
        }
        else if (message.Body.TryUnpack<UpdateResponse>(out var answer))
        {
            Append(work, new HistoryEvent
            {
                WorkflowExecutionUpdateCompletedEventAttributes = new WorkflowExecutionUpdateCompletedEventAttributes
                {
                    Meta = answer.Meta ?? update.Request?.Meta ?? new Meta { UpdateId = update.Id },
                    AcceptedEventId = update.AcceptedEventId,
                    Outcome = answer.Outcome,
                },
            });
        }
        else if (message.Body.TryUnpack<Rejection>(out var rejection))
        {
            Reject(work, update, rejection.Failure);
        }

        update.Announce(work);
    }

    private void Reject(UnitOfWork work, UpdateState update, Failure? failure)
    {
        update.Outcome = new Outcome { Failure = failure };
        update.Stage = UpdateWorkflowExecutionLifecycleStage.Completed;
        updates.Remove(update.Id);
        work.Touch(this);
        update.Announce(work);
    }

    /// <summary>The worker has completed the task and said nothing about an update that came with it: it does not know updates.</summary>
    private void RejectUnprocessedUpdates(UnitOfWork work)
    {
        foreach (var update in updates.Values.Where(u => u is { Stage: UpdateWorkflowExecutionLifecycleStage.Admitted, IsSent: true }).ToList())
        {
            // Text and type: source: Temporal history service.
            Reject(work, update, Failures.Application(
                "Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is not supported by the worker.",
                "UnprocessedUpdate"));
        }
    }

    private void ApplyUpdate(HistoryEvent e)
    {
        if (e.WorkflowExecutionUpdateAcceptedEventAttributes is { } accepted)
        {
            if (!updates.TryGetValue(accepted.ProtocolInstanceId, out var update))
            {
                update = new UpdateState(accepted.ProtocolInstanceId, accepted.AcceptedRequest);
                updates.Add(update.Id, update);
            }

            update.AcceptedEventId = e.EventId;
            update.Stage = UpdateWorkflowExecutionLifecycleStage.Accepted;
        }
        else if (e.WorkflowExecutionUpdateCompletedEventAttributes is { } completed && updates.TryGetValue(completed.Meta.UpdateId, out var update))
        {
            update.Outcome = completed.Outcome;
            update.Stage = UpdateWorkflowExecutionLifecycleStage.Completed;
        }
    }

    /// <summary>What the run has not taken yet goes to the run that continues it.</summary>
    private void MoveUpdatesTo(UnitOfWork work, Run next)
    {
        foreach (var update in updates.Values.Where(u => u.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted).ToList())
        {
            updates.Remove(update.Id);
            update.IsSent = false;
            update.MovedTo = next;
            next.updates.Add(update.Id, update);
            update.Announce(work);
        }
    }

    /// <summary>The run is closed: nobody will finish what is still open.</summary>
    private void CloseUpdates(UnitOfWork work)
    {
        foreach (var update in updates.Values.ToList())
        {
            if (update.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted)
            {
                update.Fault = Fault.AlreadyCompleted();
                updates.Remove(update.Id);
            }

            update.Announce(work);
        }
    }

    /// <summary>The close of a run is the outcome of what it had accepted and not finished.</summary>
    private void AbandonUpdates()
    {
        foreach (var update in updates.Values.Where(u => u.Stage == UpdateWorkflowExecutionLifecycleStage.Accepted))
        {
            update.Outcome = AbandonedOutcome();
            update.Stage = UpdateWorkflowExecutionLifecycleStage.Completed;
        }
    }

    /// <summary>Type on which clients depend. Source: Temporal history service.</summary>
    private static Outcome AbandonedOutcome() => new()
    {
        Failure = Failures.Application("Workflow Update failed because the Workflow completed before the Update completed.", "AcceptedUpdateCompletedWorkflow"),
    };
}
