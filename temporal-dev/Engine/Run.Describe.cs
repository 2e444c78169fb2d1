using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>The run as lists and descriptions show it.</summary>
internal sealed partial class Run
{
    private WorkflowExecutionInfo? headerInfo;

    public WorkflowExecutionInfo Info()
    {
        if (!IsLoaded)
        {
            return headerInfo!;
        }

        var info = new WorkflowExecutionInfo
        {
            Execution = ExecutionOf(this),
            Type = Started.WorkflowType,
            StartTime = ProtoTime.Stamp(StartTime),
            ExecutionTime = ProtoTime.Stamp(FirstTaskTime),
            CloseTime = ProtoTime.StampOrNull(CloseTime),
            ExecutionDuration = CloseTime is { } closed ? ProtoTime.Length(closed > FirstTaskTime ? closed - FirstTaskTime : TimeSpan.Zero) : null,
            Status = Status,
            HistoryLength = history.Count,
            HistorySizeBytes = HistorySize,
            StateTransitionCount = StateTransitions,
            ParentNamespaceId = Started.ParentWorkflowNamespaceId,
            ParentExecution = Started.ParentWorkflowExecution,
            RootExecution = Started.RootWorkflowExecution ?? new WorkflowExecution { WorkflowId = Chain.WorkflowId, RunId = FirstRunId },
            FirstRunId = FirstRunId,
            Memo = CurrentMemo() ?? new Memo(),
            SearchAttributes = CurrentSearchAttributes() ?? new SearchAttributes(),
            TaskQueue = NormalQueue,
            Priority = Started.Priority,
        };
        return info;
    }

    public DescribeWorkflowExecutionResponse Describe()
    {
        var response = new DescribeWorkflowExecutionResponse
        {
            WorkflowExecutionInfo = Info(),
            ExecutionConfig = new WorkflowExecutionConfig
            {
                TaskQueue = new TaskQueueName { Name = NormalQueue, Kind = TaskQueueKind.Normal },
                WorkflowExecutionTimeout = Started.WorkflowExecutionTimeout,
                WorkflowRunTimeout = Started.WorkflowRunTimeout,
                DefaultWorkflowTaskTimeout = Started.WorkflowTaskTimeout,
                UserMetadata = Event(1).UserMetadata,
            },
            WorkflowExtendedInfo = new WorkflowExecutionExtendedInfo
            {
                ExecutionExpirationTime = Started.WorkflowExecutionExpirationTime,
                RunExpirationTime = ProtoTime.StampOrNull(RunDeadline()),
                CancelRequested = CancelRequested,
                ResetRunId = ResetRunId,
                OriginalStartTime = ProtoTime.Stamp(StartTime),
            },
        };
        response.PendingActivities.Add(activities.Values.Select(Describe));
        response.PendingChildren.Add(children.Values.Select(Describe));
        if (task.Phase != WorkflowTaskPhase.None)
        {
            response.PendingWorkflowTask = new PendingWorkflowTaskInfo
            {
                State = task.Phase == WorkflowTaskPhase.Started ? PendingWorkflowTaskState.Started : PendingWorkflowTaskState.Scheduled,
                ScheduledTime = ProtoTime.Stamp(task.ScheduledTime),
                OriginalScheduledTime = ProtoTime.Stamp(task.OriginalScheduledTime),
                StartedTime = task.Phase == WorkflowTaskPhase.Started ? ProtoTime.Stamp(task.StartedTime) : null,
                Attempt = task.Attempt,
            };
        }

        response.Callbacks.Add(Started.CompletionCallbacks.Select(callback => (callback, StartTime)).Concat(attachedCallbacks).Select(Describe));

        return response;
    }

    private static PendingActivityInfo Describe(PendingActivity activity)
    {
        var info = new PendingActivityInfo
        {
            ActivityId = activity.Scheduled.ActivityId,
            ActivityType = activity.Scheduled.ActivityType,
            State = activity switch
            {
                { IsCancelRequested: true } => PendingActivityState.CancelRequested,
                { Phase: ActivityPhase.Started, Pause: not null } => PendingActivityState.PauseRequested,
                { Pause: not null } => PendingActivityState.Paused,
                { Phase: ActivityPhase.Started } => PendingActivityState.Started,
                _ => PendingActivityState.Scheduled,
            },
            HeartbeatDetails = activity.HeartbeatDetails,
            LastHeartbeatTime = ProtoTime.StampOrNull(activity.LastHeartbeatTime),
            LastStartedTime = ProtoTime.StampOrNull(activity.StartedTime),
            Attempt = activity.Attempt,
            MaximumAttempts = activity.Scheduled.RetryPolicy.MaximumAttempts,
            ScheduledTime = ProtoTime.Stamp(activity.NextAttemptTime ?? activity.AttemptScheduledTime),
            ExpirationTime = ProtoTime.StampOrNull(activity.ScheduleToCloseDeadline),
            LastFailure = activity.LastFailure,
            LastWorkerIdentity = activity.LastWorkerIdentity,
            LastAttemptCompleteTime = ProtoTime.StampOrNull(activity.LastAttemptCompleteTime),
            NextAttemptScheduleTime = activity.Pause is null ? ProtoTime.StampOrNull(activity.NextAttemptTime) : null,
            Priority = activity.Scheduled.Priority,
            ActivityOptions = ActivityOptionsOf(activity),
        };
        if (activity.Pause is { } pause)
        {
            info.Paused = true;
            info.PauseInfo = new PendingActivityInfo.Types.PauseInfo
            {
                PauseTime = ProtoTime.Stamp(pause.Time),
                Manual = new PendingActivityInfo.Types.PauseInfo.Types.Manual { Identity = pause.Identity, Reason = pause.Reason },
            };
        }

        if (activity is { Phase: ActivityPhase.Backoff, Pause: null, NextAttemptTime: { } next, LastAttemptCompleteTime: { } last })
        {
            info.CurrentRetryInterval = ProtoTime.Length(next - last);
        }

        return info;
    }

    /// <summary>Callbacks are kept and shown. Calling them is a part of Nexus, and after the close they say so.</summary>
    private CallbackInfo Describe((Callback Callback, DateTimeOffset Since) registered) => new()
    {
        Callback = registered.Callback,
        Trigger = new CallbackInfo.Types.Trigger { WorkflowClosed = new CallbackInfo.Types.WorkflowClosed() },
        RegistrationTime = ProtoTime.Stamp(registered.Since),
        State = IsOpen ? CallbackState.Standby : CallbackState.Blocked,
        BlockedReason = IsOpen ? "" : "temporal-dev does not implement Nexus: completion callbacks are not called.",
    };

    private static PendingChildExecutionInfo Describe(PendingChild child) => new()
    {
        WorkflowId = child.Initiated.WorkflowId,
        RunId = child.Execution?.RunId ?? "",
        WorkflowTypeName = child.Initiated.WorkflowType.Name,
        InitiatedId = child.InitiatedEvent.EventId,
        ParentClosePolicy = child.Initiated.ParentClosePolicy,
    };
}
