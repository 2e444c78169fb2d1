namespace SnapshotFlow.Tests.TemporalDev.Properties;

internal enum TaskPhase
{
    None,
    Scheduled,
    Started,
}

internal enum ModelActivityPhase
{
    Scheduled,
    Started,
    Backoff,
}

internal sealed record ModelActivity(string Id, ModelActivityPhase Phase, int Attempt, DateTimeOffset? Due, bool CancelAsked, bool Closing);

internal sealed record ModelTimer(string Id, DateTimeOffset Due, bool Fired);

/// <summary>What a worker may ask for in one completion.</summary>
internal abstract record Ask
{
    public sealed record Schedule(string Activity) : Ask;

    public sealed record CancelActivity(string Activity) : Ask;

    public sealed record StartTimer(string Timer, TimeSpan After) : Ask;

    public sealed record CancelTimer(string Timer) : Ask;

    public sealed record Mark(string Name) : Ask;

    public sealed record Complete : Ask;

    public sealed record Fail : Ask;

    public sealed record Continue : Ask;

    public bool Closes => this is Complete or Fail or Continue;
}

/// <summary>
/// What one run must be, said a second time and as simply as possible: a log of what happened, and what is pending. It is written from the
/// rules (workflow task attempts, buffering, activity retries), not from the server's code.
/// </summary>
internal sealed class RunModel
{
    public static readonly TimeSpan TaskTimeout = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan ActivityTimeout = TimeSpan.FromSeconds(7);
    public const int ActivityAttempts = 3;

    private readonly List<string> log = [];
    private readonly List<(string Entry, string? Activity, string? Timer)> buffered = [];
    private readonly SortedDictionary<string, ModelActivity> activities = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ModelTimer> timers = new(StringComparer.Ordinal);
    private bool cancelAsked;
    private DateTimeOffset? taskDue;
    private bool changedSinceTransient;

    public RunModel(string runId)
    {
        RunId = runId;
        ScheduleTask(1, default);
    }

    private RunModel(RunModel other)
    {
        RunId = other.RunId;
        log = [.. other.log];
        buffered = [.. other.buffered];
        activities = new(other.activities, StringComparer.Ordinal);
        timers = new(other.timers, StringComparer.Ordinal);
        cancelAsked = other.cancelAsked;
        taskDue = other.taskDue;
        changedSinceTransient = other.changedSinceTransient;
        IsOpen = other.IsOpen;
        Task = other.Task;
        TaskAttempt = other.TaskAttempt;
        TaskNumber = other.TaskNumber;
    }

    public string RunId { get; }

    public bool IsOpen { get; private set; } = true;

    public TaskPhase Task { get; private set; }

    public int TaskAttempt { get; private set; }

    /// <summary>Counts tasks, so that an answer to an older one is recognised.</summary>
    public int TaskNumber { get; private set; }

    /// <summary>Whether a poller would get the workflow task now.</summary>
    public bool CanStartTask => Task == TaskPhase.Scheduled && taskDue is null;

    public int BufferedCount => buffered.Count;

    public IReadOnlyCollection<ModelActivity> Activities => activities.Values;

    public IEnumerable<string> ReadyActivities => activities.Values.Where(a => a is { Phase: ModelActivityPhase.Scheduled, Closing: false }).Select(a => a.Id);

    public IEnumerable<string> CancelableTimers => timers.Keys;

    public RunModel Clone() => new(this);

    public void Signal(string name) => Occur($"signal {name}");

    public void RequestCancel()
    {
        if (IsOpen && !cancelAsked)
        {
            cancelAsked = true;
            Occur("cancel requested");
        }
    }

    public void StartTask(DateTimeOffset now)
    {
        if (TaskAttempt > 1 && changedSinceTransient)
        {
            TaskAttempt = 1;
        }

        Task = TaskPhase.Started;
        taskDue = now + TaskTimeout;
    }

    public void FailTask(DateTimeOffset now) => EndAttempt("task failed", now);

    /// <summary>False when the completion closes the run while something is buffered: then the task fails instead.</summary>
    public bool CompleteTask(IReadOnlyList<Ask> asks, DateTimeOffset now)
    {
        if (asks.Any(a => a.Closes) && buffered.Count > 0)
        {
            FailTask(now);
            return false;
        }

        Write("task completed");
        Task = TaskPhase.None;
        taskDue = null;
        var needsTask = false;
        foreach (var ask in asks)
        {
            needsTask |= Apply(ask, now);
        }

        if (IsOpen && (Flush() || needsTask))
        {
            ScheduleTask(1, now);
        }

        return true;
    }

    public void StartActivity(string id, DateTimeOffset now) =>
        activities[id] = activities[id] with { Phase = ModelActivityPhase.Started, Due = now + ActivityTimeout };

    public bool IsCurrent(string id, int attempt) =>
        IsOpen && activities.TryGetValue(id, out var activity) && activity is { Phase: ModelActivityPhase.Started, Closing: false } && activity.Attempt == attempt;

    public bool IsCancelAsked(string id) => activities[id].CancelAsked;

    public void CompleteActivity(string id) => CloseActivity(id, "completed");

    public void FailActivity(string id, bool retryable, DateTimeOffset now)
    {
        if (!retryable || !Retry(id, now))
        {
            CloseActivity(id, "failed");
        }
    }

    public void ReportActivityCanceled(string id) => CloseActivity(id, "canceled");

    public void Terminate()
    {
        if (Task == TaskPhase.Started)
        {
            if (TaskAttempt == 1)
            {
                Write("task failed");
            }

            Task = TaskPhase.None;
            Flush();
        }

        Close("terminated");
    }

    /// <summary>Time has come to <paramref name="now"/>: whatever was due until then happens, the earliest first.</summary>
    public void PassTime(DateTimeOffset now)
    {
        while (IsOpen)
        {
            var due = new List<(DateTimeOffset At, Action Happen)>();
            if (taskDue is { } task)
            {
                due.Add((task, () => TaskIsDue(now)));
            }

            due.AddRange(timers.Values.Where(t => !t.Fired).Select(t => (t.Due, (Action)(() => FireTimer(t)))));
            due.AddRange(activities.Values.Where(a => a is { Due: not null, Closing: false }).Select(a => (a.Due!.Value, (Action)(() => ActivityIsDue(a, now)))));
            var next = due.Where(d => d.At <= now).OrderBy(d => d.At).FirstOrDefault();
            if (next.Happen is null)
            {
                return;
            }

            next.Happen();
        }
    }

    /// <summary>Everything that the server must agree with, as text.</summary>
    public string Describe()
    {
        var lines = log.Prepend("history:").Append(IsOpen ? "open" : "closed");
        if (IsOpen)
        {
            lines = lines.Append(Task == TaskPhase.None ? "no task" : $"task {Task} attempt {TaskAttempt}")
                .Concat(activities.Values.Select(a => $"pending activity {a.Id} {a.Phase} attempt {a.Attempt}"))
                .Concat(timers.Values.Select(t => $"pending timer {t.Id}"))
                .Append($"{buffered.Count} buffered");
        }

        return string.Join('\n', lines);
    }

    private void TaskIsDue(DateTimeOffset now)
    {
        if (Task == TaskPhase.Started)
        {
            EndAttempt("task timed out", now);
        }
        else
        {
            taskDue = null;
        }
    }

    private void FireTimer(ModelTimer timer)
    {
        timers[timer.Id] = timer with { Fired = true };
        Occur($"timer {timer.Id} fired", timer: timer.Id);
    }

    private void ActivityIsDue(ModelActivity activity, DateTimeOffset now)
    {
        if (activity.Phase == ModelActivityPhase.Backoff)
        {
            activities[activity.Id] = activity with { Phase = ModelActivityPhase.Scheduled, Due = null };
        }
        else if (!Retry(activity.Id, now))
        {
            CloseActivity(activity.Id, "timed out");
        }
    }

    private bool Retry(string id, DateTimeOffset now)
    {
        var activity = activities[id];
        if (activity.CancelAsked || activity.Attempt >= ActivityAttempts)
        {
            return false;
        }

        activities[id] = activity with
        {
            Phase = ModelActivityPhase.Backoff,
            Due = now + TimeSpan.FromSeconds(Math.Pow(2, activity.Attempt - 1)),
            Attempt = activity.Attempt + 1,
        };
        return true;
    }

    private void CloseActivity(string id, string how)
    {
        var activity = activities[id];
        activities[id] = activity with { Closing = true };
        Occur($"activity {id} {how} attempt {activity.Attempt}", activity: id);
    }

    private bool Apply(Ask ask, DateTimeOffset now)
    {
        switch (ask)
        {
            case Ask.Schedule schedule:
                Write($"activity {schedule.Activity} scheduled");
                activities.Add(schedule.Activity, new ModelActivity(schedule.Activity, ModelActivityPhase.Scheduled, 1, null, false, false));
                return false;
            case Ask.CancelActivity cancel:
                Write($"activity {cancel.Activity} asked to cancel");
                var activity = activities[cancel.Activity];
                activities[cancel.Activity] = activity with { CancelAsked = true };
                if (activity is { Closing: false, Phase: not ModelActivityPhase.Started })
                {
                    Write($"activity {cancel.Activity} canceled");
                    activities.Remove(cancel.Activity);
                    return true;
                }

                return false;
            case Ask.StartTimer timer:
                Write($"timer {timer.Timer} started");
                timers.Add(timer.Timer, new ModelTimer(timer.Timer, now + timer.After, false));
                return false;
            case Ask.CancelTimer timer:
                Write($"timer {timer.Timer} canceled");
                timers.Remove(timer.Timer);
                return false;
            case Ask.Mark mark:
                Write($"marker {mark.Name}");
                return false;
            default:
                Close(ask switch
                {
                    Ask.Complete => "completed",
                    Ask.Fail => "failed",
                    _ => "continued as new",
                });
                return false;
        }
    }

    private void Close(string how)
    {
        Write(how);
        IsOpen = false;
        Task = TaskPhase.None;
        taskDue = null;
        activities.Clear();
        timers.Clear();
        buffered.Clear();
    }

    private void EndAttempt(string entry, DateTimeOffset now)
    {
        if (TaskAttempt == 1)
        {
            Write(entry);
        }

        Task = TaskPhase.None;
        ScheduleTask(Flush() ? 1 : TaskAttempt + 1, now);
    }

    private void ScheduleTask(int attempt, DateTimeOffset now)
    {
        Task = TaskPhase.Scheduled;
        TaskAttempt = attempt;
        TaskNumber++;
        changedSinceTransient = false;
        var seconds = Math.Min(10, 0.1 * Math.Pow(2, attempt - 2));
        taskDue = attempt >= 3 ? now + TimeSpan.FromSeconds(seconds) : null;
    }

    /// <summary>Something from outside: held back while a worker has the workflow task, otherwise written with a task to see it.</summary>
    private void Occur(string entry, string? activity = null, string? timer = null)
    {
        buffered.Add((entry, activity, timer));
        if (Task != TaskPhase.Started)
        {
            Flush();
            if (Task == TaskPhase.None)
            {
                ScheduleTask(1, default);
            }
        }
    }

    private bool Flush()
    {
        var any = false;
        foreach (var (entry, activity, timer) in buffered)
        {
            if ((activity is null || activities.Remove(activity)) && (timer is null || timers.Remove(timer)))
            {
                Write(entry);
                any = true;
            }
        }

        buffered.Clear();
        return any;
    }

    private void Write(string entry)
    {
        log.Add(entry);
        changedSinceTransient = true;
    }
}
