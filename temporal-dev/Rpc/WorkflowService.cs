using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Schedules;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>
/// <c>temporal.api.workflowservice.v1.WorkflowService</c>. Methods are found by name (see <c>GrpcBinding</c>); each checks its
/// request, finds the run and calls the engine. One file per topic.
/// </summary>
internal sealed partial class WorkflowService(EngineHost engine, Scheduler scheduler)
{
    /// <summary>What this server calls itself. The SDK only logs it.</summary>
    public const string ServerVersion = "1.29.0";

    /// <summary>Longest wait of a task poll. Source: Temporal, matching.longPollExpirationInterval.</summary>
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for history and updates. Source: Temporal, history.longPollExpirationInterval.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan AnswerBeforeDeadline = TimeSpan.FromMilliseconds(500);

    public Task<GetSystemInfoResponse> GetSystemInfo(GetSystemInfoRequest request, ServerCallContext context) => Task.FromResult(new GetSystemInfoResponse
    {
        ServerVersion = ServerVersion,
        Capabilities = new GetSystemInfoResponse.Types.Capabilities
        {
            SignalAndQueryHeader = true,
            InternalErrorDifferentiation = true,
            ActivityFailureIncludeHeartbeat = true,
            SupportsSchedules = true,
            EncodedFailureAttributes = true,
            BuildIdBasedVersioning = true,
            UpsertMemo = true,
            SdkMetadata = true,
            CountGroupByExecutionStatus = true,
        },
    });

    public Task<GetClusterInfoResponse> GetClusterInfo(GetClusterInfoRequest request, ServerCallContext context) => Task.FromResult(new GetClusterInfoResponse
    {
        ServerVersion = ServerVersion,
        ClusterId = "temporal-dev",
        ClusterName = "active",
        HistoryShardCount = 1,
        PersistenceStore = engine.Commits.IsDurable ? "postgresql" : "memory",
        VisibilityStore = "memory",
    });

    /// <summary>How long a call may wait: never so long that its own deadline comes first.</summary>
    private TimeSpan LongPoll(ServerCallContext context, TimeSpan longest)
    {
        if (context.Deadline == DateTime.MaxValue)
        {
            return longest;
        }

        var left = context.Deadline - engine.RealTime.GetUtcNow().UtcDateTime - AnswerBeforeDeadline;
        return left < TimeSpan.Zero ? TimeSpan.Zero : left < longest ? left : longest;
    }

    private void RequireNamespace(string name) => engine.Namespaces.Require(name);

    /// <summary>Waits for a change, but not longer than until <paramref name="end"/>. False when the time was up.</summary>
    private async Task<bool> WaitAsync(Task change, DateTimeOffset end, CancellationToken cancellationToken)
    {
        var left = end - engine.RealTime.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            return change.IsCompleted;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, engine.Stopping);
        var timeout = Task.Delay(left, engine.RealTime, over.Token);
        var first = await Task.WhenAny(change, timeout);
        await over.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return first == change;
    }
}
