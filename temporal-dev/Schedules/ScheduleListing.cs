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
    private readonly ScheduleTimes times;
    private readonly ScheduleState state;
    private readonly ScheduleListEntry entry;

    public ScheduleListing(ScheduleRecord record, ScheduleTimes times)
    {
        this.times = times;
        state = record.Schedule.State.Clone();
        entry = new ScheduleListEntry
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
                RecentActions = { record.Info.RecentActions.TakeLast(ShownActions).Select(action => action.Clone()) },
            },
        };
        attributes = new VisibilityRecord(new() { StartTime = record.Info.CreateTime, SearchAttributes = entry.SearchAttributes });
    }

    public long ListedAt => attributes.ListedAt;

    public string Key => entry.ScheduleId;

    /// <summary>The kind of an attribute that a filter over schedules may name.</summary>
    public static Func<string, AttributeKind?> Kinds(NamespaceAttributes known) => name => name == ScheduleId ? AttributeKind.Keyword : known.KindOf(name);

    /// <summary>The entry of a list made now: its future times are counted from then, also for a schedule that nothing has happened to for long.</summary>
    public ScheduleListEntry EntryAt(DateTimeOffset now)
    {
        var shown = entry.Clone();
        shown.Info.FutureActionTimes.AddRange(ScheduleMachine.FutureTimes(times, state, now, ShownActions));
        return shown;
    }

    public object? Attribute(string name) => name switch
    {
        ScheduleId => Key,
        SystemAttributes.TemporalSchedulePaused => entry.Info.Paused,
        SystemAttributes.WorkflowType => entry.Info.WorkflowType.Name,
        SystemAttributes.ExecutionStatus => nameof(Temporalio.Api.Enums.V1.WorkflowExecutionStatus.Running),
        SystemAttributes.StartTime => attributes.Attribute(name),
        _ when SystemAttributes.Reserved.ContainsKey(name) => null,
        _ => attributes.Attribute(name),
    };
}
