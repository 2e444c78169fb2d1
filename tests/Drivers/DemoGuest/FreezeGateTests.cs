using SnapshotFlow.DemoGuest;

namespace SnapshotFlow.Tests.Drivers.DemoGuest;

/// <summary>What a freeze of the demo guest means for its writer.</summary>
public sealed class FreezeGateTests
{
    private readonly FreezeGate gate = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_freeze_returns_only_when_no_write_is_under_way()
    {
        using var began = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var write = OnAThread(() => gate.Write(() =>
        {
            began.Set();
            go.Wait(Ct);
        }));
        began.Wait(Ct);
        var freeze = OnAThread(gate.Freeze);
        SpinWait.SpinUntil(() => gate.IsFrozen);
        Assert.False(freeze.IsCompleted);
        go.Set();
        Assert.True(await write);
        Assert.True(await freeze);
    }

    [Fact]
    public async Task A_write_of_a_frozen_guest_begins_after_the_thaw()
    {
        Assert.True(gate.Freeze());
        var wrote = false;
        var write = OnAThread(() => gate.Write(() => wrote = true));
        Assert.False(gate.Freeze());
        Assert.False(wrote);
        Assert.True(gate.Thaw());
        Assert.True(await write);
        Assert.True(wrote);
        Assert.False(gate.Thaw());
    }

    [Fact]
    public async Task A_stopping_guest_writes_no_more_even_when_it_is_frozen()
    {
        gate.Freeze();
        var write = OnAThread(() => gate.Write(() => Assert.Fail("it wrote")));
        gate.Stop();
        Assert.False(await write);
        gate.Thaw();
        Assert.False(gate.Write(() => Assert.Fail("it wrote")));
    }

    private static Task<T> OnAThread<T>(Func<T> call) => Task.Factory.StartNew(call, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
