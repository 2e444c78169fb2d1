using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>How the runs about single snapshots, volumes and finished images call their steps.</summary>
public static class Steps
{
    /// <summary>While the caller waits for 202.</summary>
    internal static readonly TimeSpan WhileCallerWaits = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan ForRecords = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan ForDriver = TimeSpan.FromHours(1);

    private static readonly TimeSpan ForOneAttempt = TimeSpan.FromMinutes(30);

    /// <summary>How long a delete waits before it asks again for a snapshot that something needs; then it gives up.</summary>
    private static readonly TimeSpan[] WhileBusy =
        [TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(40)];

    /// <summary>
    /// The longest that such a run can take, by its own time-outs: its first step, a driver call that makes something, two more records, the driver call that undoes it
    /// and the two last records; and one attempt at a driver call that outlives the run because its worker has not heard of the end.
    /// </summary>
    public static TimeSpan LongestRun => WhileCallerWaits + ForDriver + (2 * ForRecords) + (3 * ForDriver) + ForOneAttempt;

    /// <summary>A record-keeping step. What has been begun is written to the end, so that its undo finds all of it.</summary>
    internal static ActivityOptions Recording(TimeSpan? altogether = null) => new()
    {
        TaskQueue = Names.ControlQueue,
        StartToCloseTimeout = TimeSpan.FromSeconds(10),
        ScheduleToCloseTimeout = altogether ?? ForRecords,
        RetryPolicy = Retries.Quick,
        CancellationType = ActivityCancellationType.WaitCancellationCompleted,
    };

    /// <summary>A record-keeping step that a cancelled run takes too: an undo, or the last one of a deletion.</summary>
    internal static ActivityOptions Ending() => new()
    {
        TaskQueue = Names.ControlQueue,
        StartToCloseTimeout = TimeSpan.FromSeconds(10),
        ScheduleToCloseTimeout = ForDriver,
        RetryPolicy = Retries.Patient,
        CancellationToken = CancellationToken.None,
    };

    /// <summary>A driver call that makes something.</summary>
    internal static ActivityOptions Driving(string backend, string summary, CancellationToken? cancellationToken = null) => new()
    {
        TaskQueue = Names.VolumeQueue(backend),
        StartToCloseTimeout = ForOneAttempt,
        ScheduleToCloseTimeout = ForDriver,
        HeartbeatTimeout = TimeSpan.FromSeconds(5),
        RetryPolicy = Retries.Patient,
        // The delete that undoes it must not overtake it.
        CancellationType = ActivityCancellationType.WaitCancellationCompleted,
        CancellationToken = cancellationToken,
        Summary = Summaries.Fit(summary),
    };

    /// <summary>A driver call that deletes. Never cancelled: half of a deletion is worth less than none.</summary>
    internal static ActivityOptions Deleting(string backend, TimeSpan altogether, string summary) => new()
    {
        TaskQueue = Names.VolumeQueue(backend),
        StartToCloseTimeout = TimeSpan.FromMinutes(5),
        ScheduleToCloseTimeout = altogether,
        HeartbeatTimeout = TimeSpan.FromSeconds(5),
        // Busy is not a matter of the driver's: the run waits and asks again, a few times.
        RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(250), BackoffCoefficient = 2, MaximumInterval = TimeSpan.FromSeconds(15), NonRetryableErrorTypes = [nameof(ErrorKind.Busy)] },
        CancellationToken = CancellationToken.None,
        Summary = Summaries.Fit(summary),
    };

    /// <summary>
    /// Begins a deletion while the caller waits. When nobody knows whether it has begun, that is found out, and what has begun goes forward.
    /// </summary>
    /// <param name="resume">Whether it has begun before and is only to go on.</param>
    /// <param name="begin">The first step: whether to resume only, and how to call it.</param>
    internal static async Task<Begun<T>> BeginAsync<T>(bool resume, Func<bool, ActivityOptions, Task<T>> begin) where T : class
    {
        try
        {
            return new(await begin(resume, Recording(WhileCallerWaits)), null, null);
        }
        catch (ActivityFailureException e)
        {
            var reason = Failures.Describe(e);
            if (reason.Kind.IsRefusal() && !TemporalException.IsCanceledException(e))
            {
                return new(null, reason, e);
            }

            try
            {
                return new(await begin(true, Ending()), null, null);
            }
            catch (ActivityFailureException)
            {
                return new(null, reason, e);
            }
        }
    }

    /// <summary>Deletes one snapshot in its back end; answers what became of it, and does not fail.</summary>
    internal static async Task<DeletedSnapshot> DeleteSnapshotAsync(SnapshotToDelete snapshot)
    {
        if (snapshot.Backend is null)
        {
            // A volume that is nowhere has no snapshots anywhere.
            return new(snapshot.Snapshot, null);
        }

        var input = new VolumeSnapshotInput(snapshot.Volume, snapshot.Snapshot);
        return new(snapshot.Snapshot, await UntilNotBusyAsync(altogether => Workflow.ExecuteActivityAsync(
            (IVolumeActivities a) => a.DeleteVolumeSnapshotAsync(input), Deleting(snapshot.Backend, altogether, $"delete {Names.Snapshot(snapshot.Snapshot)} on {snapshot.Backend}"))));
    }

    /// <summary>Deletes one volume in its back end; answers why it is still there, or null.</summary>
    internal static Task<Refusal?> DeleteVolumeAsync(VolumeId volume, string backend) => UntilNotBusyAsync(altogether => Workflow.ExecuteActivityAsync(
        (IVolumeCloneActivities a) => a.DeleteVolumeAsync(volume), Deleting(backend, altogether, $"delete {Names.Volume(volume)} on {backend}")));

    private static async Task<Refusal?> UntilNotBusyAsync(Func<TimeSpan, Task> delete)
    {
        var until = Workflow.UtcNow + ForDriver;
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await delete(until - Workflow.UtcNow);
                return null;
            }
            catch (ActivityFailureException e)
            {
                var failure = Failures.Describe(e);
                if (failure.Kind is not ErrorKind.Busy || attempt == WhileBusy.Length || Workflow.UtcNow + WhileBusy[attempt] >= until)
                {
                    return failure;
                }
            }

            await Workflow.DelayAsync(WhileBusy[attempt], CancellationToken.None);
        }
    }
}

/// <summary>A deletion that has begun, or not.</summary>
/// <param name="Plan">What is to be deleted; null when it has not begun.</param>
/// <param name="Refusal">Why not.</param>
/// <param name="Failure">The failure of its first step.</param>
internal sealed record Begun<T>(T? Plan, Refusal? Refusal, ActivityFailureException? Failure) where T : class
{
    /// <summary>How the run ends when nothing has begun: refused, cancelled, or failed because nobody answered.</summary>
    public RunEnd Ended() => TemporalException.IsCanceledException(Failure!)
        ? throw new OperationCanceledException(Refusal!.Message, Failure, Workflow.CancellationToken)
        : Refusal!.Kind.IsRefusal() ? new(RunStatus.Refused, Refusal) : throw Refusal.Failure(Failure);
}
