using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.TestService.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary><c>temporal.api.testservice.v1.TestService</c>: the caller's hand on the clock. Served by a test server only.</summary>
internal sealed class TestService(VirtualClock clock)
{
    public Task<LockTimeSkippingResponse> LockTimeSkipping(LockTimeSkippingRequest request, ServerCallContext context)
    {
        clock.Lock();
        return Task.FromResult(new LockTimeSkippingResponse());
    }

    public Task<UnlockTimeSkippingResponse> UnlockTimeSkipping(UnlockTimeSkippingRequest request, ServerCallContext context)
    {
        if (!clock.Unlock())
        {
            throw NotLocked();
        }

        return Task.FromResult(new UnlockTimeSkippingResponse());
    }

    public async Task<SleepResponse> Sleep(SleepRequest request, ServerCallContext context)
    {
        await clock.WaitUntilAsync(ProtoTime.Later(clock.GetUtcNow(), ProtoTime.Span(request.Duration)), context.CancellationToken);
        return new SleepResponse();
    }

    public async Task<SleepResponse> SleepUntil(SleepUntilRequest request, ServerCallContext context)
    {
        await clock.WaitUntilAsync(ProtoTime.Instant(request.Timestamp), context.CancellationToken);
        return new SleepResponse();
    }

    public async Task<SleepResponse> UnlockTimeSkippingWithSleep(SleepRequest request, ServerCallContext context)
    {
        var due = ProtoTime.Later(clock.GetUtcNow(), ProtoTime.Span(request.Duration));
        await (clock.UnlockUntil(due) ?? throw NotLocked()).WaitAsync(context.CancellationToken);
        return new SleepResponse();
    }

    public Task<GetCurrentTimeResponse> GetCurrentTime(Empty request, ServerCallContext context) =>
        Task.FromResult(new GetCurrentTimeResponse { Time = ProtoTime.Stamp(clock.GetUtcNow()) });

    private static Fault NotLocked() => Fault.FailedPrecondition("Time skipping is unlocked already: each unlock needs a lock before it.");
}
