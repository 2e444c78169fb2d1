using SnapshotFlow.Model;
using Temporalio.Activities;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Activities;

/// <summary>Tells Temporal that a step is alive, so that a dead worker is noticed within the heartbeat timeout and cancellation reaches the step.</summary>
internal sealed class Heartbeats(TimeProvider time)
{
    // Well below the shortest heartbeat timeout in use (2 s); the SDK sends fewer than it is given.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(400);

    // Well below the shortest heartbeat timeout too: no attempt is given up for its silence within this time.
    private static readonly TimeSpan Prompt = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan ForConfirmation = TimeSpan.FromSeconds(5);

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

    /// <summary>
    /// The same for a step that must never happen after its undo. An attempt can be long on its way, to a worker that was stopped or cut off: meanwhile Temporal
    /// has given it up, and the run may have undone it and be over. One that begins late therefore asks first. Where the clocks of this host and of Temporal differ
    /// by more than a second every attempt asks: that costs one call. A late attempt escapes only where this host's clock is behind by just as much as it is late.
    /// </summary>
    /// <param name="step">Receives the activity's cancellation token.</param>
    /// <param name="details">What to report with each heartbeat; null for nothing.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.StaleStatus"/>: the attempt is not wanted any more; nobody waits for its answer.</exception>
    public Task<T> WhileWantedAsync<T>(Func<CancellationToken, Task<T>> step, Func<object?>? details = null) => WhileAsync(
        async ct =>
        {
            if ((time.GetUtcNow() - ActivityExecutionContext.Current.Info.StartedTime).Duration() > Prompt)
            {
                await ConfirmAsync(ActivityExecutionContext.Current, ct);
            }

            return await step(ct);
        },
        details);

    private static async Task ConfirmAsync(ActivityExecutionContext context, CancellationToken ct)
    {
        try
        {
            await context.TemporalClient.GetAsyncActivityHandle(context.Info.TaskToken)
                .HeartbeatAsync(new() { Rpc = new() { Timeout = ForConfirmation, CancellationToken = ct } });
        }
        catch (AsyncActivityCanceledException)
        {
            // The run waits for the answer, whatever it is, and hears of the cancellation by the usual way.
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            throw new SnapshotFlowException(
                ErrorKind.StaleStatus, $"attempt {context.Info.Attempt} at {context.Info.ActivityType} was given up before it began, and does nothing: {e.Message}", e);
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
