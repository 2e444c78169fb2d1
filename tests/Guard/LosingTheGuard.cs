using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Guard.Processes;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Guard;

/// <summary>Guards and holders that are killed or stopped while a guest is frozen.</summary>
public sealed class LosingTheGuard : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(1);
    private readonly TestHost host = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_guard_that_is_started_again_thaws_at_once_what_has_expired_meanwhile()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        var deadline = host.Open(guest).Deadline;
        await guard.KillAsync();
        await Eventually.PassedAsync(deadline.Plus(2 * FreezeGuard.Promise), host.Clock, Ct);
        Assert.Null(Assert.Single(guest.Freezes).Until);

        var again = await host.LiveGuardAsync(Ct);
        var alive = host.Clock.Now;
        await guest.ThawedAsync(Ct);
        Assert.True(guest.Freezes[0].Until <= alive.Plus(FreezeGuard.Promise).Milliseconds, again.Output);
        Assert.True((await host.EndedAsync(guest.Server, Ct)).End!.Expired);
    }

    [Fact]
    public async Task A_guard_that_is_started_again_in_time_keeps_the_deadline()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, TimeSpan.FromSeconds(5));
        var deadline = host.Open(guest).Deadline;
        await guard.KillAsync();
        await host.LiveGuardAsync(Ct);

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
    }

    [Fact]
    public async Task With_guard_and_holder_both_killed_a_new_guard_thaws()
    {
        var guest = await BothKilledAsync();
        await host.LiveGuardAsync(Ct);
        var alive = host.Clock.Now;
        await guest.ThawedAsync(Ct);
        Assert.True(guest.Freezes[0].Until <= alive.Plus(FreezeGuard.Promise).Milliseconds);
    }

    [Fact]
    public async Task With_guard_and_holder_both_killed_a_new_compute_worker_thaws()
    {
        var guest = await BothKilledAsync();
        await host.HolderAsync(guest, Deadline, Ct, "another run", HolderProgram.WithBackup);
        await guest.ThawedAsync(Ct);
        Assert.True((await host.EndedAsync(guest.Server, Ct)).End!.Expired);
    }

    [Fact]
    public async Task With_the_guard_killed_and_not_restarted_the_compute_worker_thaws_in_time()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var (guest, deadline) = await HeldWithBackupAsync();
        await guard.KillAsync();

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
    }

    [Fact]
    public async Task With_the_guard_stopped_the_compute_worker_thaws_in_time()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var (guest, deadline) = await HeldWithBackupAsync();
        await guard.StopAsync(Ct);

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
        guard.Continue();
        await host.LeadsAsync(guard, Ct);
    }

    [Fact]
    public async Task A_guard_that_stands_by_takes_over_when_the_first_is_killed_and_thaws_in_time_when_it_is_stopped()
    {
        var first = await host.LiveGuardAsync(Ct);
        var second = host.Guard();
        await second.LineAsync("      Another guard has the freeze leases", 1, Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        var deadline = host.Open(guest).Deadline;
        await first.StopAsync(Ct);
        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);

        await first.KillAsync();
        await host.LeadsAsync(second, Ct);
        await host.QuiesceAsync(guest, Deadline, "next");
    }

    [Fact]
    public async Task Without_a_guard_no_guest_is_frozen_and_the_probe_says_why()
    {
        var guest = await host.GuestAsync(Ct);
        await AssertRefusedAsync(guest);
    }

    [Fact]
    public async Task With_a_guard_that_was_killed_or_stopped_no_guest_is_frozen()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        Assert.Equal((true, null), await ProbeAsync(guest));
        await guard.StopAsync(Ct);
        await GoesStaleAsync();
        await AssertRefusedAsync(guest);

        guard.Continue();
        await host.LeadsAsync(guard, Ct);
        Assert.Equal((true, null), await ProbeAsync(guest));
        await guard.KillAsync();
        await GoesStaleAsync();
        await AssertRefusedAsync(guest);
    }

    [Fact]
    public async Task A_guard_that_is_told_to_stop_allows_no_freeze_and_stays_until_the_last_one_is_over()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var (guest, other) = (await host.GuestAsync(Ct), await host.GuestAsync(Ct));
        await host.QuiesceAsync(guest, TimeSpan.FromSeconds(3));
        var deadline = host.Open(guest).Deadline;
        guard.Terminate();
        await Eventually.IsAsync("the sign of life is withdrawn", () => GuardHeartbeat.Read(host.Leases) is null, Ct);
        await AssertRefusedAsync(other);
        Assert.True(guard.IsRunning);

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
        await guard.EndedAsync(Ct);
        Assert.Equal(0, guard.ExitCode);
    }

    [Fact]
    public async Task A_guard_is_never_started_together_with_another_role()
    {
        var both = host.Guard("guard,compute");
        await both.EndedAsync(Ct);
        Assert.Equal(78, both.ExitCode);
        Assert.Contains("Workers:Roles 'guard,compute' has guard together with other roles", both.Output, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => host.DisposeAsync();

    private async Task<GuestProcess> BothKilledAsync()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct);
        await holder.TellAsync("quiesce");
        await holder.LineAsync("frozen", 1, Ct);
        var deadline = host.Open(guest).Deadline;
        await Task.WhenAll(guard.KillAsync(), holder.KillAsync());
        await Eventually.PassedAsync(deadline.Plus(FreezeGuard.Promise), host.Clock, Ct);
        Assert.Null(Assert.Single(guest.Freezes).Until);
        return guest;
    }

    private async Task<(GuestProcess Guest, HostInstant Deadline)> HeldWithBackupAsync()
    {
        var guest = await host.GuestAsync(Ct);
        var holder = await host.HolderAsync(guest, Deadline, Ct, "run", HolderProgram.WithBackup);
        await holder.TellAsync("quiesce");
        await holder.LineAsync("frozen", 1, Ct);
        return (guest, host.Open(guest).Deadline);
    }

    private async Task AssertRefusedAsync(GuestProcess guest)
    {
        var refusal = await Assert.ThrowsAsync<ApplicationFailureException>(() => host.QuiesceAsync(guest, Deadline));
        Assert.Equal(nameof(ErrorKind.QuiesceFailed), refusal.ErrorType);
        Assert.Contains("no live guard on this host", refusal.Message, StringComparison.Ordinal);
        var (canFreeze, reason) = await ProbeAsync(guest);
        Assert.False(canFreeze);
        Assert.Contains("no live guard on this host", reason, StringComparison.Ordinal);
        Assert.Empty(guest.Freezes);
        Assert.Null(host.Leases.ReadOpen(guest.Server));
    }

    private async Task<(bool CanFreeze, string? Reason)> ProbeAsync(GuestProcess guest)
    {
        var answer = await host.ProbeAsync(guest);
        return (answer.CanFreeze, answer.Reason);
    }

    private Task GoesStaleAsync() => Eventually.IsAsync("the sign of life is stale", () => GuardHeartbeat.Doubt(host.Leases, host.Clock) is not null, Ct);
}
