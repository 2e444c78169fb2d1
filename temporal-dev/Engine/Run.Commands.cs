using Temporalio.Api.Command.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Commands of a completed workflow task: each appends its event. They were checked before by <see cref="CommandRules"/>.</summary>
internal sealed partial class Run
{
    private void ApplyCommand(Completion completion, Command command)
    {
        switch (command.AttributesCase)
        {
            case Command.AttributesOneofCase.ScheduleActivityTaskCommandAttributes:
                ScheduleActivity(completion, command);
                break;
            case Command.AttributesOneofCase.RequestCancelActivityTaskCommandAttributes:
                RequestCancelActivity(completion, command);
                break;
            case Command.AttributesOneofCase.StartTimerCommandAttributes:
                StartTimer(completion, command);
                break;
            case Command.AttributesOneofCase.CancelTimerCommandAttributes:
                CancelTimer(completion, command);
                break;
            case Command.AttributesOneofCase.RecordMarkerCommandAttributes:
                RecordMarker(completion, command);
                break;
            case Command.AttributesOneofCase.UpsertWorkflowSearchAttributesCommandAttributes:
                AppendFrom(completion, command, new HistoryEvent
                {
                    UpsertWorkflowSearchAttributesEventAttributes = new UpsertWorkflowSearchAttributesEventAttributes
                    {
                        WorkflowTaskCompletedEventId = completion.CompletedEventId,
                        SearchAttributes = Engine.SearchAttributes.Complete(
                            Chain.Namespace,
                            command.UpsertWorkflowSearchAttributesCommandAttributes.SearchAttributes),
                    },
                });
                break;
            case Command.AttributesOneofCase.ModifyWorkflowPropertiesCommandAttributes:
                AppendFrom(completion, command, new HistoryEvent
                {
                    WorkflowPropertiesModifiedEventAttributes = new WorkflowPropertiesModifiedEventAttributes
                    {
                        WorkflowTaskCompletedEventId = completion.CompletedEventId,
                        UpsertedMemo = command.ModifyWorkflowPropertiesCommandAttributes.UpsertedMemo,
                    },
                });
                break;
            case Command.AttributesOneofCase.ProtocolMessageCommandAttributes:
                ApplyPlacedMessage(completion, command.ProtocolMessageCommandAttributes.MessageId);
                break;
            case Command.AttributesOneofCase.StartChildWorkflowExecutionCommandAttributes:
                InitiateChild(completion, command);
                break;
            case Command.AttributesOneofCase.SignalExternalWorkflowExecutionCommandAttributes:
                InitiateExternalSignal(completion, command);
                break;
            case Command.AttributesOneofCase.RequestCancelExternalWorkflowExecutionCommandAttributes:
                InitiateExternalCancel(completion, command);
                break;
            case Command.AttributesOneofCase.CompleteWorkflowExecutionCommandAttributes:
                Complete(completion, command);
                break;
            case Command.AttributesOneofCase.FailWorkflowExecutionCommandAttributes:
                Fail(completion, command);
                break;
            case Command.AttributesOneofCase.CancelWorkflowExecutionCommandAttributes:
                Cancel(completion, command);
                break;
            case Command.AttributesOneofCase.ContinueAsNewWorkflowExecutionCommandAttributes:
                ContinueAsNew(completion, command);
                break;
            default:
                throw new InvalidOperationException($"command {command.CommandType} passed the check and has no transition");
        }
    }

    /// <summary>Appends a command's event with the summary and details that the command carries.</summary>
    private HistoryEvent AppendFrom(Completion completion, Command command, HistoryEvent e)
    {
        e.UserMetadata = command.UserMetadata;
        e.EventGroupMarkers.Add(command.EventGroupMarkers);
        return Append(completion.Work, e);
    }

    private void RecordMarker(Completion completion, Command command)
    {
        var marker = command.RecordMarkerCommandAttributes;
        var attributes = new MarkerRecordedEventAttributes
        {
            MarkerName = marker.MarkerName,
            WorkflowTaskCompletedEventId = completion.CompletedEventId,
            Header = marker.Header,
            Failure = marker.Failure,
        };
        attributes.Details.Add(marker.Details);
        AppendFrom(completion, command, new HistoryEvent { MarkerRecordedEventAttributes = attributes });
    }
}
