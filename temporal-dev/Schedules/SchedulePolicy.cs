using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>Checks a schedule as a caller gives it and brings it into the form in which it is kept.</summary>
internal static class SchedulePolicy
{
    /// <summary>
    /// How late an action may still be taken when the caller does not say: long enough for any downtime. Source: Temporal's scheduler defaults.
    /// </summary>
    private static readonly TimeSpan DefaultCatchupWindow = TimeSpan.FromDays(365);

    private static readonly TimeSpan MinCatchupWindow = TimeSpan.FromSeconds(10);

    /// <returns>A new schedule with a canonical spec and every default written out.</returns>
    /// <exception cref="FormatException">Something in it cannot work; the message says what.</exception>
    public static Schedule Normalise(Schedule? given)
    {
        var schedule = given?.Clone() ?? throw new FormatException("the request has no schedule");
        schedule.Spec = CanonicalSpec.Of(schedule.Spec);
        schedule.State ??= new ScheduleState();
        schedule.Policies ??= new SchedulePolicies();
        if (schedule.Policies.OverlapPolicy == ScheduleOverlapPolicy.Unspecified)
        {
            schedule.Policies.OverlapPolicy = ScheduleOverlapPolicy.Skip;
        }

        var window = schedule.Policies.CatchupWindow?.ToTimeSpan() ?? DefaultCatchupWindow;
        schedule.Policies.CatchupWindow = Duration.FromTimeSpan(window < MinCatchupWindow ? MinCatchupWindow : window);
        Check(schedule.Action);
        if (schedule.Action.StartWorkflow.RetryPolicy is { } retry)
        {
            schedule.Action.StartWorkflow.RetryPolicy = RetryPolicyRules.WithDefaults(retry);
        }

        return schedule;
    }

    private static void Check(ScheduleAction? action)
    {
        var start = action?.StartWorkflow ?? throw new FormatException("a schedule's action must be to start a workflow");
        if (string.IsNullOrEmpty(start.WorkflowId))
        {
            throw new FormatException("WorkflowId is not set on the schedule's action");
        }

        if (string.IsNullOrEmpty(start.WorkflowType?.Name))
        {
            throw new FormatException("WorkflowType is not set on the schedule's action");
        }

        if (string.IsNullOrEmpty(start.TaskQueue?.Name))
        {
            throw new FormatException("TaskQueue is not set on the schedule's action");
        }

        if (start.WorkflowIdReusePolicy is not (WorkflowIdReusePolicy.Unspecified or WorkflowIdReusePolicy.AllowDuplicate))
        {
            throw new FormatException("WorkflowIdReusePolicy is not allowed in a schedule's action: each action has its own workflow id");
        }

        if (!string.IsNullOrEmpty(start.CronSchedule))
        {
            throw new FormatException("CronSchedule is not allowed in a schedule's action: put the cron string into the schedule's spec");
        }
    }
}
