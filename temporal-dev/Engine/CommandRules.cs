using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Protocol.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Why a workflow task cannot be completed as the worker asks.</summary>
/// <param name="Cause">The kind.</param>
/// <param name="Message">In words.</param>
/// <param name="EndsRun">Every further attempt would ask for the same, so the server ends the run. Source: Temporal history service, commands over the size limit.</param>
internal sealed record CommandFault(WorkflowTaskFailedCause Cause, string Message, bool EndsRun = false)
{
    public override string ToString() => $"{Cause}: {Message}";
}

/// <summary>
/// All checks of a completion's commands, made before any of them is applied: a bad command fails the whole task and leaves
/// nothing of the others.
/// </summary>
internal sealed class CommandRules
{
    private readonly Run run;
    private readonly RespondWorkflowTaskCompletedRequest request;
    private readonly Dictionary<CommandType, int> asked = [];
    private readonly HashSet<string> newActivities = [];
    private readonly HashSet<string> newTimers = [];
    private readonly HashSet<string> goneTimers = [];

    private CommandRules(Run run, RespondWorkflowTaskCompletedRequest request)
    {
        this.run = run;
        this.request = request;
    }

    public static bool Closes(CommandType type) => type is CommandType.CompleteWorkflowExecution
        or CommandType.FailWorkflowExecution or CommandType.CancelWorkflowExecution or CommandType.ContinueAsNewWorkflowExecution;

    public static CommandFault? FindFault(Run run, RespondWorkflowTaskCompletedRequest request)
    {
        var rules = new CommandRules(run, request);
        return request.Commands.Select(rules.Check).FirstOrDefault(fault => fault is not null)
            ?? request.Messages.Select(rules.Check).FirstOrDefault(fault => fault is not null);
    }

    private CommandFault? Check(Command command) => command.AttributesCase switch
    {
        Command.AttributesOneofCase.ScheduleActivityTaskCommandAttributes => Check(command.ScheduleActivityTaskCommandAttributes),
        Command.AttributesOneofCase.RequestCancelActivityTaskCommandAttributes => Check(command.RequestCancelActivityTaskCommandAttributes),
        Command.AttributesOneofCase.StartTimerCommandAttributes => Check(command.StartTimerCommandAttributes),
        Command.AttributesOneofCase.CancelTimerCommandAttributes => Check(command.CancelTimerCommandAttributes),
        Command.AttributesOneofCase.RecordMarkerCommandAttributes => command.RecordMarkerCommandAttributes.MarkerName.Length == 0
            ? new(WorkflowTaskFailedCause.BadRecordMarkerAttributes, "MarkerName is not set on RecordMarkerCommand.")
            : TooLarge(
                command.RecordMarkerCommandAttributes,
                WorkflowTaskFailedCause.BadRecordMarkerAttributes,
                "RecordMarkerCommandAttributes.Details"),
        Command.AttributesOneofCase.UpsertWorkflowSearchAttributesCommandAttributes =>
            run.Engine.SearchAttributes.FindFault(run.Chain.Namespace, command.UpsertWorkflowSearchAttributesCommandAttributes.SearchAttributes) is { } unknown
                ? new(WorkflowTaskFailedCause.BadSearchAttributes, unknown)
                : TooLarge(
                    command.UpsertWorkflowSearchAttributesCommandAttributes.SearchAttributes,
                    WorkflowTaskFailedCause.BadSearchAttributes,
                    "UpsertWorkflowSearchAttributesCommandAttributes"),
        Command.AttributesOneofCase.ModifyWorkflowPropertiesCommandAttributes => TooLarge(
            command.ModifyWorkflowPropertiesCommandAttributes.UpsertedMemo,
            WorkflowTaskFailedCause.BadModifyWorkflowPropertiesAttributes,
            "ModifyWorkflowPropertiesCommandAttributes"),
        Command.AttributesOneofCase.ProtocolMessageCommandAttributes =>
            request.Messages.All(m => m.Id != command.ProtocolMessageCommandAttributes.MessageId)
                ? new(WorkflowTaskFailedCause.BadUpdateWorkflowExecutionMessage, $"ProtocolMessageCommand referenced absent message ID {command.ProtocolMessageCommandAttributes.MessageId}")
                : null,
        Command.AttributesOneofCase.StartChildWorkflowExecutionCommandAttributes => Check(command.StartChildWorkflowExecutionCommandAttributes),
        Command.AttributesOneofCase.SignalExternalWorkflowExecutionCommandAttributes => Check(command.SignalExternalWorkflowExecutionCommandAttributes),
        Command.AttributesOneofCase.RequestCancelExternalWorkflowExecutionCommandAttributes => Check(command.RequestCancelExternalWorkflowExecutionCommandAttributes),
        Command.AttributesOneofCase.CompleteWorkflowExecutionCommandAttributes => TooLarge(
            command.CompleteWorkflowExecutionCommandAttributes.Result,
            WorkflowTaskFailedCause.BadCompleteWorkflowExecutionAttributes,
            "CompleteWorkflowExecutionCommandAttributes.Result"),
        Command.AttributesOneofCase.FailWorkflowExecutionCommandAttributes => command.FailWorkflowExecutionCommandAttributes.Failure is null
            ? new(WorkflowTaskFailedCause.BadFailWorkflowExecutionAttributes, "Failure is not set on FailWorkflowExecutionCommand.")
            : TooLarge(
                command.FailWorkflowExecutionCommandAttributes.Failure,
                WorkflowTaskFailedCause.BadFailWorkflowExecutionAttributes,
                "FailWorkflowExecutionCommandAttributes.Failure"),
        Command.AttributesOneofCase.CancelWorkflowExecutionCommandAttributes => TooLarge(
            command.CancelWorkflowExecutionCommandAttributes.Details,
            WorkflowTaskFailedCause.BadCancelWorkflowExecutionAttributes,
            "CancelWorkflowExecutionCommandAttributes.Details"),
        Command.AttributesOneofCase.ContinueAsNewWorkflowExecutionCommandAttributes => Check(command.ContinueAsNewWorkflowExecutionCommandAttributes),
        Command.AttributesOneofCase.ScheduleNexusOperationCommandAttributes or Command.AttributesOneofCase.RequestCancelNexusOperationCommandAttributes =>
            new(WorkflowTaskFailedCause.FeatureDisabled, "Nexus operations are not implemented by temporal-dev."),
        _ => new(WorkflowTaskFailedCause.FeatureDisabled, $"Command {command.CommandType} is not implemented by temporal-dev."),
    };

    private CommandFault? Check(ScheduleActivityTaskCommandAttributes activity)
    {
        const WorkflowTaskFailedCause cause = WorkflowTaskFailedCause.BadScheduleActivityAttributes;
        if (activity.ActivityId.Length == 0)
        {
            return new(cause, "ActivityId is not set on ScheduleActivityTaskCommand.");
        }

        if (string.IsNullOrEmpty(activity.ActivityType?.Name))
        {
            return new(cause, "ActivityType is not set on ScheduleActivityTaskCommand.");
        }

        if (!ProtoTime.IsSet(activity.ScheduleToCloseTimeout) && !ProtoTime.IsSet(activity.StartToCloseTimeout))
        {
            return new(cause, $"A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. ActivityId={activity.ActivityId} ActivityType={activity.ActivityType.Name}");
        }

        if (IsOverLimit(CommandType.ScheduleActivityTask, run.PendingActivityCount))
        {
            return TooManyPending(WorkflowTaskFailedCause.PendingActivitiesLimitExceeded, "activities");
        }

        if (run.HasActivity(activity.ActivityId) || !newActivities.Add(activity.ActivityId))
        {
            return new(WorkflowTaskFailedCause.ScheduleActivityDuplicateId, $"Activity ID {activity.ActivityId} is already in use.");
        }

        return RetryPolicyRules.FindFault(activity.RetryPolicy) is { } fault
            ? new(cause, fault)
            : TooLarge(activity.Input, cause, "ScheduleActivityTaskCommandAttributes.Input");
    }

    private CommandFault? Check(RequestCancelActivityTaskCommandAttributes cancel) => run.WasActivityScheduled(cancel.ScheduledEventId)
        ? null
        : new(WorkflowTaskFailedCause.BadRequestCancelActivityAttributes, $"ScheduledEventId {cancel.ScheduledEventId} is not an activity of this run.");

    private CommandFault? Check(StartTimerCommandAttributes timer)
    {
        if (timer.TimerId.Length == 0)
        {
            return new(WorkflowTaskFailedCause.BadStartTimerAttributes, "TimerId is not set on StartTimerCommand.");
        }

        if (timer.StartToFireTimeout is { } length && (length.Seconds < 0 || length.Nanos < 0))
        {
            return new(WorkflowTaskFailedCause.BadStartTimerAttributes, $"StartToFireTimeout is negative. TimerId={timer.TimerId}");
        }

        var taken = run.HasTimer(timer.TimerId) && !goneTimers.Contains(timer.TimerId);
        return taken || !newTimers.Add(timer.TimerId)
            ? new(WorkflowTaskFailedCause.StartTimerDuplicateId, $"Timer ID {timer.TimerId} is already in use.")
            : null;
    }

    private CommandFault? Check(CancelTimerCommandAttributes timer)
    {
        if (newTimers.Remove(timer.TimerId) || (run.HasTimer(timer.TimerId) && goneTimers.Add(timer.TimerId)))
        {
            return null;
        }

        return new(WorkflowTaskFailedCause.BadCancelTimerAttributes, $"Timer {timer.TimerId} is not pending.");
    }

    private CommandFault? Check(StartChildWorkflowExecutionCommandAttributes child)
    {
        const WorkflowTaskFailedCause cause = WorkflowTaskFailedCause.BadStartChildExecutionAttributes;
        if (child.WorkflowId.Length == 0)
        {
            return new(cause, "WorkflowId is not set on StartChildWorkflowExecutionCommand.");
        }

        if (string.IsNullOrEmpty(child.WorkflowType?.Name))
        {
            return new(cause, "WorkflowType is not set on StartChildWorkflowExecutionCommand.");
        }

        if (IsOverLimit(CommandType.StartChildWorkflowExecution, run.PendingChildCount))
        {
            return TooManyPending(WorkflowTaskFailedCause.PendingChildWorkflowsLimitExceeded, "child workflows");
        }

        if (run.Engine.SearchAttributes.FindFault(run.Chain.Namespace, child.SearchAttributes) is { } unknown)
        {
            return new(WorkflowTaskFailedCause.BadSearchAttributes, unknown);
        }

        return RetryPolicyRules.FindFault(child.RetryPolicy) is { } fault
            ? new(cause, fault)
            : TooLarge(child.Input, cause, "StartChildWorkflowExecutionCommandAttributes. Input")
                ?? TooLarge(child.Memo, cause, "StartChildWorkflowExecutionCommandAttributes.Memo");
    }

    private CommandFault? Check(SignalExternalWorkflowExecutionCommandAttributes signal)
    {
        const WorkflowTaskFailedCause cause = WorkflowTaskFailedCause.BadSignalWorkflowExecutionAttributes;
        if (string.IsNullOrEmpty(signal.Execution?.WorkflowId))
        {
            return new(cause, "WorkflowId is not set on SignalExternalWorkflowExecutionCommand.");
        }

        if (IsOverLimit(CommandType.SignalExternalWorkflowExecution, run.OwedCount(EffectKind.SignalExternal)))
        {
            return TooManyPending(WorkflowTaskFailedCause.PendingSignalsLimitExceeded, "signals");
        }

        return signal.SignalName.Length == 0
            ? new(cause, "SignalName is not set on SignalExternalWorkflowExecutionCommand.")
            : TooLarge(signal.Input, cause, "SignalExternalWorkflowExecutionCommandAttributes.Input");
    }

    private CommandFault? Check(RequestCancelExternalWorkflowExecutionCommandAttributes cancel)
    {
        if (cancel.WorkflowId.Length == 0)
        {
            return new(
                WorkflowTaskFailedCause.BadRequestCancelExternalWorkflowExecutionAttributes,
                "WorkflowId is not set on RequestCancelExternalWorkflowExecutionCommand.");
        }

        return IsOverLimit(CommandType.RequestCancelExternalWorkflowExecution, run.OwedCount(EffectKind.CancelExternal))
            ? TooManyPending(WorkflowTaskFailedCause.PendingRequestCancelLimitExceeded, "requests to cancel external workflows")
            : null;
    }

    /// <summary>Counts one more command of the kind, and says whether that is one too many beside those that are pending.</summary>
    private bool IsOverLimit(CommandType type, int pending)
    {
        asked[type] = asked.GetValueOrDefault(type) + 1;
        return pending + asked[type] > run.Engine.Options.PendingLimit;
    }

    private CommandFault TooManyPending(WorkflowTaskFailedCause cause, string what) =>
        new(cause, $"the number of pending {what}, {run.Engine.Options.PendingLimit}, has reached the per-workflow limit of {run.Engine.Options.PendingLimit}");

    private CommandFault? Check(ContinueAsNewWorkflowExecutionCommandAttributes next)
    {
        const WorkflowTaskFailedCause cause = WorkflowTaskFailedCause.BadContinueAsNewAttributes;
        if (run.Engine.SearchAttributes.FindFault(run.Chain.Namespace, next.SearchAttributes) is { } unknown)
        {
            return new(WorkflowTaskFailedCause.BadSearchAttributes, unknown);
        }

        return RetryPolicyRules.FindFault(next.RetryPolicy) is { } fault
            ? new(cause, fault)
            : TooLarge(next.Input, cause, "ContinueAsNewWorkflowExecutionCommandAttributes. Input")
                ?? TooLarge(next.Memo, cause, "ContinueAsNewWorkflowExecutionCommandAttributes. Memo");
    }

    private CommandFault? Check(Message message) => run.FindFault(message)
        ?? TooLarge(message.Body, WorkflowTaskFailedCause.BadUpdateWorkflowExecutionMessage, $"Message type {Any.GetTypeName(message.Body.TypeUrl)}");

    private CommandFault? TooLarge(IMessage? blob, WorkflowTaskFailedCause cause, string what) =>
        blob is not null && blob.CalculateSize() > run.Engine.Options.BlobSizeLimit
            ? new(cause, $"{what} exceeds size limit.", EndsRun: true)
            : null;
}
