using SnapshotFlow.Activities;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Layers;
using Temporalio.Worker.Interceptors;

namespace SnapshotFlow.Workers.Failpoints;

/// <summary>Before and after every activity.</summary>
internal sealed class ActivityFailpoints(Failpoints failpoints) : IWorkerInterceptor
{
    /// <inheritdoc/>
    public ActivityInboundInterceptor InterceptActivity(ActivityInboundInterceptor nextInterceptor) => new Inbound(nextInterceptor, failpoints);

    private sealed class Inbound(ActivityInboundInterceptor next, Failpoints failpoints) : ActivityInboundInterceptor(next)
    {
        public override Task<object?> ExecuteActivityAsync(ExecuteActivityInput input) => ActivityErrors.Translate(async () =>
        {
            var twice = await failpoints.PassAsync(FailpointPhase.Before);
            var result = await Next.ExecuteActivityAsync(input);
            if (twice)
            {
                result = await Next.ExecuteActivityAsync(input);
            }

            await failpoints.PassAsync(FailpointPhase.After);
            return result;
        });
    }
}

/// <summary>
/// The clock of a storage back end: drivers read it once per cut, when the bytes are fixed and nothing names them yet, which is the middle of a cut.
/// </summary>
internal sealed class VolumeClockFailpoints(Failpoints failpoints, TimeProvider inner) : TimeProvider
{
    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow()
    {
        failpoints.Pass(FailpointPhase.During);
        return inner.GetUtcNow();
    }

    /// <inheritdoc/>
    public override long GetTimestamp() => inner.GetTimestamp();

    /// <inheritdoc/>
    public override long TimestampFrequency => inner.TimestampFrequency;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => inner.CreateTimer(callback, state, dueTime, period);
}

/// <summary>Between what a storage back end answered and what anybody makes of it; for a cut, <see cref="VolumeClockFailpoints"/> has the better place.</summary>
internal sealed class VolumeFailpoints(Failpoints failpoints, IVolumeDriver inner) : VolumeDriverLayer(inner)
{
    /// <inheritdoc/>
    protected override async Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct)
    {
        var answer = await next();
        if (call.Operation is not VolumeOperation.CreateSnapshot)
        {
            await failpoints.PassAsync(FailpointPhase.During);
        }

        return answer;
    }
}

/// <summary>Between what a guest agent answered and what anybody makes of it.</summary>
internal sealed class GuestAgentFailpoints(Failpoints failpoints, IGuestAgents inner) : IGuestAgents
{
    /// <inheritdoc/>
    public IGuestAgent Open(string? address) => new Agent(failpoints, inner.Open(address));

    private sealed class Agent(Failpoints failpoints, IGuestAgent inner) : IGuestAgent
    {
        public Task<GuestProbe> ProbeAsync(CancellationToken ct) => PassedAsync(inner.ProbeAsync(ct));

        public Task<GuestFreeze> FreezeAsync(CancellationToken ct) => PassedAsync(inner.FreezeAsync(ct));

        public Task<GuestThaw> ThawAsync(CancellationToken ct) => PassedAsync(inner.ThawAsync(ct));

        public Task<GuestFreezeStatus> StatusAsync(CancellationToken ct) => inner.StatusAsync(ct);

        private async Task<T> PassedAsync<T>(Task<T> call)
        {
            var answer = await call;
            await failpoints.PassAsync(FailpointPhase.During);
            return answer;
        }
    }
}
