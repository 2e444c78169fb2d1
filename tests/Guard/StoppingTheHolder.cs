using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Tests.Guard.Processes;

namespace SnapshotFlow.Tests.Guard;

/// <summary>A compute worker that is stopped by SIGSTOP while it holds a freeze, or is about to make one, and goes on later or never.</summary>
public sealed class StoppingTheHolder : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(1);
    private readonly TestHost host = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_holder_that_was_stopped_across_the_deadline_finds_the_guest_thawed_and_says_so()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct);
        await holder.TellAsync("quiesce");
        await holder.LineAsync("frozen", 1, Ct);
        var deadline = host.Open(guest).Deadline;
        await holder.StopAsync(Ct);
        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);

        holder.Continue();
        await holder.TellAsync("unquiesce");
        Assert.Contains("LeaseExpired = True", await holder.LineAsync("thawed", 1, Ct), StringComparison.Ordinal);
        await holder.TellAsync("quiesce");
        Assert.Contains("is over", await holder.LineAsync("failed StaleStatus", 1, Ct), StringComparison.Ordinal);
        Assert.Single(guest.Freezes);
    }

    [Fact]
    public async Task A_freeze_that_comes_after_its_deadline_is_thawed_at_once_and_fails()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct, "run", HolderProgram.StopBeforeFreeze);
        await holder.TellAsync("quiesce");
        await holder.StandsStillAsync(Ct);
        await Eventually.PassedAsync(host.Open(guest).Deadline.Plus(2 * FreezeGuard.Promise), host.Clock, Ct);
        Assert.Empty(guest.Freezes);
        Assert.True(host.Open(guest).MayFreezeLater);

        holder.Continue();
        await holder.LineAsync("failed", 1, Ct);
        await host.EndedAsync(guest.Server, Ct);
        var freeze = Assert.Single(guest.Freezes);
        Assert.InRange(freeze.Until!.Value - freeze.From, 0, (long)FreezeGuard.Promise.TotalMilliseconds);
    }

    [Fact]
    public async Task A_freeze_that_comes_after_its_deadline_is_thawed_also_when_its_holder_does_nothing_more()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct, "run", HolderProgram.StopBeforeFreeze);
        await holder.TellAsync("quiesce");
        await holder.StandsStillAsync(Ct);
        await Eventually.PassedAsync(host.Open(guest).Deadline.Plus(FreezeGuard.Promise), host.Clock, Ct);

        // What the holder would send, from a holder that never takes another step.
        await guest.Agent.FreezeAsync(Ct);
        await guest.ThawedAsync(Ct);
        var freeze = Assert.Single(guest.Freezes);
        Assert.InRange(freeze.Until!.Value - freeze.From, 0, (long)FreezeGuard.Promise.TotalMilliseconds);
        Assert.NotNull(host.Leases.ReadOpen(guest.Server));

        await holder.KillAsync();
        Assert.True((await host.EndedAsync(guest.Server, Ct)).End!.WasFrozen);
    }

    [Fact]
    public async Task A_holder_that_was_killed_before_it_froze_leaves_no_open_lease()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct, "run", HolderProgram.StopBeforeFreeze);
        await holder.TellAsync("quiesce");
        await holder.StandsStillAsync(Ct);
        await holder.KillAsync();

        var ended = await host.EndedAsync(guest.Server, Ct);
        Assert.Equal((null, false, true), (ended.FrozenAt, ended.End!.WasFrozen, ended.End.Expired));
        Assert.Empty(guest.Freezes);
    }

    [Fact]
    public async Task A_stopped_holder_that_keeps_the_agent_from_others_is_killed_and_the_guest_thawed_in_time()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct, "run", HolderProgram.StopInConversation);
        await holder.TellAsync("quiesce");
        await holder.StandsStillAsync(Ct);
        var deadline = host.Open(guest).Deadline;

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
        await holder.EndedAsync(Ct);
        await guard.LineAsync($"      Process {holder.Id} was stopped while it kept the agent", 1, Ct);
        await host.EndedAsync(guest.Server, Ct);
    }

    [Fact]
    public async Task The_next_worker_does_not_end_the_lease_under_a_stopped_one_that_may_still_freeze()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, TimeSpan.FromSeconds(30), Ct, "run", HolderProgram.StopBeforeFreeze);
        await holder.TellAsync("quiesce");
        await holder.StandsStillAsync(Ct);

        // The run gives up through another worker, long before the deadline; then the stopped one goes on.
        await host.UnquiesceAsync(guest);
        holder.Continue();
        await holder.LineAsync("failed", 1, Ct);
        await host.EndedAsync(guest.Server, Ct);
        var freeze = Assert.Single(guest.Freezes);
        Assert.InRange(freeze.Until!.Value - freeze.From, 0, (long)FreezeGuard.Promise.TotalMilliseconds);
    }

    public ValueTask DisposeAsync() => host.DisposeAsync();
}
