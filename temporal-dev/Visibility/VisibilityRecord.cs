using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Visibility.Filter;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>
/// One run as lists show it. Immutable: the info is shared with every answer that contains it, so whoever hands it in gives it away and never changes it again.
/// </summary>
public sealed class VisibilityRecord : IListEntry
{
    private const long NanosecondsPerTick = 100;

    private Dictionary<string, object>? decoded;

    /// <param name="info">The fields of a list entry; search attribute payloads carry their metadata <c>type</c>.</param>
    public VisibilityRecord(WorkflowExecutionInfo info)
    {
        Info = info;
        ListedAt = info.StartTime?.ToDateTimeOffset().UtcTicks ?? 0;
    }

    public WorkflowExecutionInfo Info { get; }

    public string RunId => Info.Execution.RunId;

    public string WorkflowId => Info.Execution.WorkflowId;

    /// <summary>The start time.</summary>
    public long ListedAt { get; }

    /// <summary>The run id.</summary>
    public string Key => RunId;

    /// <summary>The value of an attribute for comparing (see <see cref="SearchAttributePayload.Decode"/>), or null when the run has none.</summary>
    public object? Attribute(string name) => name switch
    {
        SystemAttributes.WorkflowId => WorkflowId,
        SystemAttributes.RunId => RunId,
        SystemAttributes.WorkflowType => Text(Info.Type?.Name),
        SystemAttributes.ExecutionStatus => Info.Status.ToString(),
        SystemAttributes.TaskQueue => Text(Info.TaskQueue),
        SystemAttributes.StartTime => Time(Info.StartTime),
        SystemAttributes.CloseTime => Time(Info.CloseTime),
        SystemAttributes.ExecutionTime => Time(Info.ExecutionTime),
        SystemAttributes.ExecutionDuration => Info.ExecutionDuration is { } duration ? duration.ToTimeSpan().Ticks * NanosecondsPerTick : null,
        SystemAttributes.HistoryLength => Info.HistoryLength,
        SystemAttributes.HistorySizeBytes => Info.HistorySizeBytes,
        SystemAttributes.StateTransitionCount => Info.StateTransitionCount,
        SystemAttributes.ParentWorkflowId => Text(Info.ParentExecution?.WorkflowId),
        SystemAttributes.ParentRunId => Text(Info.ParentExecution?.RunId),
        SystemAttributes.RootWorkflowId => Text(Info.RootExecution?.WorkflowId) ?? WorkflowId,
        SystemAttributes.RootRunId => Text(Info.RootExecution?.RunId) ?? RunId,
        _ => (decoded ??= Decode()).GetValueOrDefault(name),
    };

    /// <summary>Done at the first question: most records are replaced before anybody asks. Two threads that ask at once decode the same values twice.</summary>
    private Dictionary<string, object> Decode()
    {
        var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var (name, payload) in Info.SearchAttributes?.IndexedFields ?? [])
        {
            if (SearchAttributePayload.Decode(payload, SearchAttributePayload.KindOf(payload)) is { } value)
            {
                attributes[name] = value;
            }
        }

        return attributes;
    }

    private static string? Text(string? value) => string.IsNullOrEmpty(value) ? null : value;

    private static object? Time(Timestamp? time) => time?.ToDateTimeOffset();
}
