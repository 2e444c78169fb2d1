using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Drivers.Memory;

namespace SnapshotFlow.Tests.Drivers.Layers;

/// <summary>With both layers around it, a driver still keeps the whole contract.</summary>
public sealed class LayeredDriverContract : InMemoryVolumeDriverTests
{
    protected override IVolumeDriver Open() =>
        new ConcurrencyLayer(new FaultLayer(base.Open(), Path.Join(Path.GetTempPath(), "snapshotflow-no-faults.json"), TimeProvider.System), 2);
}

/// <summary>How many calls get through at once.</summary>
public sealed class ConcurrencyLayerTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_more_calls_run_at_once_than_the_limit_and_all_run_in_the_end()
    {
        var held = new HeldDriver();
        var driver = new ConcurrencyLayer(held, 3);
        var calls = Enumerable.Range(0, 10).Select(_ => driver.FindSnapshotAsync(VolumeId.New(), SnapshotId.New(), Ct)).ToList();
        for (var released = 0; released < 10; released++)
        {
            await held.SettledAsync(started: Math.Min(10, released + 3), Ct);
            Assert.Equal(Math.Min(3, 10 - released), held.Running);
            held.ReleaseOne();
        }

        await Task.WhenAll(calls);
    }

    [Fact]
    public async Task A_waiting_call_can_be_cancelled_and_a_failing_one_gives_its_place_back()
    {
        var held = new HeldDriver();
        var driver = new ConcurrencyLayer(held, 1);
        var first = driver.FindSnapshotAsync(VolumeId.New(), SnapshotId.New(), Ct);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var waiting = driver.CheckAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        held.FailOne();
        await Assert.ThrowsAsync<SnapshotFlowException>(() => first);
        var next = driver.CheckAsync(Ct);
        held.ReleaseOne();
        await next;
    }

    /// <summary>Holds every call until it is let go.</summary>
    private sealed class HeldDriver() : VolumeDriverLayer(new InMemoryVolumeDriver(new InMemoryStorage(), TimeProvider.System))
    {
        private readonly Lock gate = new();
        private readonly Queue<TaskCompletionSource> waiting = [];
        private readonly SemaphoreSlim started = new(0);
        private int settled;

        public int Running
        {
            get { lock (gate) { return waiting.Count; } }
        }

        public void ReleaseOne() => Take().SetResult();

        public void FailOne() => Take().SetException(new SnapshotFlowException(ErrorKind.BackendRefused, "no"));

        /// <summary>Returns when so many calls have got in altogether.</summary>
        public async Task SettledAsync(int started, CancellationToken ct)
        {
            for (; settled < started; settled++)
            {
                Assert.True(await this.started.WaitAsync(TimeSpan.FromSeconds(10), ct), $"only {settled} of {started} calls got in");
            }
        }

        protected override async Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct)
        {
            var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (gate)
            {
                waiting.Enqueue(held);
            }

            started.Release();
            await held.Task;
            return await next();
        }

        private TaskCompletionSource Take()
        {
            lock (gate)
            {
                return waiting.Dequeue();
            }
        }
    }
}
