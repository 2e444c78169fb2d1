using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>
/// Freezes and thaws guests of one compute host. Freeze and thaw of one guest never overlap; what happened stands in the lease, so a repeated step gives the
/// answer of the first, also after this process was killed in between.
/// </summary>
public sealed partial class GuestActivities(IGuestAgents agents, FreezeLeaseDirectory leases, TimeProvider time, ILogger<GuestActivities> logger) : IGuestActivities
{
    private readonly ConcurrentDictionary<ServerId, SemaphoreSlim> turns = [];
    private readonly Heartbeats heartbeats = new(time);

    /// <inheritdoc/>
    [Activity]
    public Task<GuestAnswer> ProbeGuestAsync(ProbeGuestInput input) => ActivityErrors.Translate(async () =>
    {
        var probe = await agents.Open(input.AgentAddress).ProbeAsync(ActivityExecutionContext.Current.CancellationToken);
        return probe switch
        {
            { CanFreeze: false } => new GuestAnswer(false, probe.Reason ?? "the guest agent cannot freeze file systems"),
            { Status: GuestFreezeStatus.Frozen } => new GuestAnswer(false, "the guest is frozen already, by somebody else"),
            _ => new GuestAnswer(true, null),
        };
    });

    /// <inheritdoc/>
    [Activity]
    public Task<QuiesceResult> QuiesceAsync(QuiesceInput input) => InTurnAsync(input.Server, async ct =>
    {
        var agent = agents.Open(input.AgentAddress);
        var lease = await TakeLeaseAsync(input, agent, ct);
        if (lease.FrozenAt is { } already)
        {
            return new QuiesceResult(already, lease.DeadlineAt);
        }

        // The lease of an earlier attempt without a confirmed freeze: its answer was lost, or it never got that far.
        var frozenAt = await agent.StatusAsync(ct) is GuestFreezeStatus.Frozen ? time.GetUtcNow() : (await agent.FreezeAsync(ct)).At;
        leases.Write(lease with { FrozenAt = frozenAt });
        Log.Frozen(logger, input.Server, input.RunToken, lease.DeadlineAt);
        return new QuiesceResult(frozenAt, lease.DeadlineAt);
    });

    /// <inheritdoc/>
    [Activity]
    public Task<UnquiesceResult> UnquiesceAsync(UnquiesceInput input) => InTurnAsync(input.Server, async ct =>
    {
        var lease = await leases.ReadAsync(input.Server, ct);
        if (lease is { IsOpen: true } && lease.RunToken != input.RunToken)
        {
            return new UnquiesceResult(false, null, time.GetUtcNow(), LeaseExpired: true, $"the guest is frozen for another run, {lease.RunToken}");
        }

        if (lease is { End: { } end } && lease.RunToken == input.RunToken)
        {
            return Answer(lease, end);
        }

        // Without a lease of ours the freeze was never asked for here; thawing a thawed guest costs one question.
        var ended = await ThawAsync(agents.Open(input.AgentAddress), lease is { IsOpen: true } ? lease : null, ct);
        lease = lease is { IsOpen: true } ? lease : new(input.Server, input.RunToken, input.AgentAddress, ended.ThawedAt, ended.ThawedAt, null, null);
        leases.Write(lease with { End = ended });
        Log.Thawed(logger, input.Server, input.RunToken, ended.WasFrozen, ended.Expired);
        return Answer(lease, ended);
    });

    private async Task<FreezeLease> TakeLeaseAsync(QuiesceInput input, IGuestAgent agent, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var lease = await leases.ReadAsync(input.Server, ct);
        if (lease?.RunToken == input.RunToken)
        {
            return lease.IsOpen && now < lease.DeadlineAt
                ? lease
                : throw new SnapshotFlowException(ErrorKind.StaleStatus, $"server {input.Server}: the freeze of run {input.RunToken} is over");
        }

        if (lease is { IsOpen: true } && (now < lease.DeadlineAt || await agent.StatusAsync(ct) is GuestFreezeStatus.Frozen))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"server {input.Server}: the guest is frozen for run {lease.RunToken}");
        }

        if (await agent.StatusAsync(ct) is GuestFreezeStatus.Frozen)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"server {input.Server}: somebody else has frozen the guest; thaw it first");
        }

        lease = new(input.Server, input.RunToken, input.AgentAddress, now, now + input.Deadline, null, null);
        leases.Write(lease);
        return lease;
    }

    private async Task<FreezeLeaseEnd> ThawAsync(IGuestAgent agent, FreezeLease? lease, CancellationToken ct)
    {
        try
        {
            var thaw = await agent.ThawAsync(ct);
            return new(thaw.At, thaw.WasFrozen, Expired: lease is not null && (!thaw.WasFrozen || thaw.At > lease.DeadlineAt), null);
        }
        catch (SnapshotFlowException e) when (e.Kind is ErrorKind.BackendRefused)
        {
            // An agent may report trouble and have thawed all the same (Windows' VSS does). Only its status decides; otherwise it is asked again.
            return await agent.StatusAsync(ct) is GuestFreezeStatus.Thawed
                ? new(time.GetUtcNow(), WasFrozen: false, Expired: true, e.Message)
                : throw new SnapshotFlowException(ErrorKind.BackendUnavailable, e.Message, e);
        }
    }

    private static UnquiesceResult Answer(FreezeLease lease, FreezeLeaseEnd end) => new(end.WasFrozen, lease.FrozenAt, end.ThawedAt, end.Expired, end.AgentError);

    private Task<T> InTurnAsync<T>(ServerId server, Func<CancellationToken, Task<T>> step) => ActivityErrors.Translate(() => heartbeats.WhileAsync(async ct =>
    {
        var turn = turns.GetOrAdd(server, _ => new SemaphoreSlim(1, 1));
        await turn.WaitAsync(ct);
        try
        {
            return await step(ct);
        }
        finally
        {
            turn.Release();
        }
    }));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Server {ServerId} frozen for run {RunToken} until {DeadlineAt:O} at the latest")]
        public static partial void Frozen(ILogger logger, ServerId serverId, string runToken, DateTimeOffset deadlineAt);

        [LoggerMessage(2, LogLevel.Information, "Server {ServerId} thawed for run {RunToken}; was frozen: {WasFrozen}, lease expired: {Expired}")]
        public static partial void Thawed(ILogger logger, ServerId serverId, string runToken, bool wasFrozen, bool expired);
    }
}
