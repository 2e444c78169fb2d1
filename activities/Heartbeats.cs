using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Tells Temporal that a step is alive, so that a dead worker is noticed within the heartbeat timeout and cancellation reaches the step.</summary>
internal sealed class Heartbeats(TimeProvider time)
{
    // Well below the shortest heartbeat timeout in use (2 s); the SDK sends fewer than it is given.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(400);

    /// <summary>Sends heartbeats until the step ends.</summary>
    /// <param name="step">Receives the activity's cancellation token.</param>
    /// <param name="details">What to report with each heartbeat; null for nothing.</param>
    public async Task<T> WhileAsync<T>(Func<CancellationToken, Task<T>> step, Func<object?>? details = null)
    {
        var context = ActivityExecutionContext.Current;
        using var ended = new CancellationTokenSource();
        var beating = BeatAsync(context, details, ended.Token);
        try
        {
            return await step(context.CancellationToken);
        }
        finally
        {
            await ended.CancelAsync();
            await beating;
        }
    }

    private async Task BeatAsync(ActivityExecutionContext context, Func<object?>? details, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            // Not at once: the start of an attempt is a sign of life too, and what a frozen guest waits for is mostly over before a heartbeat is due.
            while (await timer.WaitForNextTickAsync(ended))
            {
                context.Heartbeat(details?.Invoke() is { } detail ? [detail] : []);
            }
        }
        catch (OperationCanceledException)
        {
            // The step has ended.
        }
    }
}
