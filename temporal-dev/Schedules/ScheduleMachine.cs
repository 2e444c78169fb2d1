using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>What has to be done about the workflows that run now, so that a waiting action can start.</summary>
internal enum Interference
{
    None,
    Cancel,
    Terminate,
}

/// <summary>
/// The rules of one schedule: which actions are due, which of them start, wait or are skipped, and what an ended action means for the next. Changes
/// its record and nothing else; the caller makes the starts that <see cref="Decide"/> leaves in <see cref="ScheduleRecord.Starting"/> and reports
/// what became of them.
/// </summary>
internal sealed class ScheduleMachine
{
    /// <summary>Actions that may wait; more are dropped and counted. Source: Temporal's scheduler, MaxBufferSize.</summary>
    private const int MaxBuffered = 1000;
    private const int RecentActions = 10;

    /// <summary>Future times in a description. Source: Temporal's scheduler.</summary>
    private const int FutureActions = 10;

    private readonly ScheduleRecord record;

    public ScheduleMachine(ScheduleRecord record)
    {
        this.record = record;
        Times = TimesOf(record);
    }

    /// <summary>The times of the spec. Immutable: replaced by an update.</summary>
    public ScheduleTimes Times { get; private set; }

    private ScheduleState State => record.Schedule.State;

    private ScheduleInfo Info => record.Info;

    /// <summary>When <see cref="Advance"/> has something to do next without anybody asking, or null.</summary>
    public DateTimeOffset? NextWake => CanActBySpec ? Times.Next(record.ProcessedUntil)?.Actual : null;

    /// <summary>Whether <see cref="Decide"/> would take more backfilled times into the buffer.</summary>
    public bool HasMore => record.Backfills.Count > 0 && record.Buffer.Count < MaxBuffered;

    private bool CanActBySpec => !State.Paused && (!State.LimitedActions || State.RemainingActions > 0);

    /// <summary>Buffers what has become due. To be called before anything else that happens at <paramref name="now"/>.</summary>
    public void Advance(DateTimeOffset now)
    {
        if (now <= record.ProcessedUntil)
        {
            return;
        }

        if (CanActBySpec)
        {
            var window = record.Schedule.Policies.CatchupWindow.ToTimeSpan();
            foreach (var time in Times.Between(record.ProcessedUntil, now))
            {
                if (now - time.Actual > window)
                {
                    Info.MissedCatchupWindow++;
                }
                else
                {
                    Add(time.Nominal, time.Actual, ScheduleOverlapPolicy.Unspecified, manual: false);
                }
            }
        }

        record.ProcessedUntil = now;
    }

    /// <summary>Replaces what the owner asked for. Memo and search attributes: null keeps the former ones.</summary>
    public void Update(Schedule schedule, SearchAttributes? searchAttributes, Memo? memo, DateTimeOffset now)
    {
        record.Schedule = schedule;
        record.SearchAttributes = searchAttributes ?? record.SearchAttributes;
        record.Memo = memo ?? record.Memo;
        record.Revision++;
        Info.UpdateTime = Timestamp.FromDateTimeOffset(now);
        Times = TimesOf(record);
    }

    public void Patch(SchedulePatch patch, DateTimeOffset now)
    {
        if (patch.TriggerImmediately is { } trigger)
        {
            var nominal = trigger.ScheduledTime?.ToDateTimeOffset() ?? now;
            Add(nominal, now, trigger.OverlapPolicy, manual: true);
        }

        foreach (var backfill in patch.BackfillRequest)
        {
            // The request's start is inclusive.
            record.Backfills.Add(new Backfill(backfill.StartTime.ToDateTimeOffset().AddTicks(-1), backfill.EndTime.ToDateTimeOffset(), backfill.OverlapPolicy));
        }

        if (patch.Pause.Length > 0)
        {
            (State.Paused, State.Notes) = (true, patch.Pause);
            record.Revision++;
        }

        if (patch.Unpause.Length > 0)
        {
            (State.Paused, State.Notes) = (false, patch.Unpause);
            record.Revision++;
        }
    }

    /// <summary>
    /// Moves buffered actions that may start now to <see cref="ScheduleRecord.Starting"/>, and says whether running ones are in the way of one that
    /// must not wait for them. To be repeated until it changes nothing.
    /// </summary>
    public Interference Decide()
    {
        FillFromBackfills();
        var interference = Interference.None;
        var running = record.Running.Exists(run => !run.Overlapping);
        BufferedStart? chosen = null;
        var waiting = new List<BufferedStart>();
        foreach (var start in record.Buffer)
        {
            var policy = Policy(start);
            if (policy == ScheduleOverlapPolicy.AllowAll)
            {
                Begin(start);
            }
            else if (!running && chosen is null)
            {
                chosen = start;
            }
            else if (policy == ScheduleOverlapPolicy.BufferAll || (policy == ScheduleOverlapPolicy.BufferOne && waiting.Count == 0))
            {
                waiting.Add(start);
            }
            else if (policy is ScheduleOverlapPolicy.CancelOther or ScheduleOverlapPolicy.TerminateOther)
            {
                if (running)
                {
                    waiting.Add(start);
                    var terminate = policy == ScheduleOverlapPolicy.TerminateOther || interference == Interference.Terminate;
                    interference = terminate ? Interference.Terminate : Interference.Cancel;
                }
                else
                {
                    // What it would end has not begun: it takes its place.
                    chosen = start;
                    Info.OverlapSkipped++;
                }
            }
            else
            {
                Info.OverlapSkipped++;
            }
        }

        record.Buffer.Clear();
        record.Buffer.AddRange(waiting);
        if (chosen is not null)
        {
            Begin(chosen);
        }

        return interference;
    }

    /// <summary>A start succeeded.</summary>
    public void Started(BufferedStart start, WorkflowExecution execution, DateTimeOffset now)
    {
        record.Starting.Remove(start);
        record.Running.Add(new ActionRun(execution.WorkflowId, execution.RunId, Policy(start) == ScheduleOverlapPolicy.AllowAll));
        Info.ActionCount++;
        Info.RecentActions.Add(new ScheduleActionResult
        {
            ScheduleTime = Timestamp.FromDateTimeOffset(start.Actual),
            ActualTime = Timestamp.FromDateTimeOffset(now),
            StartWorkflowResult = execution,
            StartWorkflowStatus = WorkflowExecutionStatus.Running,
        });
        if (Info.RecentActions.Count > RecentActions)
        {
            Info.RecentActions.RemoveAt(0);
        }
    }

    /// <summary>A start was refused for good: the action is not taken and not counted.</summary>
    public void NotStarted(BufferedStart start) => record.Starting.Remove(start);

    /// <summary>An action's workflow closed and no further run follows it. Ignored when it is not one of ours that runs.</summary>
    public void Closed(ClosedAction closed)
    {
        if (record.Running.RemoveAll(run => run.FirstRunId == closed.FirstRunId) == 0)
        {
            return;
        }

        foreach (var action in Info.RecentActions.Where(action => action.StartWorkflowResult.RunId == closed.FirstRunId))
        {
            action.StartWorkflowStatus = closed.Status;
        }

        if (closed.Status == WorkflowExecutionStatus.Completed)
        {
            record.LastCompletionResult = closed.Result;
            record.ContinuedFailure = null;
        }
        else if (closed.Failure is not null)
        {
            record.ContinuedFailure = closed.Failure;
        }

        var failed = closed.Status is WorkflowExecutionStatus.Failed or WorkflowExecutionStatus.TimedOut;
        if (failed && record.Schedule.Policies.PauseOnFailure && !State.Paused)
        {
            State.Paused = true;
            State.Notes = closed.Status == WorkflowExecutionStatus.TimedOut
                ? $"paused due to workflow timeout: {closed.WorkflowId}"
                : $"paused due to workflow failure: {closed.WorkflowId}: {closed.Failure?.Message}";
            record.Revision++;
        }
    }

    /// <summary>The info of a description: a copy, with running workflows and future times filled in.</summary>
    public ScheduleInfo Describe(DateTimeOffset now)
    {
        var info = Info.Clone();
        info.BufferSize = record.Buffer.Count + record.Starting.Count;
        info.RunningWorkflows.AddRange(record.Running.Select(run => new WorkflowExecution { WorkflowId = run.WorkflowId, RunId = run.FirstRunId }));
        info.FutureActionTimes.AddRange(FutureTimes(Times, State, now, FutureActions));
        return info;
    }

    /// <summary>When the next actions are due, as if nothing paused them; no more than remain.</summary>
    public static IEnumerable<Timestamp> FutureTimes(ScheduleTimes times, ScheduleState state, DateTimeOffset now, int most) => times
        .Between(now, DateTimeOffset.MaxValue, state.LimitedActions ? (int)Math.Min(most, state.RemainingActions) : most)
        .Select(time => Timestamp.FromDateTimeOffset(time.Actual));

    private static ScheduleTimes TimesOf(ScheduleRecord record) => new(record.Schedule.Spec, $"{record.Namespace}/{record.Id}");

    private ScheduleOverlapPolicy Policy(BufferedStart start) =>
        start.Overlap == ScheduleOverlapPolicy.Unspecified ? record.Schedule.Policies.OverlapPolicy : start.Overlap;

    private void Add(DateTimeOffset nominal, DateTimeOffset actual, ScheduleOverlapPolicy overlap, bool manual)
    {
        if (record.Buffer.Count >= MaxBuffered)
        {
            Info.BufferDropped++;
        }
        else
        {
            record.Buffer.Add(new BufferedStart(++record.Buffered, nominal, actual, overlap, manual));
        }
    }

    /// <summary>Actions by the spec use up the remaining ones, and only when they really start.</summary>
    private void Begin(BufferedStart start)
    {
        if (!start.Manual)
        {
            if (!CanActBySpec)
            {
                return;
            }

            if (State.LimitedActions)
            {
                State.RemainingActions--;
                record.Revision++;
            }
        }

        record.Starting.Add(start);
    }

    /// <summary>Takes over as many times as the buffer has room for; the rest waits for its turn and is never dropped.</summary>
    private void FillFromBackfills()
    {
        while (record.Backfills.Count > 0 && record.Buffer.Count < MaxBuffered)
        {
            var backfill = record.Backfills[0];
            var due = Times.Between(backfill.After, backfill.Until, MaxBuffered - record.Buffer.Count).ToList();
            due.ForEach(time => Add(time.Nominal, time.Actual, backfill.Overlap, manual: true));
            if (record.Buffer.Count < MaxBuffered)
            {
                record.Backfills.RemoveAt(0);
            }
            else
            {
                record.Backfills[0] = backfill with { After = due[^1].Actual };
            }
        }
    }
}
