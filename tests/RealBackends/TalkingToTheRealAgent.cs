using System.Net.Sockets;
using System.Text;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>The agent driver against the agent of a real guest, with everything that goes wrong between them.</summary>
public sealed class TalkingToTheRealAgent(RealStack real) : IAsyncLifetime
{
    private RealGuest guest = null!;
    private IGuestAgent agent = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await real.NeedAsync();
        guest = await RealGuest.MakeAsync(real, RealBackend.Qemu, dataDisks: 2);
        agent = Open(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        if (guest is not null)
        {
            await guest.DisposeAsync();
        }
    }

    [Fact]
    public async Task Everything_that_goes_wrong_between_driver_and_agent_ends_with_a_clear_answer_and_a_thawed_guest()
    {
        // One guest for all: each boot takes seconds.
        await Freezes_and_thaws_every_file_system_and_counts_them();
        await Bytes_that_others_left_are_passed_over();
        await A_frozen_guest_refuses_a_second_freeze_and_is_thawed_once();
        await A_hook_that_refuses_is_reported_with_the_agents_words_and_nothing_is_frozen();
        await A_freeze_that_outlives_its_caller_is_found_and_thawed();
        await An_agent_that_another_client_holds_is_waited_for_no_longer_than_the_deadline();
        await An_agent_that_was_restarted_while_frozen_is_thawed();
    }

    private async Task Freezes_and_thaws_every_file_system_and_counts_them()
    {
        var probe = await agent.ProbeAsync(Ct);
        Assert.True(probe is { Answers: true, CanFreeze: true, Status: GuestFreezeStatus.Thawed }, probe.ToString());
        Assert.Equal(3, (await agent.FreezeAsync(Ct)).FrozenFileSystems);
        Assert.Equal(GuestFreezeStatus.Frozen, (await agent.ProbeAsync(Ct)).Status);
        var thaw = await agent.ThawAsync(Ct);
        Assert.Equal((3, true), (thaw.ThawedFileSystems, thaw.WasFrozen));
        Assert.False((await agent.ThawAsync(Ct)).WasFrozen);
    }

    private async Task Bytes_that_others_left_are_passed_over()
    {
        using (var rude = await AgentShell.OpenAsync(guest.AgentSocket, Ct))
        {
            // Answers that nobody will read, and half a request.
            await rude.SendAsync(Encoding.UTF8.GetBytes("{\"execute\":\"guest-info\"}\n{\"execute\":\"guest-get-osinfo\"}\n{\"execute\":\"gue"), Ct);
        }

        Assert.Equal(GuestFreezeStatus.Thawed, await agent.StatusAsync(Ct));
    }

    private async Task A_frozen_guest_refuses_a_second_freeze_and_is_thawed_once()
    {
        await agent.FreezeAsync(Ct);
        await RefusedAsync(ErrorKind.StaleStatus, () => agent.FreezeAsync(Ct));
        Assert.True((await agent.ThawAsync(Ct)).WasFrozen);
    }

    private async Task A_hook_that_refuses_is_reported_with_the_agents_words_and_nothing_is_frozen()
    {
        await guest.ShellAsync("touch /run/hook.fail");
        var refusal = await RefusedAsync(ErrorKind.BackendRefused, () => agent.FreezeAsync(Ct));
        Assert.Contains("hook", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(GuestFreezeStatus.Thawed, await agent.StatusAsync(Ct));
        await guest.ShellAsync("rm /run/hook.fail");
    }

    private async Task A_freeze_that_outlives_its_caller_is_found_and_thawed()
    {
        await guest.ShellAsync("echo 4 >/run/hook.slow");
        await RefusedAsync(ErrorKind.BackendUnavailable, () => Open(TimeSpan.FromSeconds(1)).FreezeAsync(Ct));
        // The agent still runs the hook; the thaw gets its turn after the freeze that nobody waits for any more.
        Assert.True((await agent.ThawAsync(Ct)).WasFrozen);
        await guest.ShellAsync("rm /run/hook.slow");
    }

    private async Task An_agent_that_another_client_holds_is_waited_for_no_longer_than_the_deadline()
    {
        using (await AgentShell.OpenAsync(guest.AgentSocket, Ct))
        {
            var refusal = await RefusedAsync(ErrorKind.BackendUnavailable, () => Open(TimeSpan.FromSeconds(1)).StatusAsync(Ct));
            Assert.Contains("nobody else connected", refusal.Message, StringComparison.Ordinal);
        }

        Assert.Equal(GuestFreezeStatus.Thawed, await agent.StatusAsync(Ct));
    }

    private async Task An_agent_that_was_restarted_while_frozen_is_thawed()
    {
        // Only the data disks: the shell that kills the agent must still be able to run.
        await guest.ShellAsync("(sleep 3; kill -9 $(cat /run/agent.pid)) >/dev/null 2>&1 &");
        await agent.FreezeAsync(Ct);
        ct_wait(TimeSpan.FromSeconds(6));
        Assert.Equal(GuestFreezeStatus.Frozen, await agent.StatusAsync(Ct));
        Assert.True((await agent.ThawAsync(Ct)).WasFrozen);
        Assert.Equal("ok", (await guest.ShellAsync("echo x >/data/data0/after && sync && echo ok")).Trim());

        static void ct_wait(TimeSpan span) => Ct.WaitHandle.WaitOne(span);
    }

    private IGuestAgent Open(TimeSpan deadline) =>
        new QgaGuestAgent(guest.AgentSocket, new QgaOptions { CallTimeout = deadline, FreezeTimeout = deadline }, TimeProvider.System);

    private static async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, Func<Task> call)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(call);
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        return refusal;
    }
}
