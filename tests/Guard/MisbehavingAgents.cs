using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Guard.Processes;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Guard;

/// <summary>Agents that hang, are away, or answer with anything but a thaw, when the deadline passes.</summary>
public sealed class MisbehavingAgents : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(1);
    private readonly TestHost host = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_agent_that_hangs_delays_nobody_else_and_is_thawed_as_soon_as_it_answers()
    {
        await host.LiveGuardAsync(Ct);
        var (hanging, other) = (await host.GuestAsync(Ct), await host.GuestAsync(Ct));
        await host.QuiesceAsync(hanging, Deadline);
        await hanging.Process.StopAsync(Ct);
        await host.QuiesceAsync(other, Deadline);
        var deadline = host.Open(other).Deadline;
        await other.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(other, deadline);
        await Eventually.IsAsync("the guard counts the guest as overdue", () => GuardHeartbeat.Read(host.Leases) is { Overdue: 1, Open: 1 }, Ct);

        // Longer than the first call is waited for.
        await Eventually.PassedAsync(deadline.Plus(TimeSpan.FromSeconds(2)), host.Clock, Ct);
        var awake = host.Clock.Now;
        hanging.Process.Continue();
        await hanging.ThawedAsync(Ct);
        Assert.True(hanging.Freezes[0].Until <= awake.Plus(FreezeGuard.Promise).Milliseconds);
        await host.EndedAsync(hanging.Server, Ct);
        await Eventually.IsAsync("no guest is overdue", () => GuardHeartbeat.Read(host.Leases) is { Overdue: 0, Open: 0 }, Ct);
    }

    [Fact]
    public async Task An_agent_whose_socket_is_away_is_thawed_as_soon_as_it_is_back()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        var deadline = host.Open(guest).Deadline;
        File.Move(guest.SocketPath, guest.SocketPath + ".away");
        await Eventually.PassedAsync(deadline.Plus(2 * FreezeGuard.Promise), host.Clock, Ct);
        Assert.Null(Assert.Single(guest.Freezes).Until);

        var back = host.Clock.Now;
        File.Move(guest.SocketPath + ".away", guest.SocketPath);
        await guest.ThawedAsync(Ct);
        Assert.True(guest.Freezes[0].Until <= back.Plus(FreezeGuard.Promise).Milliseconds);
        await host.EndedAsync(guest.Server, Ct);
    }

    [Fact]
    public async Task A_server_that_moved_away_and_was_thawed_elsewhere_leaves_no_lease_behind()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        File.Move(guest.SocketPath, guest.SocketPath + ".away");
        await Eventually.IsAsync("the guard counts the guest as overdue", () => GuardHeartbeat.Read(host.Leases) is { Overdue: 1 }, Ct);

        var ended = await host.UnquiesceAsync(guest.Server, guest.Address, movedTo: "node-2");
        Assert.Contains("moved to host node-2", ended.AgentError, StringComparison.Ordinal);
        Assert.Equal(ended, await host.UnquiesceAsync(guest.Server, guest.Address, movedTo: "node-2"));
        await Eventually.IsAsync("the guard looks for it no more", () => GuardHeartbeat.Read(host.Leases) is { Open: 0, Overdue: 0 }, Ct);
    }

    [Fact]
    public async Task A_guest_that_says_it_is_not_frozen_is_thawed_all_the_same_and_the_lease_says_what_was_seen()
    {
        await host.LiveGuardAsync(Ct);
        await using var guest = new ScriptedGuest(host.Directory, host.Clock);
        await host.QuiesceAsync(guest.Server, guest.Address, Deadline);
        guest.IsFrozen = false;
        var end = (await host.EndedAsync(guest.Server, Ct)).End!;
        Assert.Equal((LeaseEnder.Guard, false, true), (end.By, end.WasFrozen, end.Expired));
        Assert.Equal(1, guest.Thaws);
    }

    [Fact]
    public async Task A_thaw_that_is_refused_is_asked_for_until_the_status_says_thawed()
    {
        await host.LiveGuardAsync(Ct);
        await using var guest = new ScriptedGuest(host.Directory, host.Clock);
        await host.QuiesceAsync(guest.Server, guest.Address, Deadline);
        guest.ThawErrors = 5;
        var end = (await host.EndedAsync(guest.Server, Ct)).End!;
        Assert.Equal((true, true), (end.WasFrozen, end.Expired));
        Assert.False(guest.IsFrozen);
        Assert.Equal(6, guest.Thaws);
    }

    [Fact]
    public async Task A_thaw_that_reports_an_error_and_thaws_is_over_and_the_error_is_kept()
    {
        await host.LiveGuardAsync(Ct);
        await using var guest = new ScriptedGuest(host.Directory, host.Clock) { ThawErrors = 1, ThawsInSpiteOfError = true };
        await host.QuiesceAsync(guest.Server, guest.Address, TimeSpan.FromSeconds(30));
        var thawed = await host.UnquiesceAsync(guest.Server, guest.Address);
        Assert.Contains("limit of 10 seconds", thawed.AgentError, StringComparison.Ordinal);
        Assert.Equal((false, true), (thawed.WasFrozen, thawed.LeaseExpired));
        Assert.Equal(thawed, await host.UnquiesceAsync(guest.Server, guest.Address));
    }

    [Fact]
    public async Task A_freeze_that_is_answered_with_an_error_is_thawed_at_once()
    {
        await host.LiveGuardAsync(Ct);
        await using var guest = new ScriptedGuest(host.Directory, host.Clock) { FreezesInSpiteOfError = true };
        var failure = await Assert.ThrowsAsync<ApplicationFailureException>(() => host.QuiesceAsync(guest.Server, guest.Address, TimeSpan.FromSeconds(30)));
        Assert.Equal(nameof(ErrorKind.BackendRefused), failure.ErrorType);
        Assert.False(guest.IsFrozen);

        var thawed = await host.UnquiesceAsync(guest.Server, guest.Address);
        Assert.Equal((null, false, false), (thawed.FrozenAt, thawed.WasFrozen, thawed.LeaseExpired));
    }

    public ValueTask DisposeAsync() => host.DisposeAsync();
}
