using System.Globalization;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>The request that starts the workflow of one action. The same action always gives the same request.</summary>
internal static class ActionRequest
{
    public static string Identity(ScheduleRecord record) => $"temporal-scheduler-{record.Namespace}-{record.Id}";

    public static StartWorkflowExecutionRequest Of(ScheduleRecord record, BufferedStart start)
    {
        var action = record.Schedule.Action.StartWorkflow;
        var keepId = record.Schedule.Policies.KeepOriginalWorkflowId;
        var nominal = start.Nominal.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        var attributes = action.SearchAttributes?.Clone() ?? new SearchAttributes();
        attributes.IndexedFields[SystemAttributes.TemporalScheduledById] = SearchAttributePayload.Keyword(record.Id);
        attributes.IndexedFields[SystemAttributes.TemporalScheduledStartTime] = SearchAttributePayload.Datetime(start.Nominal);
        return new StartWorkflowExecutionRequest
        {
            Namespace = record.Namespace,
            WorkflowId = keepId ? action.WorkflowId : $"{action.WorkflowId}-{nominal}",
            WorkflowType = action.WorkflowType,
            TaskQueue = action.TaskQueue,
            Input = action.Input,
            WorkflowExecutionTimeout = action.WorkflowExecutionTimeout,
            WorkflowRunTimeout = action.WorkflowRunTimeout,
            WorkflowTaskTimeout = action.WorkflowTaskTimeout,
            Identity = Identity(record),
            RequestId = $"{record.Incarnation}-{start.Number}",
            // By hand an action may be taken twice within a second, and a time of the past again. Its request id keeps each of them from starting twice.
            WorkflowIdReusePolicy = keepId || start.Manual ? WorkflowIdReusePolicy.AllowDuplicate : WorkflowIdReusePolicy.RejectDuplicate,
            RetryPolicy = action.RetryPolicy,
            Memo = action.Memo,
            SearchAttributes = attributes,
            Header = action.Header,
            LastCompletionResult = record.LastCompletionResult,
            ContinuedFailure = record.ContinuedFailure,
            UserMetadata = action.UserMetadata,
            VersioningOverride = action.VersioningOverride,
            Priority = action.Priority,
        }.Clone();
    }
}
