using System.Collections.Frozen;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>
/// The attributes every namespace has. <see cref="Reserved"/> follow from the run itself and cannot be set by a caller; <see cref="Predefined"/> are ordinary
/// search attributes that need no registration. Source: Temporal visibility, default search attributes.
/// </summary>
public static class SystemAttributes
{
    public const string BuildIds = "BuildIds";
    public const string CloseTime = "CloseTime";
    public const string ExecutionDuration = "ExecutionDuration";
    public const string ExecutionStatus = "ExecutionStatus";
    public const string ExecutionTime = "ExecutionTime";
    public const string HistoryLength = "HistoryLength";
    public const string HistorySizeBytes = "HistorySizeBytes";
    public const string ParentRunId = "ParentRunId";
    public const string ParentWorkflowId = "ParentWorkflowId";
    public const string RootRunId = "RootRunId";
    public const string RootWorkflowId = "RootWorkflowId";
    public const string RunId = "RunId";
    public const string StartTime = "StartTime";
    public const string StateTransitionCount = "StateTransitionCount";
    public const string TaskQueue = "TaskQueue";
    public const string TemporalChangeVersion = "TemporalChangeVersion";
    public const string TemporalScheduledById = "TemporalScheduledById";
    public const string TemporalScheduledStartTime = "TemporalScheduledStartTime";
    public const string TemporalSchedulePaused = "TemporalSchedulePaused";
    public const string WorkflowId = "WorkflowId";
    public const string WorkflowType = "WorkflowType";

    public static FrozenDictionary<string, AttributeKind> Reserved { get; } = new Dictionary<string, AttributeKind>(StringComparer.Ordinal)
    {
        [CloseTime] = AttributeKind.Datetime,
        [ExecutionDuration] = AttributeKind.Duration,
        [ExecutionStatus] = AttributeKind.Status,
        [ExecutionTime] = AttributeKind.Datetime,
        [HistoryLength] = AttributeKind.Int,
        [HistorySizeBytes] = AttributeKind.Int,
        [ParentRunId] = AttributeKind.Keyword,
        [ParentWorkflowId] = AttributeKind.Keyword,
        [RootRunId] = AttributeKind.Keyword,
        [RootWorkflowId] = AttributeKind.Keyword,
        [RunId] = AttributeKind.Keyword,
        [StartTime] = AttributeKind.Datetime,
        [StateTransitionCount] = AttributeKind.Int,
        [TaskQueue] = AttributeKind.Keyword,
        [WorkflowId] = AttributeKind.Keyword,
        [WorkflowType] = AttributeKind.Keyword,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static FrozenDictionary<string, AttributeKind> Predefined { get; } = new Dictionary<string, AttributeKind>(StringComparer.Ordinal)
    {
        ["BatcherNamespace"] = AttributeKind.Keyword,
        ["BatcherUser"] = AttributeKind.Keyword,
        ["BinaryChecksums"] = AttributeKind.KeywordList,
        [BuildIds] = AttributeKind.KeywordList,
        [TemporalChangeVersion] = AttributeKind.KeywordList,
        ["TemporalNamespaceDivision"] = AttributeKind.Keyword,
        ["TemporalPauseInfo"] = AttributeKind.KeywordList,
        ["TemporalReportedProblems"] = AttributeKind.KeywordList,
        [TemporalScheduledById] = AttributeKind.Keyword,
        [TemporalScheduledStartTime] = AttributeKind.Datetime,
        [TemporalSchedulePaused] = AttributeKind.Bool,
        ["TemporalUsedWorkerDeploymentVersions"] = AttributeKind.KeywordList,
        ["TemporalWorkerDeployment"] = AttributeKind.Keyword,
        ["TemporalWorkerDeploymentVersion"] = AttributeKind.Keyword,
        ["TemporalWorkflowVersioningBehavior"] = AttributeKind.Keyword,
    }.ToFrozenDictionary(StringComparer.Ordinal);
}
