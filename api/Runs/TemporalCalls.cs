using SnapshotFlow.Api.Faults;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Runs;

/// <summary>Calls to Temporal that callers wait for.</summary>
internal static class TemporalCalls
{
    /// <summary>Null when the time is up before the call is; a fault when there is no connection.</summary>
    public static async Task<T?> WithinAsync<T>(this ITemporalClient temporal, TimeSpan time, CancellationToken ct, Func<RpcOptions, Task<T>> call) where T : class
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(time);
        try
        {
            return await call(new() { CancellationToken = limit.Token });
        }
        catch (Exception e) when (e is RpcTimeoutOrCanceledException or OperationCanceledException or RpcException { Code: RpcException.StatusCode.Cancelled })
        {
            ct.ThrowIfCancellationRequested();
            return null;
        }
        // What the SDK throws when it cannot make the connection in the first place.
        catch (InvalidOperationException e) when (!temporal.Connection.IsConnected)
        {
            throw Fault.Unavailable("Temporal is not available. Try again in a few seconds.", e);
        }
    }
}
