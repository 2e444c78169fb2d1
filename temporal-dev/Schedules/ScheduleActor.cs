using System.Collections.Concurrent;
using System.Threading.Channels;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>
/// One living schedule: a mailbox in front of its machine. One piece of work at a time, each of which begins by catching up with the clock and ends
/// when what it changed is durable, the actions that may start have started and the alarm is set. Waiting work holds the clock, so that time does not
/// skip past it.
/// </summary>
internal sealed partial class ScheduleActor : IAsyncDisposable
{
    /// <summary>The collection of schedules in the store.</summary>
    public const string BlobKind = "schedule";

    private readonly ScheduleRecord record;
    private readonly ScheduleMachine machine;
    private readonly VirtualClock clock;
    private readonly CommitQueue commits;
    private readonly IActionTarget target;
    private readonly ConcurrentDictionary<string, ScheduleActor> watched;
    private readonly ILogger logger;
    private readonly Channel<Func<Task>> mailbox = Channel.CreateUnbounded<Func<Task>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource stopping = new();
    private readonly Lock gate = new();
    private readonly VirtualClock.Alarm alarm;
    private readonly Task pump;
    private int waiting;

    /// <param name="watched">By first run id, whom to wake when a started workflow ends.</param>
    public ScheduleActor(
        ScheduleRecord record, VirtualClock clock, CommitQueue commits, IActionTarget target, ConcurrentDictionary<string, ScheduleActor> watched, ILogger logger)
    {
        this.record = record;
        this.clock = clock;
        this.commits = commits;
        this.target = target;
        this.watched = watched;
        this.logger = logger;
        machine = new ScheduleMachine(record);
        alarm = clock.CreateAlarm($"schedule {record.Id}", Wake);
        pump = Task.Run(PumpAsync);
    }

    public string CreateRequestId => record.CreateRequestId;

    /// <summary>How lists show it; null until its creation is durable and after its end.</summary>
    public ScheduleListing? Listing { get; private set; }

    private bool Deleted { get; set; }

    /// <summary>Catches up: to be called when a time may have come or an action may have ended. Does not wait; one that is ending takes no notice.</summary>
    public void Wake() => TryPost(async () =>
    {
        if (!Deleted)
        {
            await SettleAsync();
        }
    });

    /// <summary>Changes the schedule; answers when the change is durable and its immediate actions have started.</summary>
    /// <param name="change">Gets the time of the change.</param>
    public Task ChangeAsync(Action<ScheduleMachine, ScheduleRecord, DateTimeOffset> change, CancellationToken cancellationToken) => AskAsync(
        async () =>
        {
            var now = clock.GetUtcNow();
            machine.Advance(now);
            change(machine, record, now);
            await SettleAsync();
            return true;
        },
        cancellationToken);

    /// <summary>Reads the schedule as it is now.</summary>
    public Task<T> ReadAsync<T>(Func<ScheduleMachine, ScheduleRecord, DateTimeOffset, T> read, CancellationToken cancellationToken) =>
        AskAsync(() => Task.FromResult(read(machine, record, clock.GetUtcNow())), cancellationToken);

    /// <summary>Ends the schedule; workflows it started go on.</summary>
    public Task DeleteAsync(CancellationToken cancellationToken) => AskAsync(
        async () =>
        {
            Deleted = true;
            Listing = null;
            await SaveAsync(null);
            return true;
        },
        cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        mailbox.Writer.TryComplete();
        await pump;
        clock.Update(alarm, null, 0);
        stopping.Dispose();
    }

    private async Task<T> AskAsync<T>(Func<Task<T>> work, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = TryPost(async () =>
        {
            try
            {
                answer.SetResult(Deleted ? throw Scheduler.NotFound(record.Id) : await work());
            }
            catch (Exception error)
            {
                answer.SetException(error);
            }
        });
        return !posted
            ? throw Scheduler.NotFound(record.Id)
            : await answer.Task.WaitAsync(cancellationToken);
    }

    /// <summary>False when the schedule has ended or the server is stopping.</summary>
    private bool TryPost(Func<Task> work)
    {
        lock (gate)
        {
            if (!mailbox.Writer.TryWrite(work))
            {
                return false;
            }

            waiting++;
            clock.Update(alarm, null, waiting);
            return true;
        }
    }

    private async Task PumpAsync()
    {
        await foreach (var work in mailbox.Reader.ReadAllAsync())
        {
            try
            {
                await work();
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                // What was begun is written down and goes on after the next start.
            }
            catch (Exception error)
            {
                Log.WakeFailed(logger, record.Id, error);
            }

            lock (gate)
            {
                waiting--;
                clock.Update(alarm, waiting == 0 && !Deleted ? machine.NextWake : null, waiting);
            }
        }
    }

    /// <summary>Takes in what has ended and starts what may start, until nothing is left to do. Decided starts are written down before they are made.</summary>
    private async Task SettleAsync()
    {
        machine.Advance(clock.GetUtcNow());
        var interfered = new HashSet<string>(StringComparer.Ordinal);
        while (true)
        {
            await TakeOutcomesAsync();
            var interference = record.Starting.Count == 0 ? machine.Decide() : Interference.None;
            if (record.Starting.Count > 0)
            {
                await PersistAsync();
                foreach (var start in record.Starting.ToList())
                {
                    await StartAsync(start);
                }
            }
            else if (!await InterfereAsync(interference, interfered) && !machine.HasMore)
            {
                break;
            }
        }

        await PersistAsync();
        Listing = new ScheduleListing(record, machine.Times);
    }

    private async Task StartAsync(BufferedStart start)
    {
        var request = ActionRequest.Of(record, start);
        string? runId = null;
        try
        {
            runId = await target.StartAsync(request, stopping.Token);
        }
        catch (Fault fault)
        {
            // Refused for good, for example because its search attributes have been unregistered since.
            Log.StartRefused(logger, record.Id, request.WorkflowId, fault.Message);
        }

        if (runId is null)
        {
            machine.NotStarted(start);
        }
        else
        {
            machine.Started(start, new WorkflowExecution { WorkflowId = request.WorkflowId, RunId = runId }, clock.GetUtcNow());
        }
    }

    private async Task TakeOutcomesAsync()
    {
        foreach (var run in record.Running.ToList())
        {
            // In this order: a workflow that ends in between is either seen here or wakes us.
            watched[run.FirstRunId] = this;
            if (await target.OutcomeAsync(record.Namespace, run, stopping.Token) is { } closed)
            {
                watched.TryRemove(run.FirstRunId, out _);
                machine.Closed(closed);
            }
        }
    }

    /// <summary>Ends what is in the way, each run once. True when there was something to end.</summary>
    private async Task<bool> InterfereAsync(Interference interference, HashSet<string> interfered)
    {
        if (interference == Interference.None)
        {
            return false;
        }

        var inTheWay = record.Running.Where(run => !run.Overlapping && interfered.Add(run.FirstRunId)).ToList();
        foreach (var run in inTheWay)
        {
            await (interference == Interference.Cancel
                ? target.CancelAsync(record.Namespace, run, ActionRequest.Identity(record), stopping.Token)
                : target.TerminateAsync(record.Namespace, run, ActionRequest.Identity(record), stopping.Token));
        }

        return inTheWay.Count > 0;
    }

    private Task PersistAsync() => commits.IsDurable ? SaveAsync(record.ToBytes()) : Task.CompletedTask;

    private Task SaveAsync(byte[]? value) => commits.IsDurable
        ? commits.Enqueue(Transition.OfBlob(new BlobChange(BlobKind, $"{record.Namespace}/{record.Id}", value)))
        : Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(701, LogLevel.Error, "Schedule {ScheduleId} could not take its due actions; it tries again at its next time or request")]
        public static partial void WakeFailed(ILogger logger, string scheduleId, Exception error);

        [LoggerMessage(702, LogLevel.Warning, "Schedule {ScheduleId} could not start workflow {WorkflowId}: {Reason}")]
        public static partial void StartRefused(ILogger logger, string scheduleId, string workflowId, string reason);
    }
}
