using SnapshotFlow.Api.Faults;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Runs;

/// <summary>Calls to Temporal that callers wait for.</summary>
internal static class TemporalCalls
{
    /// <summary>When a worker last asked for activities of a task queue; null when none has lately: Temporal remembers for some minutes. 503 when there is no answer in time.</summary>
    public static async Task<DateTimeOffset?> LastSeenAsync(this ITemporalClient temporal, string queue, TimeSpan patience, CancellationToken ct)
    {
        var answer = await temporal.WithinAsync(patience, ct, rpc => temporal.Connection.WorkflowService.DescribeTaskQueueAsync(
            new DescribeTaskQueueRequest { Namespace = temporal.Options.Namespace, TaskQueue = new() { Name = queue }, TaskQueueType = TaskQueueType.Activity }, rpc));
        return answer is null
            ? throw Fault.Unavailable("Temporal has not answered in time. Try again in a few seconds.")
            : answer.Pollers.Max(p => (DateTimeOffset?)p.LastAccessTime?.ToDateTimeOffset());
    }

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

    /// <summary>What a run has answered to an update, also when it is over; null when it was ended from outside before it did.</summary>
    public static async Task<T?> AnswerOfAsync<T>(this ITemporalClient temporal, string workflow, string updateId, RpcOptions rpc) where T : class
    {
        try
        {
            return await temporal.GetWorkflowHandle(workflow).GetUpdateHandle<T>(updateId).GetResultAsync(rpc);
        }
        catch (Exception e) when (e is WorkflowUpdateFailedException or RpcException { Code: RpcException.StatusCode.NotFound })
        {
            return null;
        }
    }
}
