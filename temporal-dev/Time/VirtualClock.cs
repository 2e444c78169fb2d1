namespace SnapshotFlow.TemporalDev.Time;

/// <summary>
/// The one clock for everything the server stamps or times. It runs with the system clock until nothing holds it; a clock that
/// may skip then jumps to the earliest alarm.
/// </summary>
/// <remarks>
/// One thread owns virtual time: it alone jumps and it alone rings alarms, so a jump cannot race with the work that an earlier
/// alarm is still scheduling. What holds the clock is the sum of the callers' locks (<see cref="Lock"/>, <see cref="Unlock"/>)
/// and of the holds that each alarm's owner reports as a plain number (<see cref="Update"/>): nobody counts up and down by hand.
/// The sum is one counter on purpose: an activity that asks to sleep releases, in effect, the hold of its own attempt.
/// </remarks>
internal sealed class VirtualClock : TimeProvider, IDisposable
{
    private readonly TimeProvider system;
    private readonly Lock gate = new();
    private readonly SortedSet<Alarm> alarms = new(Alarm.ByDueTime);
    private readonly HashSet<Alarm> holders = [];
    private readonly AutoResetEvent changed = new(false);
    private readonly Thread thread;
    private TimeSpan offset;
    private long sequence;
    private int locks;
    private int holds;
    private volatile bool stopping;

    /// <param name="system">The clock that real time comes from.</param>
    /// <param name="canSkip">Whether this clock ever jumps; a developer server's does not.</param>
    /// <param name="startUnlocked">Whether it may jump from the start, before any caller has unlocked it.</param>
    public VirtualClock(TimeProvider system, bool canSkip = false, bool startUnlocked = false)
    {
        this.system = system;
        CanSkip = canSkip;
        locks = startUnlocked ? 0 : 1;
        thread = new Thread(Run) { IsBackground = true, Name = "virtual clock" };
        thread.Start();
    }

    public bool CanSkip { get; }

    public override DateTimeOffset GetUtcNow()
    {
        lock (gate)
        {
            return Now_NeedsLock();
        }
    }

    public Alarm CreateAlarm(string owner, Action ring) => new(owner, ring);

    /// <summary>States when an alarm is due (null: not at all) and how many pieces of work of its owner hold the clock.</summary>
    public void Update(Alarm alarm, DateTimeOffset? due, int held) => Update([(alarm, due, held)]);

    /// <summary>The same for several owners at once, with no moment in between at which the clock could jump.</summary>
    public void Update(ReadOnlySpan<(Alarm Alarm, DateTimeOffset? Due, int Holds)> changes)
    {
        lock (gate)
        {
            var wake = false;
            foreach (var (alarm, due, held) in changes)
            {
                wake |= Update_NeedsLock(alarm, due, held);
            }

            if (wake || (CanSkip && locks + holds <= 0))
            {
                changed.Set();
            }
        }
    }

    /// <summary>Holds the clock for a caller.</summary>
    public void Lock()
    {
        lock (gate)
        {
            locks++;
        }
    }

    /// <summary>Gives one lock back. False when nothing holds the clock, which is the caller's mistake.</summary>
    public bool Unlock()
    {
        lock (gate)
        {
            if (locks + holds <= 0)
            {
                return false;
            }

            locks--;
            changed.Set();
            return true;
        }
    }

    /// <summary>Completes when virtual time reaches <paramref name="due"/>.</summary>
    public async Task WaitUntilAsync(DateTimeOffset due, CancellationToken cancellationToken)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var alarm = CreateAlarm("sleep", () => reached.TrySetResult());
        Update(alarm, due, 0);
        try
        {
            await reached.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            Update(alarm, null, 0);
        }
    }

    /// <summary>
    /// Gives a lock back until <paramref name="due"/>, when the alarm itself takes it again, before anything that is due later
    /// can happen and also when the caller has gone. Null when nothing holds the clock, which is the caller's mistake.
    /// </summary>
    public Task? UnlockUntil(DateTimeOffset due)
    {
        lock (gate)
        {
            if (locks + holds <= 0)
            {
                return null;
            }

            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Update_NeedsLock(
                CreateAlarm("sleep", () =>
                {
                    Lock();
                    reached.TrySetResult();
                }),
                due,
                0);
            locks--;
            changed.Set();
            return reached.Task;
        }
    }

    /// <summary>Who holds the clock, so that a clock that does not move explains itself.</summary>
    public string DescribeHolders()
    {
        lock (gate)
        {
            var owners = holders.Select(a => $"{a.Owner} ({a.Holds})").Order(StringComparer.Ordinal).Prepend($"callers ({locks})");
            return $"time is held by {string.Join(", ", owners)}";
        }
    }

    public void Dispose()
    {
        stopping = true;
        changed.Set();
        if (Thread.CurrentThread != thread)
        {
            thread.Join();
        }

        changed.Dispose();
    }

    private DateTimeOffset Now_NeedsLock() => system.GetUtcNow() + offset;

    private bool Update_NeedsLock(Alarm alarm, DateTimeOffset? due, int held)
    {
        if (held != alarm.Holds)
        {
            holds += held - alarm.Holds;
            alarm.Holds = held;
            if (held == 0)
            {
                holders.Remove(alarm);
            }
            else
            {
                holders.Add(alarm);
            }
        }

        if (due == alarm.Due)
        {
            return false;
        }

        if (alarm.Due is not null)
        {
            alarms.Remove(alarm);
        }

        alarm.Due = due;
        if (due is null)
        {
            return false;
        }

        alarm.Sequence = ++sequence;
        alarms.Add(alarm);
        return alarms.Min == alarm;
    }

    private void Run()
    {
        while (!stopping)
        {
            Alarm? ringing = null;
            var wait = Timeout.InfiniteTimeSpan;
            lock (gate)
            {
                if (alarms.Min is { } next)
                {
                    wait = next.Due!.Value - Now_NeedsLock();
                    if (wait > TimeSpan.Zero && CanSkip && locks + holds <= 0)
                    {
                        offset += wait;
                        wait = TimeSpan.Zero;
                    }

                    if (wait <= TimeSpan.Zero)
                    {
                        alarms.Remove(next);
                        next.Due = null;
                        ringing = next;
                    }
                }
            }

            if (ringing is null)
            {
                // A wait handle takes at most about 24 days; a longer wait simply looks again.
                changed.WaitOne(wait < TimeSpan.FromDays(1) ? WholeMilliseconds(wait) : TimeSpan.FromDays(1));
            }
            else
            {
                ringing.Ring();
            }
        }
    }

    /// <summary>Wait handles round down to milliseconds, which would spin through the last one.</summary>
    private static TimeSpan WholeMilliseconds(TimeSpan wait) =>
        wait == Timeout.InfiniteTimeSpan ? wait : TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds));

    /// <summary>One owner's entry in the clock: when to wake it, and how much of its work holds time still.</summary>
    internal sealed class Alarm(string owner, Action ring)
    {
        public static readonly IComparer<Alarm> ByDueTime = Comparer<Alarm>.Create((a, b) =>
            a.Due != b.Due ? Nullable.Compare(a.Due, b.Due) : a.Sequence.CompareTo(b.Sequence));

        public string Owner { get; } = owner;

        public DateTimeOffset? Due { get; set; }

        public long Sequence { get; set; }

        public int Holds { get; set; }

        public void Ring() => ring();
    }
}
