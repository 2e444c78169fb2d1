using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;
using Temporalio.Api.TaskQueue.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>What happens when a worker completes a workflow task.</summary>
internal sealed partial class Run
{
    /// <summary>Text on which workers depend: they drop their cached run quietly. Source: Temporal history service.</summary>
    private const string UnhandledCommand = "UnhandledCommand";

    private readonly List<HistoryEvent> buffered = [];

    public RespondWorkflowTaskCompletedResponse CompleteWorkflowTask(UnitOfWork work, TaskToken token, RespondWorkflowTaskCompletedRequest request)
    {
        RequireStartedTask(token);
        AnswerQueries(work, request.QueryResults);
        var response = new RespondWorkflowTaskCompletedResponse();
        if (request.Commands.Any(c => CommandRules.Closes(c.CommandType)) && (buffered.Count > 0 || HasUpdatesToSend))
        {
            FailWorkflowTask(work, WorkflowTaskFailedCause.UnhandledCommand, Failures.OfServer(UnhandledCommand), request.Identity);
            work.Refuse(Fault.Invalid(UnhandledCommand));
            return response;
        }

        if (CommandRules.FindFault(this, request) is { } fault)
        {
            FailWorkflowTask(work, fault.Cause, Failures.OfServer($"{fault}"), request.Identity, fault.EndsRun ? $"{fault}" : null);
            work.Refuse(Fault.Invalid($"{fault}"));
            return response;
        }

        if (IsWithoutEffect(request))
        {
            DiscardSpeculativeTask(work, request, response);
            return response;
        }

        WriteTaskCompleted(work, request);
        var completion = new Completion(work, request, history.Count);
        // A rejection leaves no event; whoever waits for it hears of it also when a command ends the run.
        foreach (var message in request.Messages.Where(m => m.Body.Is(Temporalio.Api.Update.V1.Rejection.Descriptor) && completion.UsedMessages.Add(m.Id)))
        {
            ApplyMessage(completion, message);
        }

        foreach (var command in request.Commands)
        {
            if (!IsOpen)
            {
                break;
            }

            ApplyCommand(completion, command);
        }

        if (!IsOpen)
        {
            return response;
        }

        foreach (var message in request.Messages.Where(m => !completion.UsedMessages.Contains(m.Id)))
        {
            ApplyMessage(completion, message);
        }

        RejectUnprocessedUpdates(work);
        if (FlushBuffered(work) || completion.NeedsTask || request.ForceCreateNewWorkflowTask)
        {
            EnsureWorkflowTask(work);
        }
        else if (HasUpdatesToSend)
        {
            ScheduleSpeculativeTask(work);
        }

        EndWhenTooLong(work);
        response.WorkflowTask = request.ReturnNewWorkflowTask ? StartNextTaskInline(work, request) : null;
        StartEagerActivities(completion, response);
        DispatchQueries(work);
        return response;
    }

    /// <summary>
    /// A speculative task whose worker has only rejected updates, or passed them over. Where events went along with it, the worker must be
    /// able to see the same events again.
    /// </summary>
    private bool IsWithoutEffect(RespondWorkflowTaskCompletedRequest request) =>
        task.IsSpeculative
        && request.Commands.Count == 0
        && !request.ForceCreateNewWorkflowTask
        && request.Messages.All(m => m.Body.Is(Temporalio.Api.Update.V1.Rejection.Descriptor))
        && (request.Capabilities?.DiscardSpeculativeWorkflowTaskWithEvents == true || history.Count == PreviousStartedEventId + 1);

    /// <summary>The task leaves no event. The worker is told from which event on it will see the history again.</summary>
    private void DiscardSpeculativeTask(UnitOfWork work, RespondWorkflowTaskCompletedRequest request, RespondWorkflowTaskCompletedResponse response)
    {
        task.IsSpeculative = false;
        task.Phase = WorkflowTaskPhase.None;
        work.Touch(this);
        var completion = new Completion(work, request, 0);
        foreach (var message in request.Messages)
        {
            ApplyMessage(completion, message);
        }

        RejectUnprocessedUpdates(work);
        if (HasUpdatesToSend)
        {
            ScheduleSpeculativeTask(work);
        }

        response.ResetHistoryEventId = PreviousStartedEventId;
        response.WorkflowTask = request.ReturnNewWorkflowTask ? StartNextTaskInline(work, request) : null;
        DispatchQueries(work);
    }

    /// <summary>Writes the completed task, and for a transient one first the two events that were held back.</summary>
    private void WriteTaskCompleted(UnitOfWork work, RespondWorkflowTaskCompletedRequest request)
    {
        if (task.IsTransient)
        {
            var startedTime = ProtoTime.Stamp(task.StartedTime);
            var started = StartedTaskAttributes(task.Identity, task.RequestId);
            Append(work, new HistoryEvent
            {
                EventTime = ProtoTime.Stamp(task.ScheduledTime),
                WorkflowTaskScheduledEventAttributes = ScheduledTaskAttributes(null, task.Attempt),
            });
            Append(work, new HistoryEvent { EventTime = startedTime, WorkflowTaskStartedEventAttributes = started });
        }

        Append(work, new HistoryEvent
        {
            WorkflowTaskCompletedEventAttributes = new WorkflowTaskCompletedEventAttributes
            {
                ScheduledEventId = task.ScheduledEventId,
                StartedEventId = task.StartedEventId,
                Identity = request.Identity,
                BinaryChecksum = request.BinaryChecksum,
                WorkerVersion = request.WorkerVersionStamp,
                SdkMetadata = request.SdkMetadata,
                MeteringMetadata = request.MeteringMetadata,
                Deployment = request.Deployment,
                VersioningBehavior = request.VersioningBehavior,
            },
        });
        stickyQueue = request.StickyAttributes?.WorkerTaskQueue?.Name is { Length: > 0 } sticky ? sticky : null;
        stickyTimeout = ProtoTime.IsSet(request.StickyAttributes?.ScheduleToStartTimeout)
            ? ProtoTime.Span(request.StickyAttributes!.ScheduleToStartTimeout)
            : TimeSpan.FromSeconds(10);
    }

    private PollWorkflowTaskQueueResponse? StartNextTaskInline(UnitOfWork work, RespondWorkflowTaskCompletedRequest request) =>
        task.Phase == WorkflowTaskPhase.Scheduled
            ? StartWorkflowTask(
                work,
                new Matching.TaskOffer(this, Matching.TaskKind.Workflow, WorkflowQueue(task.StickyQueue ?? NormalQueue), task.ScheduledEventId, task.Attempt),
                request.Identity,
                Guid.NewGuid().ToString())
            : null;

    /// <summary>
    /// Something happened to the run from outside. While a workflow task is started its event must wait: the worker has been
    /// told which event is the last.
    /// </summary>
    private void Occur(UnitOfWork work, HistoryEvent occurrence)
    {
        if (task.Phase == WorkflowTaskPhase.Started)
        {
            Buffer(work, occurrence);
            MarkBuffered(occurrence);
        }
        else
        {
            Settle(work, occurrence);
            EnsureWorkflowTask(work);
            EndWhenTooLong(work);
        }
    }

    /// <summary>Source: Temporal: a run whose history is over its limits is terminated by the server.</summary>
    private void EndWhenTooLong(UnitOfWork work)
    {
        var reason = history.Count > Engine.Options.HistoryCountLimit ? "Workflow history count exceeds limit."
            : HistorySize > Engine.Options.HistorySizeLimit ? "Workflow history size exceeds limit."
            : null;
        if (reason is not null && IsOpen)
        {
            Terminate(work, reason, null, "history-service");
        }
    }

    private void Buffer(UnitOfWork work, HistoryEvent occurrence)
    {
        if (task.IsSpeculative)
        {
            WriteSpeculativeTask(work);
        }

        occurrence.EventTime = ProtoTime.Stamp(work.Now);
        buffered.Add(occurrence);
        work.Touch(this);
    }

    /// <summary>Appends what was held back, leaving out what has lost its target. True when anything was appended.</summary>
    private bool FlushBuffered(UnitOfWork work)
    {
        if (buffered.Count == 0)
        {
            return false;
        }

        var occurrences = buffered.ToList();
        buffered.Clear();
        var before = history.Count;
        foreach (var occurrence in occurrences.Where(HasTarget))
        {
            Settle(work, occurrence);
        }

        work.Touch(this);
        return history.Count > before;
    }

    /// <summary>What is closed by a buffered event is closed already, although the history does not say it yet.</summary>
    private void MarkBuffered(HistoryEvent occurrence)
    {
        if (ActivityClosedBy(occurrence) is { } activity)
        {
            activity.Closing = true;
        }
        else if (occurrence.TimerFiredEventAttributes is { } fired && timers.TryGetValue(fired.TimerId, out var timer))
        {
            timer.Fired = true;
        }
        else if (occurrence.WorkflowExecutionSignaledEventAttributes is { RequestId.Length: > 0 } signaled)
        {
            signalRequestIds.Add(signaled.RequestId);
        }
        else if (occurrence.ChildWorkflowExecutionStartedEventAttributes is { } started && children.TryGetValue(started.InitiatedEventId, out var begun))
        {
            begun.Execution = started.WorkflowExecution;
        }
        else if (ChildClosedBy(occurrence) is { } child)
        {
            child.Closing = true;
        }
    }

    private bool HasTarget(HistoryEvent occurrence) => occurrence.AttributesCase switch
    {
        HistoryEvent.AttributesOneofCase.ActivityTaskCompletedEventAttributes
            or HistoryEvent.AttributesOneofCase.ActivityTaskFailedEventAttributes
            or HistoryEvent.AttributesOneofCase.ActivityTaskTimedOutEventAttributes
            or HistoryEvent.AttributesOneofCase.ActivityTaskCanceledEventAttributes => ActivityClosedBy(occurrence) is not null,
        HistoryEvent.AttributesOneofCase.TimerFiredEventAttributes =>
            timers.TryGetValue(occurrence.TimerFiredEventAttributes.TimerId, out var timer)
            && timer.StartedEventId == occurrence.TimerFiredEventAttributes.StartedEventId,
        _ => true,
    };

    /// <summary>Appends an occurrence with the references that are known only now.</summary>
    private void Settle(UnitOfWork work, HistoryEvent occurrence)
    {
        if (ActivityClosedBy(occurrence) is { } activity)
        {
            WriteActivityStarted(work, activity, occurrence);
        }
        else if (ChildClosedBy(occurrence) is { } child)
        {
            WriteChildStarted(work, child, occurrence);
        }

        Append(work, occurrence);
    }

    /// <summary>One completion while it is being applied.</summary>
    private sealed class Completion(UnitOfWork work, RespondWorkflowTaskCompletedRequest request, long completedEventId)
    {
        public UnitOfWork Work { get; } = work;

        public RespondWorkflowTaskCompletedRequest Request { get; } = request;

        public long CompletedEventId { get; } = completedEventId;

        /// <summary>Protocol messages that a command has put into their place.</summary>
        public HashSet<string> UsedMessages { get; } = [];

        public List<PendingActivity> Eager { get; } = [];

        /// <summary>A command has produced an event that the workflow has to see.</summary>
        public bool NeedsTask { get; set; }
    }
}
