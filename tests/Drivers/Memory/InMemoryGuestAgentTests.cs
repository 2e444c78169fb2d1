using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Memory;

/// <summary>The in-memory guest keeps the agent's contract, and its faults are the ones that happen.</summary>
public sealed class InMemoryGuestAgentTests
{
    private readonly InMemoryGuestAgent agent = new(TimeProvider.System, fileSystems: 3) { CallTimeout = TimeSpan.FromMilliseconds(50) };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Freezing_and_thawing_say_what_they_did()
    {
        Assert.Equal(3, (await agent.FreezeAsync(Ct)).FrozenFileSystems);
        Assert.Equal(GuestFreezeStatus.Frozen, await agent.StatusAsync(Ct));
        Assert.Equal(ErrorKind.StaleStatus, (await Assert.ThrowsAsync<SnapshotFlowException>(() => agent.FreezeAsync(Ct))).Kind);
        var thaw = await agent.ThawAsync(Ct);
        Assert.Equal((3, true), (thaw.ThawedFileSystems, thaw.WasFrozen));
        Assert.Equal(GuestFreezeStatus.Thawed, await agent.StatusAsync(Ct));
        Assert.False((await agent.ThawAsync(Ct)).WasFrozen);
        Assert.Equal((1, 1), (agent.Freezes, agent.Thaws));
    }

    [Fact]
    public async Task A_write_waits_while_the_guest_is_frozen()
    {
        await agent.FreezeAsync(Ct);
        var wrote = false;
        var write = agent.WriteAsync(() =>
        {
            wrote = true;
            return Task.CompletedTask;
        }, Ct);
        Assert.False(write.IsCompleted || wrote);
        await agent.ThawAsync(Ct);
        await write;
        Assert.True(wrote);
    }

    [Fact]
    public async Task A_freeze_returns_only_when_no_write_is_under_way()
    {
        var go = new TaskCompletionSource();
        var write = agent.WriteAsync(() => go.Task, Ct);
        var freeze = agent.FreezeAsync(Ct);
        Assert.False(freeze.IsCompleted);
        go.SetResult();
        await write;
        await freeze;
    }

    [Fact]
    public async Task A_probe_answers_and_a_refusing_or_hanging_agent_is_an_answer_too()
    {
        Assert.True((await agent.ProbeAsync(Ct)).CanFreeze);
        agent.Script(GuestCall.Probe, GuestFault.Refuse);
        agent.Script(GuestCall.Probe, GuestFault.Hang);
        Assert.False((await agent.ProbeAsync(Ct)).Answers);
        Assert.False((await agent.ProbeAsync(Ct)).Answers);
        Assert.True((await agent.ProbeAsync(Ct)).Answers);
    }

    [Theory]
    [InlineData(GuestFault.Refuse, ErrorKind.BackendRefused, false)]
    [InlineData(GuestFault.Hang, ErrorKind.BackendUnavailable, false)]
    [InlineData(GuestFault.FreezeNothing, ErrorKind.BackendRefused, false)]
    [InlineData(GuestFault.LoseAnswer, ErrorKind.BackendUnavailable, true)]
    public async Task A_scripted_fault_happens_as_often_as_scripted(GuestFault fault, ErrorKind kind, bool frozen)
    {
        agent.Script(GuestCall.Freeze, fault);
        Assert.Equal(kind, (await Assert.ThrowsAsync<SnapshotFlowException>(() => agent.FreezeAsync(Ct))).Kind);
        Assert.Equal(frozen, agent.IsFrozen);
        Assert.Equal(frozen, (await agent.ThawAsync(Ct)).WasFrozen);
        await agent.FreezeAsync(Ct);
    }

    [Fact]
    public async Task A_thaw_whose_answer_is_lost_has_thawed()
    {
        await agent.FreezeAsync(Ct);
        agent.Script(GuestCall.Thaw, GuestFault.LoseAnswer);
        await Assert.ThrowsAsync<SnapshotFlowException>(() => agent.ThawAsync(Ct));
        Assert.False(agent.IsFrozen);
    }

    [Fact]
    public async Task A_hanging_call_can_be_cancelled()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var patient = new InMemoryGuestAgent(TimeProvider.System) { CallTimeout = TimeSpan.FromHours(1) };
        patient.Script(GuestCall.Status, GuestFault.Hang);
        var hanging = patient.StatusAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
    }
}
