using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>Calls that a client repeats by itself when the SDK's own ten seconds were not enough.</summary>
internal static class Insisting
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Repeats until there is an answer. Tells also whether some attempt had none, so that it may have had its effect, too.</summary>
    public static async Task<(T Result, bool WasUncertain)> On<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        for (var uncertain = false; ; uncertain = true)
        {
            try
            {
                return (await call(), uncertain);
            }
            catch (RpcException e) when (HasNoAnswer(e))
            {
                await Task.Delay(Pause, cancellationToken);
            }
            catch (WorkflowUpdateRpcTimeoutOrCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // What an update throws instead when the connection breaks under it.
                await Task.Delay(Pause, cancellationToken);
            }
        }
    }

    public static async Task<bool> On(Func<Task> call, CancellationToken cancellationToken) =>
        (await On(
            async () =>
            {
                await call();
                return true;
            },
            cancellationToken)).WasUncertain;

    /// <summary>The server went away under the call. Any other error is an answer.</summary>
    public static bool HasNoAnswer(RpcException e) => e.Code is RpcException.StatusCode.Unavailable or RpcException.StatusCode.Cancelled or RpcException.StatusCode.DeadlineExceeded
        || (e.Code == RpcException.StatusCode.Unknown && e.Message.Contains("transport", StringComparison.OrdinalIgnoreCase));
}
