using SnapshotFlow.TemporalDev.Visibility;
using SnapshotFlow.TemporalDev.Visibility.Filter;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>A schedule as lists show it. Immutable: replaced after every change of the schedule.</summary>
internal sealed class ScheduleListing : IListEntry
{
    /// <summary>The attribute that only lists of schedules have.</summary>
    public const string ScheduleId = "ScheduleId";

    /// <summary>Recent and future actions in a list entry. Source: Temporal's scheduler.</summary>
    private const int ShownActions = 5;

    private readonly VisibilityRecord attributes;

    public ScheduleListing(ScheduleRecord record, ScheduleInfo described)
    {
        Entry = new ScheduleListEntry
        {
            ScheduleId = record.Id,
            Memo = record.Memo?.Clone(),
            SearchAttributes = record.SearchAttributes?.Clone(),
            Info = new ScheduleListInfo
            {
                Spec = record.Schedule.Spec.Clone(),
                WorkflowType = record.Schedule.Action.StartWorkflow.WorkflowType.Clone(),
                Notes = record.Schedule.State.Notes,
                Paused = record.Schedule.State.Paused,
                RecentActions = { described.RecentActions.TakeLast(ShownActions) },
                FutureActionTimes = { described.FutureActionTimes.Take(ShownActions) },
            },
        };
        attributes = new VisibilityRecord(new() { StartTime = described.CreateTime, SearchAttributes = Entry.SearchAttributes });
    }

    public ScheduleListEntry Entry { get; }

    public long ListedAt => attributes.ListedAt;

    public string Key => Entry.ScheduleId;

    /// <summary>The kind of an attribute that a filter over schedules may name.</summary>
    public static Func<string, AttributeKind?> Kinds(NamespaceAttributes known) => name => name == ScheduleId ? AttributeKind.Keyword : known.KindOf(name);

    public object? Attribute(string name) => name switch
    {
        ScheduleId => Entry.ScheduleId,
        SystemAttributes.TemporalSchedulePaused => Entry.Info.Paused,
        SystemAttributes.WorkflowType => Entry.Info.WorkflowType.Name,
        SystemAttributes.ExecutionStatus => nameof(Temporalio.Api.Enums.V1.WorkflowExecutionStatus.Running),
        SystemAttributes.StartTime => attributes.Attribute(name),
        _ when SystemAttributes.Reserved.ContainsKey(name) => null,
        _ => attributes.Attribute(name),
    };
}
