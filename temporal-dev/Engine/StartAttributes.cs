using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>The started event's attributes for each way in which a run begins, with the server's defaults filled in.</summary>
internal static class StartAttributes
{
    public static WorkflowExecutionStartedEventAttributes OfRequest(StartWorkflowExecutionRequest request, DateTimeOffset now)
    {
        var backoff = ProtoTime.IsSet(request.WorkflowStartDelay)
            ? request.WorkflowStartDelay
            : CronBackoff(request.CronSchedule, now);
        var attributes = new WorkflowExecutionStartedEventAttributes
        {
            WorkflowType = request.WorkflowType,
            TaskQueue = new TaskQueueName { Name = request.TaskQueue.Name, Kind = TaskQueueKind.Normal },
            Input = request.Input,
            Header = request.Header,
            Identity = request.Identity,
            RetryPolicy = request.RetryPolicy is null ? null : RetryPolicyRules.WithDefaults(request.RetryPolicy),
            CronSchedule = request.CronSchedule,
            FirstWorkflowTaskBackoff = backoff,
            Memo = request.Memo,
            SearchAttributes = request.SearchAttributes,
            ContinuedFailure = request.ContinuedFailure,
            LastCompletionResult = request.LastCompletionResult,
            VersioningOverride = request.VersioningOverride,
            Priority = request.Priority,
            Attempt = 1,
        };
        attributes.CompletionCallbacks.Add(request.CompletionCallbacks);
        SetTimeouts(attributes, request.WorkflowExecutionTimeout, request.WorkflowRunTimeout, request.WorkflowTaskTimeout, now);
        return attributes;
    }

    public static WorkflowExecutionStartedEventAttributes OfChild(
        Run parent, long initiatedEventId, StartChildWorkflowExecutionInitiatedEventAttributes initiated, DateTimeOffset now)
    {
        var attributes = new WorkflowExecutionStartedEventAttributes
        {
            WorkflowType = initiated.WorkflowType,
            ParentWorkflowNamespace = parent.Chain.Namespace,
            ParentWorkflowNamespaceId = parent.Engine.Namespaces.IdOf(parent.Chain.Namespace),
            ParentWorkflowExecution = Run.ExecutionOf(parent),
            ParentInitiatedEventId = initiatedEventId,
            RootWorkflowExecution = parent.Started.RootWorkflowExecution
                ?? new WorkflowExecution { WorkflowId = parent.Chain.WorkflowId, RunId = parent.RunId },
            TaskQueue = initiated.TaskQueue,
            Input = initiated.Input,
            Header = initiated.Header,
            Identity = "history-service",
            RetryPolicy = initiated.RetryPolicy,
            CronSchedule = initiated.CronSchedule,
            FirstWorkflowTaskBackoff = CronBackoff(initiated.CronSchedule, now),
            Memo = initiated.Memo,
            SearchAttributes = initiated.SearchAttributes,
            Priority = initiated.Priority,
            VersioningOverride = initiated.VersioningOverride,
            Attempt = 1,
        };
        SetTimeouts(attributes, initiated.WorkflowExecutionTimeout, initiated.WorkflowRunTimeout, initiated.WorkflowTaskTimeout, now);
        return attributes;
    }

    private static Duration? CronBackoff(string cronSchedule, DateTimeOffset now) =>
        cronSchedule.Length > 0 && Schedules.CronExpression.Parse(cronSchedule).Backoff(now, now) is { } wait ? ProtoTime.Length(wait) : null;

    /// <summary>
    /// Source: Temporal: the run may not outlive the execution, and a workflow task not the run. A timeout that nobody asked for stays absent: a worker
    /// shows the workflow whatever is there, and zero would read as a timeout of no time.
    /// </summary>
    private static void SetTimeouts(WorkflowExecutionStartedEventAttributes attributes, Duration? execution, Duration? run, Duration? task, DateTimeOffset now)
    {
        attributes.WorkflowExecutionTimeout = execution;
        attributes.WorkflowRunTimeout = Limit(run, execution);
        attributes.WorkflowTaskTimeout = Limit(ProtoTime.IsSet(task) ? task : ProtoTime.Length(Run.DefaultWorkflowTaskTimeout), attributes.WorkflowRunTimeout);
        if (ProtoTime.IsSet(execution))
        {
            var begin = now + ProtoTime.Span(attributes.FirstWorkflowTaskBackoff);
            attributes.WorkflowExecutionExpirationTime = ProtoTime.Stamp(ProtoTime.Later(begin, ProtoTime.Span(execution)));
        }
    }

    private static Duration? Limit(Duration? asked, Duration? limit) =>
        !ProtoTime.IsSet(asked) ? limit
        : ProtoTime.IsSet(limit) && ProtoTime.Span(limit) < ProtoTime.Span(asked) ? limit!
        : asked!;
}
